"""Open a file that a folder or a list names: a regular one, at once, and no more of it than allowed."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from ordhash.errors import ImageError, NoMemoryError

__all__ = ["MAX_FILE_BYTES", "detail", "open_file", "read_file", "unreadable"]

MAX_FILE_BYTES = 1 << 31
"""Larger files are refused: no image within ``MAX_PIXELS`` needs more."""


def open_file(path: Path | str, label: str) -> io.BufferedReader:
    """Open a regular file for reading, without ever waiting for it.

    Args:
        path: The file.
        label: Its name in errors.

    Raises:
        ImageError: It is missing, a folder, a pipe, a socket or a device, or it cannot be read.

    >>> with open_file(__file__, "opening.py") as file:
    ...     file.read(3)
    b'\"\"\"'
    """
    try:
        # Asked before it is opened, since opening alone can do something to a device (rewind a tape, say), and after
        # it, since another program may have put another file in its place. A pipe is opened without waiting for a
        # writer.
        _check_kind(Path(path).stat().st_mode, label)
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY), "rb")
        try:
            _check_kind(os.fstat(file.fileno()).st_mode, label)
        except BaseException:
            file.close()
            raise
        return file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(label, "there is no such file; check the path, or remove it from the list") from error
    except PermissionError as error:
        raise ImageError(label, "permission to read the file is denied; allow it, or remove the file") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise unreadable(label, error) from error


def read_file(path: Path | str, label: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Content of a regular file.

    Args:
        path: The file.
        label: Its name in errors.
        max_bytes: Larger files are refused. The size that the system claims is not trusted: a file may grow, or claim
            zero bytes and never end.

    Raises:
        ImageError: As [open_file][ordhash.data.opening.open_file]; or the file is larger.

    >>> len(read_file(__file__, "opening.py")) > 1000
    True
    """
    with open_file(path, label) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = file.read(max_bytes + 1) if size <= max_bytes else b""
        except OSError as error:
            raise unreadable(label, error) from error
        except MemoryError as error:
            raise NoMemoryError.of(label) from error
    if max(size, len(content)) > max_bytes:
        raise ImageError(
            label, f"the file has more than {max_bytes:,} bytes, the most that is allowed; scale it down or remove it"
        )
    return content


def unreadable(label: str, error: Exception) -> ImageError:
    """The error of a file that the system does not let read.

    Args:
        label: Name of the file.
        error: What the system said.

    >>> str(unreadable("a.jpg", OSError(5, "Input/output error")))
    'a.jpg: the file cannot be read (Input/output error); check the path and the disk, or remove it'
    """
    return ImageError(label, f"the file cannot be read{detail(error)}; check the path and the disk, or remove it")


def detail(error: Exception) -> str:
    """What an error says, in brackets after a space; empty if it says nothing.

    >>> detail(ValueError("bad  value")), detail(ValueError())
    (' (bad value)', '')
    """
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return f" ({text})" if text else ""


def _check_kind(mode: int, label: str) -> None:
    if stat.S_ISDIR(mode):
        raise ImageError(label, "this is a folder, not an image file; give the files in it one by one")
    if not stat.S_ISREG(mode):
        # Reading a named pipe would block forever, and a device never ends.
        raise ImageError(label, "this is a device or a pipe, not an image file; give a regular file")
