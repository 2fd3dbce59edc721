"""Patterns of what a collection leaves out of its folder, a file in the collection, as a .gitignore."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ordhash.data import check_patterns
from ordhash.errors import DataError, InputError
from ordhash.support import replace_file

__all__ = ["checked_patterns", "keep_patterns", "kept_patterns"]

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


def checked_patterns(patterns: Iterable[str] | None) -> list[str] | None:
    """Patterns that can be kept, without empty ones; None stays None.

    Raises:
        InputError: One is not a pattern, or cannot be shown.
    """
    if patterns is None:
        return None
    wanted = [pattern for pattern in patterns if pattern.strip()]
    check_patterns(wanted)
    bad = next((pattern for pattern in wanted if len(pattern.splitlines()) > 1 or not pattern.isprintable()), None)
    if bad is not None:
        raise InputError(f"the pattern {bad!r} has unprintable characters; write ? for each of them")
    return wanted


def keep_patterns(collection: Path, patterns: Iterable[str] | None) -> None:
    """Leave out files and folders from the next sync of a collection on; they are forgotten if they are known.

    Args:
        collection: Its folder.
        patterns: Patterns that were checked; they replace earlier ones, and None keeps these.
    """
    if patterns is None:
        return
    text = "".join(f"{pattern}\n" for pattern in patterns)
    replace_file(collection / _EXCLUDE, lambda file: file.write(text.encode()))
