"""A collection is readable only as far as the folder of its images."""

import os
import stat
from contextlib import contextmanager

import pytest

from ordhash.collection.access import allowed_bits


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(collection):
    """Of the folder, of its files but for the lock, and of the lock."""
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in collection.path.rglob("*") if path.is_file()}
    lock = found.pop("lock")
    return stat.S_IMODE(collection.path.stat().st_mode), max(found.values()), lock


@pytest.mark.parametrize(
    ("folder", "mask", "wanted"),
    [
        (0o755, 0o022, (0o755, 0o644, 0o600)),
        (0o700, 0o022, (0o700, 0o600, 0o600)),
        (0o750, 0o022, (0o750, 0o640, 0o600)),
        (0o711, 0o022, (0o700, 0o600, 0o600)),  # others may enter it, not list it
        (0o755, 0o077, (0o700, 0o600, 0o600)),  # as the user wants it
        (0o755, 0o000, (0o755, 0o644, 0o600)),
        (0o775, 0o002, (0o775, 0o664, 0o660)),
    ],
)
def test_a_new_collection_is_as_private_as_its_folder(folder, mask, wanted, collection, photo_folder, encoder):
    photo_folder.chmod(folder)
    with umask(mask):
        collection.sync(photo_folder, encoder)
        assert modes(collection) == wanted
        collection.delete(["apple/apple_0.jpg"])
        assert len(collection.index()) == 17
        collection.sync(photo_folder, encoder)
    assert modes(collection) == wanted


def test_an_existing_one_is_mended_and_never_opened(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    picture = collection.thumbnails / "ab" / "x.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"x")
    (collection.path / "lock").chmod(0o666)
    photo_folder.chmod(0o700)
    collection.sync(photo_folder, encoder)
    assert modes(collection) == (0o700, 0o600, 0o600)
    assert stat.S_IMODE(picture.parent.stat().st_mode) == 0o700
    photo_folder.chmod(0o755)
    collection.sync(photo_folder, encoder)
    assert modes(collection) == (0o700, 0o600, 0o600)


def test_a_private_folder_inside_counts(collection, photo_folder, encoder):
    (photo_folder / "apple").chmod(0o700)
    (photo_folder / "lost+found").mkdir(mode=0o700)  # holds no images
    collection.sync(photo_folder, encoder)
    assert modes(collection)[0] == 0o700


def test_folders_above_count_unless_they_protect_the_collection_too(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "home" / "pictures" / "photos"
    folder.mkdir(parents=True)
    home.chmod(0o700)
    assert allowed_bits(folder, home / "pictures" / "photos.ordhash") == 0o755
    assert allowed_bits(folder, folder / "kept") == 0o755
    assert allowed_bits(folder, tmp_path / "photos.ordhash") == 0o700
    home.chmod(0o711)
    assert allowed_bits(folder, tmp_path / "photos.ordhash") == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_group_of_others_reads_nothing(collection, photo_folder, encoder, monkeypatch):
    photo_folder.chmod(0o750)
    os.chown(photo_folder, -1, 4711)
    collection.sync(photo_folder, encoder)
    assert modes(collection) == (0o750, 0o640, 0o600)
    assert {path.stat().st_gid for path in (collection.path, *collection.path.glob("*.onnx"))} == {4711}
    collection.path.chmod(0o770)

    def refuse(*_):
        raise PermissionError

    os.chown(collection.path, -1, 4712)
    monkeypatch.setattr(os, "chown", refuse)  # nobody gives files to a group that is not one's own
    collection.sync(photo_folder, encoder)
    assert modes(collection)[0] == 0o700
