"""Patterns of what a collection leaves out of its folder, a file in the collection, as a .gitignore."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ordhash.collection.access import create_folder
from ordhash.data import CATALOGUE, check_holds_images, check_patterns
from ordhash.errors import DataError, InputError
from ordhash.support import replace_file

__all__ = ["check_worth_making", "keep_patterns", "kept_patterns"]

_EXCLUDE = "exclude"


def kept_patterns(collection: Path) -> tuple[str, ...]:
    """The patterns of files and folders that syncs of a collection leave out; none for a new one.

    Args:
        collection: Its folder.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    path = collection / _EXCLUDE
    try:
        patterns = tuple(path.read_text(encoding="utf-8").splitlines())
        check_patterns(patterns)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError) as error:  # InputError is a ValueError, and so is text that is not UTF-8
        raise DataError(f"{path} cannot be read ({error}); delete it, and give --exclude again") from error
    return patterns


def keep_patterns(collection: Path, folder: Path, patterns: Iterable[str]) -> None:
    """Leave out files and folders from the next sync of a collection on; they are forgotten if they are known.

    Args:
        collection: Its folder, created if missing.
        folder: The folder of the images.
        patterns: As in a .gitignore; they replace earlier ones, and empty ones are dropped.

    Raises:
        InputError: One is not a pattern, or the collection cannot be created.
        DataError: The folder of the images is missing, or holds none for a new collection.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder of the images")
    patterns = [pattern for pattern in patterns if pattern.strip()]
    check_patterns(patterns)
    bad = next((pattern for pattern in patterns if len(pattern.splitlines()) > 1 or not pattern.isprintable()), None)
    if bad is not None:
        raise InputError(f"the pattern {bad!r} has unprintable characters; write ? for each of them")
    check_worth_making(collection, folder, patterns)
    create_folder(collection, folder.resolve())
    text = "".join(f"{pattern}\n" for pattern in patterns)
    replace_file(collection / _EXCLUDE, lambda file: file.write(text.encode()))


def check_worth_making(collection: Path, folder: Path, patterns: Sequence[str] | None = None) -> None:
    """Check that the folder of a new collection holds images, before anything is written.

    Args:
        collection: Its folder; nothing is checked if there is a collection.
        folder: The folder of the images.
        patterns: Of what is left out; None means those that are kept.

    Raises:
        DataError: It holds none.
    """
    if not (collection / CATALOGUE).is_file():
        check_holds_images(folder, kept_patterns(collection) if patterns is None else patterns)
