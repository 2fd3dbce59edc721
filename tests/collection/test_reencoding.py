"""Codes of another model replace the old ones all at once."""

import shutil
import sqlite3

import pytest

from ordhash.collection import sync, writing
from ordhash.collection.catalogue import Catalogue
from ordhash.errors import DataError


@pytest.fixture
def synced(collection, photo_folder, encoder, monkeypatch):
    monkeypatch.setattr(sync, "_CHUNK_FILES", 5)
    collection.sync(photo_folder, encoder)
    return collection


def interrupted_after(n, error, monkeypatch):
    """Stop a sync after so many chunks."""
    take, done = sync.take_files, []

    def take_some(*arguments):
        if len(done) == n:
            raise error
        done.append(1)
        take(*arguments)

    monkeypatch.setattr(sync, "take_files", take_some)


def answers_as_before(collection, encoder):
    assert collection.model_id == encoder.model_id
    assert len(collection.index()) == 18
    assert collection.model().is_file()
    assert collection.verify() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_the_old_codes_answer_until_all_new_ones_are_there(
    error, synced, photo_folder, encoder, other_encoder, monkeypatch
):
    with monkeypatch.context() as patch:
        interrupted_after(2, error, patch)
        with pytest.raises(type(error)):
            synced.sync(photo_folder, other_encoder, reencode=True)
    answers_as_before(synced, encoder)
    assert synced.sync(photo_folder, encoder).unchanged == 18  # with the old model all goes on
    answers_as_before(synced, encoder)
    report = synced.sync(photo_folder, other_encoder, reencode=True)
    assert (report.encoded, report.unchanged, report.forgotten) == (8, 10, 0)  # what was done is not done again
    answers_as_before(synced, other_encoder)
    assert list(synced.path.glob("reencoding*")) == []
    assert [path.name for path in synced.path.glob("model-*")] == [f"model-{other_encoder.model_id}.onnx"]


def test_the_switch_itself_may_fail(synced, photo_folder, encoder, other_encoder, monkeypatch):
    def full(*_):
        raise DataError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "_write_facts", full)
        with pytest.raises(DataError, match="full"):
            synced.sync(photo_folder, other_encoder, reencode=True)
    answers_as_before(synced, encoder)
    synced.sync(photo_folder, other_encoder, reencode=True)
    answers_as_before(synced, other_encoder)


def test_codes_for_a_third_model_or_damaged_ones_are_begun_anew(
    synced, photo_folder, encoder, other_encoder, monkeypatch
):
    path = synced.path / "reencoding.sqlite"
    with Catalogue(path, synced_facts(synced, "0123456789abcdef"), photo_folder) as third:
        third.move_to(photo_folder)
    report = synced.sync(photo_folder, other_encoder, reencode=True)
    assert report.encoded == 18
    for damage in (b"no database at all", None):
        with monkeypatch.context() as patch:
            interrupted_after(1, KeyboardInterrupt(), patch)
            with pytest.raises(KeyboardInterrupt):
                synced.sync(photo_folder, encoder, reencode=True)
        if damage:
            path.write_bytes(damage)
        else:
            with sqlite3.connect(path) as database:
                database.execute("UPDATE images SET code = zeroblob(6)")
    assert synced.sync(photo_folder, encoder, reencode=True).encoded == 18
    assert synced.verify() == []


def test_what_has_replaced_the_old_codes_is_removed_by_the_next_sync(synced, photo_folder, other_encoder, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, "remove_next", killed)
        with pytest.raises(KeyboardInterrupt):
            synced.sync(photo_folder, other_encoder, reencode=True)
    answers_as_before(synced, other_encoder)
    assert len(list(synced.path.glob("reencoding*"))) == 1
    assert synced.sync(photo_folder, other_encoder).unchanged == 18
    assert list(synced.path.glob("reencoding*")) == []


def synced_facts(collection, model_id):
    import dataclasses

    with Catalogue(collection.path / "catalogue.sqlite") as catalogue:
        return dataclasses.replace(catalogue.facts, model_id=model_id)


def test_nothing_is_given_up_that_cannot_be_read_now(synced, photo_folder, encoder, other_encoder, monkeypatch):
    read = sync.read_listed

    def fail(file):
        if file.key == "apple/apple_3.jpg":
            raise sync.ImageError(str(file.path), "the disk fails")
        return read(file)

    with monkeypatch.context() as patch:
        patch.setattr(sync, "read_listed", fail)
        with pytest.raises(DataError, match=r"1 images .*apple/apple_3\.jpg.*stay"):
            synced.sync(photo_folder, other_encoder, reencode=True)
    answers_as_before(synced, encoder)
    (photo_folder / "apple/apple_3.jpg").write_bytes(b"no picture any more")
    report = synced.sync(photo_folder, other_encoder, reencode=True)
    assert (report.encoded, len(report.failures)) == (0, 1)
    assert len(synced.index()) == 17


def test_what_is_missing_is_told_before_a_model_is_learned(synced, photo_folder):
    (photo_folder / "apple").rename(photo_folder.parent / "away")
    with synced.learning(photo_folder):
        pass  # deleted on purpose
    (photo_folder / "apple").mkdir()
    with pytest.raises(DataError, match=r"6 images .*apple/apple_0\.jpg.*`ordhash sync`.*--forget"):
        synced.learning(photo_folder).__enter__()
    with synced.learning(photo_folder, forget=True):
        pass


def test_an_empty_folder_is_refused_with_another_model_too(synced, photo_folder, encoder, other_encoder):
    shutil.rmtree(photo_folder)
    photo_folder.mkdir()
    with pytest.raises(DataError, match="mount the disk"):
        synced.sync(photo_folder, other_encoder, reencode=True)
    answers_as_before(synced, encoder)


def test_what_is_deleted_before_it_goes_on_stays_deleted(synced, photo_folder, encoder, other_encoder, monkeypatch):
    interrupted_after(2, KeyboardInterrupt, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        synced.sync(photo_folder, other_encoder, reencode=True)
    monkeypatch.undo()
    synced.delete(["apple/apple_0.jpg"])  # it has its new code
    synced.sync(photo_folder, other_encoder, reencode=True)
    assert "apple/apple_0.jpg" not in synced.index().keys
    assert len(synced.index()) == 17


def test_a_collection_without_any_photograph_left_hides_what_was_deleted(synced, photo_folder, other_encoder):
    synced.delete(synced.index().keys.tolist())
    report = synced.sync(photo_folder, other_encoder, reencode=True)
    assert (report.encoded, report.hidden) == (0, 18)
    assert synced.model_id == other_encoder.model_id
    assert len(synced.index()) == 0
