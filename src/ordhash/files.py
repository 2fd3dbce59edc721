"""Files that appear whole or not at all, whatever interrupts the writing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias

from ordhash.errors import InputError

__all__ = ["StrPath", "replace_file"]

StrPath: TypeAlias = str | os.PathLike[str]


def replace_file(path: StrPath, write: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all: beside its place first, then moved over what is there.

    Several processes may write the same file at once: each writes beside it under a name of its own, and the last one
    to finish stays.

    Args:
        path: The file.
        write: Writes the content to the open binary file it is given; what it returns does not matter.

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
    # Not tempfile: its files are readable by their owner only, and the final file would stay so.
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)  # noqa: PTH105 - Path.replace is the same call, but harder to intercept in a test
    finally:
        beside.unlink(missing_ok=True)
