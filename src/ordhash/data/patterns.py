"""Patterns of files and folders to leave out, written as in a .gitignore."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ordhash.errors import InputError

if TYPE_CHECKING:
    import pathspec

__all__ = ["IGNORE_FILE", "Patterns", "check_patterns"]

IGNORE_FILE = ".ordhashignore"
"""A file of this name, in the folder or any below it, has a pattern a line for what is beside and below it."""


class Patterns:
    """Patterns that hold below a folder, the last that matches counts; as git reads a .gitignore.

    Args:
        lines: A pattern each; empty lines and comments are passed over.
        place: The folder, as a path that is empty or ends in ``/``.

    Raises:
        InputError: A line is not a pattern.

    >>> patterns = Patterns(["*.png", "!keep.png", "raw/"])
    >>> [patterns.leaves_out(key) for key in ("a/b.png", "a/keep.png", "a/raw/", "a/raw", "a.jpg")]
    [True, False, True, None, None]
    """

    def __init__(self, lines: Iterable[str], place: str = "") -> None:
        self._place = place
        self._patterns = [one for one in map(_compiled, lines) if one is not None]

    def leaves_out(self, key: str) -> bool | None:
        """Whether a path is left out; None where no pattern matches.

        Args:
            key: The path, below the same folder as ``place``; that of a folder ends in ``/``.
        """
        for spec in reversed(self._patterns):
            found = spec.check_file(key[len(self._place) :]).include
            if found is not None:
                return found
        return None


def check_patterns(lines: Iterable[str]) -> None:
    """Check patterns that a user gives.

    Raises:
        InputError: One is not a pattern.
    """
    Patterns(lines)


def _compiled(line: str) -> pathspec.GitIgnoreSpec | None:
    import pathspec  # here: most folders have no patterns

    if "\0" in line:
        raise InputError("a pattern holds a zero byte; write patterns as in a .gitignore")
    try:
        spec = pathspec.GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        raise InputError(
            f"{line!r} is not a pattern; write patterns as in a .gitignore, such as raw/ or *.png"
        ) from None
    return spec if any(pattern.include is not None for pattern in spec.patterns) else None
