from __future__ import annotations

import errno
import io
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ordhash.data.images import content_id, open_rgb
from ordhash.data.opening import open_file, read_file
from ordhash.errors import ImageError


def test_content_and_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"123456")
    with open_file(path, "a.jpg") as file:
        assert file.read() == b"123456"
    assert read_file(str(path), "a.jpg") == read_file(path, "a.jpg", 6) == b"123456"
    with pytest.raises(ImageError, match=r"a\.jpg: .* more than 5 bytes"):
        read_file(path, "a.jpg", 5)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_a_file_that_claims_no_bytes_is_read_up_to_the_bound() -> None:
    assert Path("/proc/self/maps").stat().st_size == 0
    assert read_file("/proc/self/maps", "maps")
    with pytest.raises(ImageError, match="more than 3 bytes"):
        read_file("/proc/self/maps", "maps", 3)


def test_a_sparse_file_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageError, match="more than"):
        read_file(tmp_path / "a.jpg", "a.jpg")


def test_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("/dev/zero")
    (tmp_path / "tty.jpg").symlink_to("/dev/tty")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.jpg"))
    for name in ("pipe.jpg", "link.jpg", "tty.jpg", "socket.jpg"):
        with pytest.raises(ImageError, match="a device or a pipe"):
            read_file(tmp_path / name, name)
    with pytest.raises(ImageError, match="folder"):
        read_file(tmp_path, "tmp")
    with pytest.raises(ImageError, match="no such file"):
        read_file(tmp_path / "none.jpg", "none.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        read_file(tmp_path / "loop.jpg", "loop.jpg")


def test_a_pipe_put_in_its_place_after_the_first_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"1")
    regular = (tmp_path / "b.jpg").stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: regular)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(ImageError, match="a device or a pipe"):
        open_file(tmp_path / "a.jpg", "a.jpg")
    assert len(list(Path("/dev/fd").iterdir())) == before  # it was closed


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"1")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # chmod does not stop root, as whom tests may run
    for work in (open_rgb, content_id):
        with pytest.raises(ImageError, match="permission"):
            work(tmp_path / "secret.jpg")


def test_a_disk_error_is_not_called_broken_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Failing(io.RawIOBase):
        def __init__(self, descriptor: int) -> None:
            self._descriptor = descriptor

        def fileno(self) -> int:
            return self._descriptor

        def readable(self) -> bool:
            return True

        def readinto(self, _: Any) -> int:
            raise OSError(errno.EIO, "Input/output error")

        def close(self) -> None:
            if not self.closed:
                os.close(self._descriptor)
            super().close()

    (tmp_path / "a.jpg").write_bytes(b"1")
    monkeypatch.setattr(os, "fdopen", lambda descriptor, _: io.BufferedReader(Failing(descriptor)))
    for work in (open_rgb, content_id, lambda path: read_file(path, "a.jpg")):
        with pytest.raises(ImageError, match=r"cannot be read \(Input/output error\); check"):
            work(tmp_path / "a.jpg")
