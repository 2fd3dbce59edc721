"""A collection follows its folder."""

import shutil

import pytest
from permissions import unprivileged

from ordhash.collection import Collection, collection_of_moved
from ordhash.collection.catalogue import Catalogue
from ordhash.errors import DataError, InputError


@pytest.fixture
def synced(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    collection.delete(["apple/apple_0.jpg"])
    return collection


def nothing_encoded(report):
    return (report.encoded, report.reused, report.forgotten) == (0, 0, 0)


def test_a_moved_folder_is_taken_over(synced, photo_folder, encoder, tmp_path):
    moved = photo_folder.rename(tmp_path / "moved")
    report = synced.sync(moved, encoder)
    assert nothing_encoded(report)
    assert (report.unchanged, report.hidden, report.moved_from) == (17, 1, str(photo_folder))
    assert synced.info().folder == moved
    again = synced.sync(moved, encoder)
    assert (again.unchanged, again.moved_from) == (17, None)
    copy = shutil.copytree(moved, tmp_path / "copy", copy_function=shutil.copyfile)  # new times
    report = synced.sync(copy, encoder)
    assert nothing_encoded(report)
    assert (report.unchanged, report.hidden) == (17, 1)


def test_folder_and_collection_move_together(photo_folder, encoder, tmp_path, monkeypatch):
    Collection(f"{photo_folder}.ordhash").sync(photo_folder, encoder)
    home = tmp_path / "elsewhere"
    home.mkdir()
    photo_folder.rename(home / "photos")
    (tmp_path / "photos.ordhash").rename(home / "photos.ordhash")
    monkeypatch.chdir(home)
    collection = Collection("photos.ordhash")
    report = collection.sync("photos", encoder)
    assert nothing_encoded(report)
    assert collection.info().folder == home / "photos"
    inside = Collection("photos/kept")
    inside.sync("photos", encoder)
    (home / "photos").rename(home / "renamed")
    report = Collection("renamed/kept").sync("renamed", encoder)
    assert nothing_encoded(report)
    assert report.unchanged == 18


def test_some_images_may_be_missing_and_others_new(synced, photo_folder, encoder, tmp_path):
    moved = photo_folder.rename(tmp_path / "moved")
    for path in list((moved / "banana").iterdir())[:4]:
        path.unlink()
    shutil.copy(moved / "carrot/carrot_0.jpg", moved / "new.jpg")
    report = synced.sync(moved, encoder)
    assert (report.encoded, report.reused, report.forgotten) == (0, 1, 4)


@pytest.mark.parametrize("content", [None, b"another of the same size"])
def test_a_folder_of_other_images_is_refused(content, synced, photo_folder, encoder, tmp_path):
    other = shutil.copytree(photo_folder, tmp_path / "other")
    for path in other.rglob("*.jpg"):
        size = path.stat().st_size
        path.write_bytes((content * size)[:size] if content else b"x")
    for options in ({}, {"undelete": True}):
        with pytest.raises(InputError, match=r"is a collection of .*photos, and .*other holds 0 of its 17 images"):
            synced.sync(other, encoder, **options)
    with pytest.raises(InputError, match="0 of its 17"), synced.learning(other):
        pass
    assert synced.info().folder == photo_folder
    assert synced.info().hidden == 1
    assert synced.sync(photo_folder, encoder).unchanged == 17


def test_an_empty_collection_changes_its_folder_only_if_that_is_gone(collection, encoder, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one/gone.jpg").write_bytes(b"")
    collection.sync(tmp_path / "one", encoder)
    (tmp_path / "one/gone.jpg").unlink()
    collection.sync(tmp_path / "one", encoder)
    with pytest.raises(InputError, match="0 of its 0"):
        collection.sync(tmp_path / "two", encoder)
    (tmp_path / "one").rmdir()
    assert collection.sync(tmp_path / "two", encoder).moved_from == str(tmp_path / "one")


def test_a_model_is_not_learned_from_a_disk_that_is_missing(synced, photo_folder, tmp_path):
    shutil.rmtree(photo_folder)
    photo_folder.mkdir()
    with pytest.raises(DataError, match="holds no images, and the collection 17"), synced.learning(photo_folder):
        pass


def test_the_collection_of_a_renamed_folder_is_found_beside_it(photo_folder, encoder, tmp_path):
    made = Collection(f"{photo_folder}.ordhash")
    made.sync(photo_folder, encoder)
    (tmp_path / "empty.ordhash").mkdir()
    damaged = tmp_path / "damaged.ordhash"
    damaged.mkdir()
    (damaged / "catalogue.sqlite").write_bytes(b"damaged")
    copy = shutil.copytree(photo_folder, tmp_path / "copy")
    assert collection_of_moved(copy) is None
    renamed = photo_folder.rename(tmp_path / "renamed")
    assert collection_of_moved(renamed) == made.path
    (tmp_path / "other").mkdir()
    assert collection_of_moved(tmp_path / "other") is None


def test_private_collections_of_others_are_passed_over(photo_folder, encoder, tmp_path):
    for name in ("closed", "moved"):
        shutil.copytree(photo_folder, tmp_path / name)
        Collection(tmp_path / f"{name}.ordhash").sync(tmp_path / name, encoder)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    with Catalogue(tmp_path / "moved.ordhash/catalogue.sqlite") as catalogue:
        catalogue.move_to(hidden / "moved")
    for place in (tmp_path / "closed.ordhash", hidden):
        place.chmod(0)
    with unprivileged(photo_folder):
        assert collection_of_moved(photo_folder) is None
        with pytest.raises(DataError, match="Permission denied"):
            Collection.is_one(tmp_path / "closed.ordhash")
