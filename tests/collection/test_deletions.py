"""A deleted photograph is known by its content."""

import os
import shutil
import sqlite3

import pytest

from ordhash.collection import Collection
from ordhash.errors import DataError


def keys(collection):
    return collection.index().keys.tolist()


@pytest.fixture
def deleted(collection, photo_folder, encoder):
    """A collection without apple_0, whose copy `copy.jpg` was not deleted; and a function that syncs it."""
    shutil.copy(photo_folder / "apple/apple_0.jpg", photo_folder / "copy.jpg")
    collection.sync(photo_folder, encoder)
    collection.delete(["apple/apple_0.jpg"])

    def sync(**options):
        report = collection.sync(photo_folder, encoder, **options)
        again = collection.sync(photo_folder, encoder)
        assert (again.encoded, again.reused, again.forgotten) == (0, 0, 0)
        assert again.hidden == report.hidden
        return report

    return collection, photo_folder, sync


def test_neither_time_nor_name_brings_it_back(deleted):
    collection, folder, sync = deleted
    photo, backup = folder / "apple/apple_0.jpg", folder.parent / "backup.jpg"
    shutil.copy2(photo, backup)
    before = keys(collection)
    os.utime(photo)
    assert sync().hidden == 1
    assert keys(collection) == before
    photo.rename(folder / "moved.jpg")
    assert sync().hidden == 1
    assert keys(collection) == before
    (folder / "moved.jpg").unlink()
    assert sync().hidden == 0
    assert collection.info().hidden == 1
    shutil.copy(backup, folder / "banana/restored.jpg")
    assert sync().hidden == 1
    shutil.copy(backup, folder / "one more copy.jpg")
    assert sync().hidden == 2
    assert keys(collection) == before


def test_a_copy_that_was_not_deleted_stays_and_may_move(deleted):
    collection, folder, sync = deleted
    assert "copy.jpg" in keys(collection)
    os.utime(folder / "copy.jpg")
    assert sync().hidden == 1
    (folder / "copy.jpg").rename(folder / "renamed.jpg")
    (folder / "apple/apple_0.jpg").rename(folder / "renamed too.jpg")
    report = sync()
    assert report.hidden == 1
    assert len({"renamed.jpg", "renamed too.jpg"} & set(keys(collection))) == 1


def test_a_copy_that_was_not_deleted_may_leave_an_empty_folder(collection, photo_folder, encoder):
    for name in ("inbox", "sorted"):
        (photo_folder / name).mkdir()
    shutil.copy(photo_folder / "apple/apple_0.jpg", photo_folder / "inbox/copy.jpg")
    collection.sync(photo_folder, encoder)
    collection.delete(["apple/apple_0.jpg"])
    (photo_folder / "inbox/copy.jpg").rename(photo_folder / "sorted/copy.jpg")
    report = collection.sync(photo_folder, encoder)
    assert (report.hidden, report.reused, report.kept) == (1, 1, 0)
    assert [key for key in keys(collection) if "copy" in key] == ["sorted/copy.jpg"]
    assert "apple/apple_0.jpg" not in keys(collection)


def test_a_deleted_photograph_that_leaves_an_empty_folder_counts_once(collection, photo_folder, encoder):
    for name in ("inbox", "sorted"):
        (photo_folder / name).mkdir()
    for number in range(2):
        (photo_folder / f"apple/apple_{number}.jpg").rename(photo_folder / f"inbox/{number}.jpg")
    collection.sync(photo_folder, encoder)
    collection.delete(["inbox/0.jpg"])
    for number in range(2):
        (photo_folder / f"inbox/{number}.jpg").rename(photo_folder / f"sorted/{number}.jpg")
    assert collection.sync(photo_folder, encoder).hidden == 1
    assert collection.info().hidden == 1


def test_a_hidden_copy_is_no_reason_to_forget_one_that_was_not_deleted(collection, photo_folder, encoder):
    (photo_folder / "disk").mkdir()
    shutil.copy(photo_folder / "apple/apple_0.jpg", photo_folder / "disk/copy.jpg")
    collection.sync(photo_folder, encoder)
    collection.delete(["apple/apple_0.jpg"])
    (photo_folder / "disk").rename(photo_folder.parent / "away")
    (photo_folder / "disk").mkdir()
    assert collection.sync(photo_folder, encoder).kept == 1
    assert "disk/copy.jpg" in keys(collection)


def test_without_a_collection_nothing_is_deleted_or_made(tmp_path, encoder):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="sync"):
            Collection(folder).delete(["x"])
        with pytest.raises(DataError, match="sync"):
            Collection(folder).add(b"x", encoder)
    assert list(tmp_path.iterdir()) == []


def test_a_key_may_be_given_twice(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    collection.delete(["apple/apple_0.jpg", "apple/apple_0.jpg"])
    assert len(collection.index()) == 17
    assert collection.verify() == []


def test_another_file_of_that_name_is_another_photograph(deleted):
    collection, folder, sync = deleted
    photo, backup = folder / "apple/apple_0.jpg", folder.parent / "backup.jpg"
    shutil.copy2(photo, backup)
    shutil.copy(folder / "banana/banana_0.jpg", photo)
    assert sync().hidden == 0
    assert "apple/apple_0.jpg" in keys(collection)
    shutil.copy2(backup, photo)  # with the time that it had
    assert sync().hidden == 1
    assert "apple/apple_0.jpg" not in keys(collection)
    assert collection.verify() == []


def test_edited_it_is_a_new_photograph(deleted):
    collection, folder, sync = deleted
    with (folder / "apple/apple_0.jpg").open("ab") as file:
        file.write(b"\0")
    assert sync().hidden == 0
    assert "apple/apple_0.jpg" in keys(collection)


def test_all_are_restored_on_demand(deleted):
    collection, folder, sync = deleted
    (folder / "apple/apple_0.jpg").rename(folder / "moved.jpg")
    sync()
    collection.delete(["carrot/carrot_1.jpg"])
    assert sync(undelete=True).hidden == 0
    assert {"moved.jpg", "carrot/carrot_1.jpg", "copy.jpg"} <= set(keys(collection))
    assert collection.info().hidden == 0


def test_they_stay_away_from_the_codes_of_another_model(deleted, other_encoder):
    collection, folder, _ = deleted
    os.utime(folder / "apple/apple_0.jpg")
    report = collection.sync(folder, other_encoder, reencode=True)
    assert (report.hidden, report.encoded + report.reused) == (1, 18)
    assert "apple/apple_0.jpg" not in keys(collection)
    assert "copy.jpg" in keys(collection)
    assert collection.sync(folder, other_encoder).hidden == 1


def test_a_damaged_row_is_noticed(deleted):
    collection, _, _ = deleted
    with sqlite3.connect(collection.path / "catalogue.sqlite") as database:
        database.execute("UPDATE deleted SET content = zeroblob(16)")
    assert [damage.partition(":")[0] for damage in collection.verify()] == ["apple/apple_0.jpg"]
