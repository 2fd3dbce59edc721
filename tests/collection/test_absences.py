"""Sub-folders that are emptied, unmounted, or deleted on purpose."""

import json
import os
import shutil
from pathlib import Path

import pytest

from ordhash.collection import absences
from ordhash.collection.absences import Absences
from ordhash.collection.listing import list_files
from ordhash.collection.rows import Entry


@pytest.fixture
def mounts(monkeypatch):
    """Paths that look like mounted disks, each with the number of its file system."""
    numbers = {}
    monkeypatch.setattr(absences, "_mounted", lambda path: numbers.get(str(path)))
    return numbers


class Folder:
    """A folder with its collection: what was there at the last sync is held."""

    def __init__(self, path):
        self.path, self.collection, self.held = path / "photos", path / "photos.ordhash", {}
        self.path.mkdir()
        self.collection.mkdir()

    def add(self, *keys):
        for key in keys:
            (self.path / key).parent.mkdir(parents=True, exist_ok=True)
            (self.path / key).write_bytes(key.encode())
        return self

    def remove(self, *keys):
        for key in keys:
            path = self.path / key
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def sync(self, forget=False, moves=()):
        """Keys that are forgotten, and places whose photographs are kept."""
        listing = list_files(self.path, self.collection)
        found = Absences(self.path, self.collection, listing, self.held, forget=forget)
        found.note_moves({key.encode() for key in moves})
        gone = sorted(filter(found.is_gone, self.held))
        failures = found.failures()
        found.remember()
        self.held = {key: entry for key, entry in self.held.items() if key not in gone}
        self.held |= {file.key: Entry(file.key, 1, 1, file.key.encode(), b"", None) for file in listing.files}
        return gone, [str(Path(one.source).relative_to(self.path)) for one in failures]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path).add("a.jpg", "local/b.jpg", "nas/c.jpg", "nas/2020/d.jpg", "nas/2020/05/e.jpg")
    assert made.sync() == ([], [])
    return made


def test_files_and_folders_that_are_deleted_are_forgotten(folder):
    folder.remove("a.jpg", "nas/2020")
    assert folder.sync() == (["a.jpg", "nas/2020/05/e.jpg", "nas/2020/d.jpg"], [])
    folder.remove("nas")
    assert folder.sync() == (["nas/c.jpg"], [])


@pytest.mark.parametrize("stray", [(), (".DS_Store", "lost+found/x.txt"), (".hidden/a.jpg", "notes.txt")])
def test_an_emptied_folder_is_kept_until_it_comes_back(folder, stray):
    (folder.path / "nas").rename(folder.path.parent / "away")
    (folder.path / "nas").mkdir()
    folder.add(*(f"nas/{name}" for name in stray))
    for _ in range(2):
        assert folder.sync() == ([], ["nas"])
    folder.remove("nas")
    (folder.path.parent / "away").rename(folder.path / "nas")
    assert folder.sync() == ([], [])


def test_what_is_gone_for_good_is_forgotten_when_asked(folder):
    for key in ("nas/c.jpg", "nas/2020/d.jpg", "nas/2020/05/e.jpg"):
        folder.remove(key)
    assert folder.sync() == ([], ["nas"])
    assert folder.sync(forget=True) == (["nas/2020/05/e.jpg", "nas/2020/d.jpg", "nas/c.jpg"], [])
    assert folder.sync() == ([], [])


def test_the_sentence_says_how_many_and_what_to_do(folder):
    folder.remove("local/b.jpg")
    listing = list_files(folder.path, folder.collection)
    (failure,) = Absences(folder.path, folder.collection, listing, folder.held).failures()
    assert failure.source == str(folder.path / "local")
    assert "1 photograph is missing" in failure.reason
    assert "--forget" in failure.reason


def test_photographs_that_moved_are_not_missed(folder):
    """An inbox that is sorted into other folders is empty and has lost nothing."""
    folder.remove("local/b.jpg")
    assert folder.sync(moves=["local/b.jpg"]) == (["local/b.jpg"], [])


def test_what_is_excluded_is_forgotten(folder):
    (folder.path / ".ordhashignore").write_text("local/\n")
    (folder.path / "nas/2020/.nomedia").write_bytes(b"")
    assert folder.sync() == (["local/b.jpg", "nas/2020/05/e.jpg", "nas/2020/d.jpg"], [])


def test_a_folder_that_became_a_link_is_kept(folder):
    (folder.path / "local").rename(folder.path.parent / "disk")
    (folder.path / "local").symlink_to(folder.path.parent / "disk")
    assert folder.sync() == ([], ["local"])
    (folder.path.parent / "disk").rename(folder.path.parent / "unplugged")
    assert folder.sync() == ([], ["local"])


def test_folders_that_cannot_be_read_are_not_missed(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "nas":
            raise OSError(116, "Stale file handle", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    folder.remove("a.jpg")
    assert folder.sync() == (["a.jpg"], [])


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "another photograph"])
def test_an_unmounted_disk_is_kept_whatever_is_there_instead(folder, mounts, left):
    place = folder.path / "nas"
    mounts[str(place)] = 7
    assert folder.sync() == ([], [])
    mounts.clear()
    place.rename(folder.path.parent / "away")
    if left != "nothing":
        place.mkdir()
    if left == "another photograph":
        folder.add("nas/stray.jpg")
    for _ in range(2):
        assert folder.sync() == ([], ["nas"])
    shutil.rmtree(place, ignore_errors=True)
    (folder.path.parent / "away").rename(place)
    mounts[str(place)] = 7
    folder.remove("nas/c.jpg")
    gone, kept = folder.sync()
    assert "nas/c.jpg" in gone
    assert kept == []


def test_a_disk_below_another_folder(folder, mounts):
    folder.add("media/usb/x/f.jpg", "media/other.jpg")
    mounts[str(folder.path / "media/usb")] = 7
    folder.sync()
    mounts.clear()
    folder.remove("media/usb")  # as systems do that make the mount point when a disk is plugged in
    assert folder.sync() == ([], ["media/usb"])


def test_another_disk_in_the_same_place(folder, mounts):
    place = folder.path / "nas"
    for before, now, kept in ((7, 8, True), (None, 8, True), (7, 7, False), (0, 0, False), (0, 8, False)):
        folder.add("nas/c.jpg", "nas/d.jpg")
        mounts.pop(str(place), None)
        if before is not None:
            mounts[str(place)] = before
        folder.sync(forget=True)
        mounts[str(place)] = now
        shutil.rmtree(place)
        folder.add("nas/other.jpg")
        assert folder.sync() == (([], ["nas"]) if kept else (["nas/c.jpg", "nas/d.jpg"], [])), (before, now)
        folder.remove("nas/other.jpg")


def test_the_same_disk_under_another_number_loses_what_was_deleted(folder, mounts):
    mounts[str(folder.path / "nas")] = 7
    folder.sync()
    mounts[str(folder.path / "nas")] = 8
    folder.remove("nas/c.jpg")
    assert folder.sync() == (["nas/c.jpg"], [])


def test_the_folder_itself_was_a_disk(folder, mounts):
    mounts[str(folder.path)] = 7
    folder.sync()
    mounts.clear()
    for name in ("local", "nas"):
        folder.remove(name)
    assert folder.sync() == ([], ["."])
    assert folder.sync(forget=True)[0] == ["local/b.jpg", "nas/2020/05/e.jpg", "nas/2020/d.jpg", "nas/c.jpg"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"folder": "FOLDER"}', b'{"folder": "FOLDER", "mounts": 1}'])
def test_a_damaged_note_of_mounts_is_as_none(folder, content):
    (path,) = folder.collection.glob("*.json")
    assert json.loads(path.read_bytes())["mounts"] == {}
    path.write_bytes(content.replace(b"FOLDER", str(folder.path).encode()))
    folder.remove("local/b.jpg")
    assert folder.sync() == ([], ["local"])


def test_mounts_of_this_machine():
    assert absences._mounted(Path("/proc")) is not None
    assert absences._mounted(Path("/proc/self/task")) is None
    assert absences._mounted(Path("/nowhere")) is None
