"""Files that are written atomically: an interrupted write leaves what was there."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ordhash.errors import InputError

__all__ = ["StrPath", "locked", "remove_leftovers", "replace_file", "write_csv", "write_json"]

StrPath: TypeAlias = str | os.PathLike[str]

_PATIENCE = 20  # attempts to get a lock
_BESIDE = ".{}.{}.tmp"  # what a file is called while it is written
_IS_BESIDE = re.compile(r"\.(?P<target>.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)


@contextmanager
def locked(path: Path, refused: Callable[[str], Exception], *, wait: bool, mode: int = 0o666) -> Iterator[None]:
    """Hold a lock that one process has at a time; the system releases it when the process ends, even if killed.

    Args:
        path: File of the lock; it is not deleted.
        refused: Makes the error to raise, given the number of the process that holds the lock.
        wait: Whether to wait for the lock instead of raising.
        mode: Permissions of a new file; whoever may read it can hold the lock.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode), "a+") as file:
        # A process that only reads holds the lock for a moment, so the first refusal may mean nothing.
        for patience in range(_PATIENCE, -1, -1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    file.seek(0)
                    raise refused(file.read().strip() or "unknown") from None
                time.sleep(0.01)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def replace_file(path: StrPath, write: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all: beside its place first, then moved over what is there.

    Several processes may write the same file at once: each writes beside it under a random name, and the last one
    to finish stays. What killed writers of the same file have left is removed.

    Args:
        path: The file.
        write: Writes the content to the open binary file it is given, which it may also read; what it returns does not
            matter.

    Raises:
        InputError: The folder does not exist, or ``path`` is a folder.
        OSError: The file cannot be written; what was there before is still there, and nothing is left beside it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(Path(folder, "greeting.txt"), lambda file: file.write(b"hello"))
    ...     [(path.name, path.read_text()) for path in Path(folder).iterdir()]
    [('greeting.txt', 'hello')]
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"cannot write {target}: there is no folder {target.parent}; create it")
    if target.is_dir():
        raise InputError(f"cannot write {target}: it is a folder; give the name of a file")
    remove_leftovers(target.parent, of=target.name)
    with _file_beside(target) as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
        # Before the file is closed, which gives up its lock.
        os.replace(file.name, target)  # noqa: PTH105 - Path.replace is the same call, but harder to intercept in a test


@contextmanager
def _file_beside(target: Path) -> Iterator[BinaryIO]:
    """A new file beside another, locked as long as it is open; it is removed at the end if it still has that name."""
    while True:
        # Not tempfile: its files are readable by their owner only, and the final file would stay so.
        beside = target.with_name(_BESIDE.format(target.name, secrets.token_hex(4)))
        with beside.open("x+b") as file:
            try:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_nlink:  # not taken for a leftover between its creation and its lock
                    yield file
                    return
            finally:
                beside.unlink(missing_ok=True)


def remove_leftovers(folder: Path, *, of: str | None = None) -> None:
    """Remove what writers that were killed have left in a folder; the files of running writers stay.

    A running writer holds a lock on its file, which the system releases when the process ends, even if killed.

    Args:
        folder: The folder, without its sub-folders.
        of: Name of the file that was written; None means any.
    """
    try:
        paths = list(Path(folder).iterdir())
    except OSError:
        return
    for path in paths:
        match = _IS_BESIDE.fullmatch(path.name)
        if match is None or of not in (None, match["target"]):
            continue
        with suppress(OSError), os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def write_csv(path: StrPath, rows: Iterable[Sequence[str]]) -> None:
    """Write a table whole or not at all; file names that are not UTF-8 keep their bytes.

    Args:
        path: The file.
        rows: Its rows, the heading first.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    replace_file(path, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape")))


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write values whole or not at all, sorted by name, and create the folder if needed.

    Args:
        path: The file.
        values: What it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(json.dumps(values, indent=1, sort_keys=True).encode() + b"\n"))
