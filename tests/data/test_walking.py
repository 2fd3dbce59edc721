"""Which files of a folder are photographs, and what is passed over, here and elsewhere."""

import os
from pathlib import Path

import pytest

from ordhash.data.passedover import PassedOver
from ordhash.data.remote import read_location
from ordhash.data.walking import is_walked, walk_images
from ordhash.errors import InputError
from ordhash.support.locations import Location


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def walked(root, exclude=()):
    passed = PassedOver()
    return sorted(path.relative_to(root).as_posix() for path in walk_images(root, passed, exclude)), passed


FOREIGN = [
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
    "sub/@eaDir/a.jpg",
    "#recycle/a.jpg",
    "#snapshot/daily/a.jpg",
    "@Recycle/a.jpg",
    "@Recently-Snapshot/a.jpg",
    "$RECYCLE.BIN/S-1-5/$R1.jpg",
    "$Recycle.Bin/a.jpg",
    "System Volume Information/a.jpg",
    "__MACOSX/._a.jpg",
    "__MACOSX/a.jpg",
    ".Trash-1000/files/a.jpg",
    "._a.jpg",
    ".hidden/a.jpg",
    "Lightroom Catalog Previews.lrdata/0/a.jpg",
    "Photos Library.photoslibrary/resources/derivatives/masters/a.jpg",
    "Photos Library.photoslibrary/private/a.jpg",
    "Old.aplibrary/Thumbnails/a.jpg",
    "kept.ordhash/thumbnails/a.jpg",
    "phone/cache/a.jpg",
    "phone/cache/deep/a.jpg",
]
OWN = [
    "a.jpg",
    "Photos Library.photoslibrary/originals/0/a.jpg",
    "Old.aplibrary/Masters/2012/a.jpg",
    "phone/b.jpg",
    "recycle/a.jpg",
    "resources/a.jpg",
]


def foreign_tree(root):
    fill(root, *FOREIGN, *OWN, "kept.ordhash/catalogue.sqlite", "phone/cache/.nomedia")
    return root


def test_folders_of_other_programs_are_passed_over(tmp_path):
    keys, passed = walked(foreign_tree(tmp_path))
    assert keys == sorted(OWN)
    assert (passed.failures, passed.closed) == ([], [])


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_other_file_systems_follow_the_same_rules(tmp_path, scheme):
    pytest.importorskip("fsspec")
    root = foreign_tree(tmp_path)
    (root / ".ordhashignore").write_text("recycle/\n")
    expected = [key for key in sorted(OWN) if key != "recycle/a.jpg"]
    assert walked(root)[0] == expected
    images = read_location(Location(f"{scheme}://{root}"), exclude=["phone"])
    assert sorted(images.keys.tolist()) == [key for key in expected if not key.startswith("phone")]


@pytest.mark.parametrize("name", [".hidden", "@eaDir", "x.lrdata", "nomedia", "kept"])
def test_the_folder_that_is_named_is_read_whatever_it_is(tmp_path, name):
    root = fill(tmp_path / name, "a.jpg", ".nomedia", "catalogue.sqlite")
    assert walked(root)[0] == ["a.jpg"]


def test_a_library_that_is_named_gives_its_originals(tmp_path):
    root = fill(tmp_path / "My.photoslibrary", "originals/a.jpg", "resources/b.jpg")
    assert walked(root)[0] == ["originals/a.jpg"]


def test_patterns_leave_out_files_and_folders(tmp_path):
    fill(tmp_path, "a.jpg", "b.png", "raw/c.jpg", "x/raw/d.jpg", "x/e.png", "x/keep.png", "y/f.jpg")
    assert walked(tmp_path, ["*.png", "/raw/"])[0] == ["a.jpg", "x/raw/d.jpg", "y/f.jpg"]
    (tmp_path / ".ordhashignore").write_bytes(b"\xef\xbb\xbf# comment\r\n*.png\r\n\r\nraw\r\n")
    (tmp_path / "x" / ".ordhashignore").write_text("!keep.png\n")
    (tmp_path / "y" / ".ordhashignore").write_text("*\n")
    assert walked(tmp_path)[0] == ["a.jpg", "x/keep.png"]
    assert walked(tmp_path, ["a.*"])[0] == ["x/keep.png"]


def test_bad_patterns(tmp_path):
    fill(tmp_path, "a.jpg", "b.png")
    for pattern in ("!", "[z-a]", "a\0b"):
        with pytest.raises(InputError, match="pattern"):
            walked(tmp_path, [pattern])
    (tmp_path / ".ordhashignore").write_bytes(b"!\n*.png\n\xff\n")
    keys, passed = walked(tmp_path)
    assert keys == ["a.jpg"]
    assert ".ordhashignore" in passed.failures[0].source
    (tmp_path / ".ordhashignore").unlink()
    os.mkfifo(tmp_path / ".ordhashignore")
    keys, passed = walked(tmp_path)
    assert keys == ["a.jpg", "b.png"]
    assert "pipe" in passed.failures[0].reason


def test_formats_that_cannot_be_read_are_counted(tmp_path):
    fill(tmp_path, "a.jpg", "b.CR3", "c.cr3", "x/d.HEIC", "x/e.jxl", "x/f.mp4", "notes.txt", "Thumbs.db", ".g.cr3")
    fill(tmp_path, "@eaDir/h.cr3", "raw/i.cr3")
    _, passed = walked(tmp_path, ["raw/"])
    assert passed.unread == {".cr3": 2, ".heic": 1, ".jxl": 1, ".mp4": 1}


def test_folders_that_cannot_be_read_are_reported_and_the_rest_is_taken(tmp_path, monkeypatch):
    fill(tmp_path, "a.jpg", "closed/b.jpg", "stale/c.jpg", "x/gone/d.jpg", "x/e.jpg")
    scandir, errors = os.scandir, {"closed": 13, "stale": 116, "gone": 2}

    def refuse(path):
        if Path(path).name in errors:
            raise OSError(errors[Path(path).name], os.strerror(errors[Path(path).name]), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    keys, passed = walked(tmp_path)
    assert keys == ["a.jpg", "x/e.jpg"]
    assert sorted(passed.closed) == ["closed/", "stale/", "x/gone/"]
    assert sorted(failure.source for failure in passed.failures) == [
        str(tmp_path / name) for name in ("closed", "stale", "x/gone")
    ]
    assert "Permission denied" in next(str(one) for one in passed.failures if "closed" in str(one))


def test_names_that_are_not_unicode_are_reported_once_for_each_file_or_folder(tmp_path):
    bad = os.fsdecode(b"caf\xe9")
    fill(tmp_path, f"{bad}.jpg", f"{bad}/1.jpg", f"{bad}/2.jpg", f"x/{bad}.txt", "\U0001f468\u200d\U0001f467.jpg")
    keys, passed = walked(tmp_path)
    assert keys == ["\U0001f468\u200d\U0001f467.jpg"]
    assert sorted((one.source, one.reason.rsplit(" ", 1)[1]) for one in passed.failures) == [
        (str(tmp_path / bad), "folder"),
        (str(tmp_path / f"{bad}.jpg"), "file"),
    ]


def test_very_deep_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "d" * 200
    for _ in range(25):  # longer than a path may be
        Path(name).mkdir()
        os.chdir(name)
    Path("a.jpg").write_bytes(b"x")
    os.chdir(tmp_path)
    fill(tmp_path, "b.jpg")
    keys, passed = walked(tmp_path)
    assert keys == ["b.jpg"]
    assert "too long" in str(passed.failures[0])


def test_links(tmp_path):
    fill(tmp_path, "cat/a.jpg")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "folder.jpg").symlink_to("cat")
    (tmp_path / "file.jpg").symlink_to("cat/a.jpg")
    (tmp_path / "dir.jpg").mkdir()
    fill(tmp_path, "dir.jpg/b.jpg")
    assert walked(tmp_path)[0] == ["cat/a.jpg", "dir.jpg/b.jpg", "file.jpg", "loop.jpg"]


def test_one_file_is_walked_as_all_are(tmp_path):
    for name in ("a/b/1.jpg", "a/b/.2.jpg", "a/c/3.jpg", "@eaDir/4.jpg", "d/5.jpg", "e/6.jpg", "7.png", "8.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "d" / ".nomedia").touch()
    (tmp_path / "a" / ".ordhashignore").write_text("c/\n")
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    walked = {path.relative_to(tmp_path).as_posix() for path in walk_images(tmp_path, PassedOver(), ["*.png"])}
    assert walked == {"a/b/1.jpg", "e/6.jpg"}
    assert {key for key in files if is_walked(tmp_path, key, ["*.png"])} == walked
    assert is_walked(tmp_path, "e/not yet.jpg")
