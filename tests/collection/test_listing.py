"""Files as they are on disk: odd kinds, odd times, and files that change under the reader."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from ordhash.collection.listing import file_time, list_files, read_listed, state_of
from ordhash.data import MAX_FILE_BYTES
from ordhash.errors import DataError, ImageError


def listed(folder):
    return list_files(folder, folder / "nowhere")


def write(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_files_in_the_order_of_their_keys(tmp_path):
    for name in ("b.jpg", "a/2.png", "a/1.JPG", "a-b.jpg", "notes.txt"):
        write(tmp_path / name, name.encode())
    found = listed(tmp_path)
    assert [file.key for file in found.files] == ["a-b.jpg", "a/1.JPG", "a/2.png", "b.jpg"]
    assert [read_listed(file) for file in found.files] == [file.key.encode() for file in found.files]
    assert (found.failures, found.unsure) == ([], [])
    with pytest.raises(DataError, match="missing"):
        listed(tmp_path / "nowhere")


def test_what_is_no_regular_file_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    os.mkfifo("pipe.jpg")
    Path("zero.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket.jpg")
    with write(tmp_path / "huge.tif").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    problems = {file.key: file.problem for file in listed(tmp_path).files}
    assert sorted(problems) == ["huge.tif", "pipe.jpg", "socket.jpg", "zero.png"]
    assert "bytes" in problems.pop("huge.tif")
    assert all("device or a pipe" in problem for problem in problems.values())


def test_times_that_64_bits_do_not_hold(tmp_path):
    path = write(tmp_path / "a.jpg")
    for seconds in (10_000_000_000, 0, -1, -2_000_000_000):
        os.utime(path, (seconds, seconds))
        nanoseconds = file_time(path.stat())
        assert -(1 << 63) <= nanoseconds < 1 << 63
        if abs(seconds) < 9_000_000_000:
            assert nanoseconds == path.stat().st_mtime_ns
        assert read_listed(listed(tmp_path).files[0]) == b"x"


def test_a_file_that_changes_or_goes_before_it_is_read(tmp_path):
    path = write(tmp_path / "a.jpg")
    (file,) = listed(tmp_path).files
    write(path, b"longer")
    with pytest.raises(ImageError, match="changed while it was read"):
        read_listed(file)
    path.unlink()
    with pytest.raises(ImageError, match="no such file"):
        read_listed(file)
    os.mkfifo(path)
    with pytest.raises(ImageError, match="device or a pipe"):
        read_listed(file)


def test_a_file_that_never_ends_is_not_read_to_its_end(tmp_path):
    """Its size is zero, as that of files in /proc, and its content is not."""
    (tmp_path / "endless.jpg").symlink_to("/proc/self/maps")
    (file,) = listed(tmp_path).files
    assert file.size == 0
    with pytest.raises(ImageError, match="changed while it was read"):
        read_listed(file)


def test_files_that_the_disk_does_not_tell_about(tmp_path, monkeypatch):
    """As behind a stale mount, or in a folder that may be listed but not entered."""
    for name in ("a.jpg", "b.jpg"):
        write(tmp_path / name)
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    stat = Path.stat

    def stale(path, **options):
        if path.name == "a.jpg":
            raise OSError(116, "Stale file handle", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", stale)
    found = listed(tmp_path)
    assert [file.key for file in found.files] == ["b.jpg"]
    assert sorted(found.unsure) == ["a.jpg", "gone.jpg"]
    assert found.dangling == ["gone.jpg"]
    assert "Stale file handle" in str(found.failures[0])


def test_a_name_that_is_not_unicode_is_reported(tmp_path):
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/z\xe9.jpg")))
    write(tmp_path / "\U0001f468\u200d\U0001f467.jpg")
    found = listed(tmp_path)
    assert [file.key for file in found.files] == ["\U0001f468\u200d\U0001f467.jpg"]
    assert len(found.failures) == 1
    assert "z" in found.failures[0].source
    assert "not valid Unicode" in found.failures[0].reason


def test_state_of_is_size_and_time(tmp_path):
    path = write(tmp_path / "a.jpg", b"abc")
    subprocess.run(["touch", "-d", "2001-02-03 04:05:06 UTC", str(path)], check=True)
    assert state_of(path.stat()) == (3, 981173106 * 10**9)
