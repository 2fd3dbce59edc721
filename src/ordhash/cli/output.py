"""Print results to stdout as tables or JSON lines, and everything else to stderr."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ordhash.data import not_read
from ordhash.errors import ImageError

__all__ = [
    "failures_as_json",
    "print_facts",
    "print_json",
    "print_table",
    "report_failures",
    "report_unread",
    "say",
    "tell",
    "visible",
]

_JOINERS = "\u200c\u200d"
_WIDE = 10_000  # columns when stdout is not a terminal: tables in files and pipes are never truncated or wrapped


def say(message: str) -> None:
    """Print a line to stderr, with [visible][ordhash.cli.output.visible] characters only."""
    print(visible(message), file=sys.stderr, flush=True)


def tell(message: str) -> None:
    """Print a line to stdout, with [visible][ordhash.cli.output.visible] characters only."""
    print(visible(message), flush=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a line of JSON to stdout; NaN becomes null, and types that JSON lacks (such as dates) become strings."""
    print(json.dumps(_without_nan(value), default=str, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table to stdout; columns of numbers are aligned right."""
    rows = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD)
    for position, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = _console()
    with console.capture() as captured:
        if title:
            console.print(visible(title), style="bold", soft_wrap=True)
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values to stdout, one pair a line."""
    width = max(len(visible(name)) for name in facts)
    for name, value in facts.items():
        print(f"{visible(name):<{width}}  {_cell(value)}")


def report_failures(failures: Sequence[ImageError]) -> None:
    """Print the unusable images to stderr, one line each."""
    for failure in failures:
        say(f"not used: {failure}")


def report_unread(unread: Mapping[str, int]) -> None:
    """Print how many files of a folder are in formats that cannot be read, to stderr, in one line; or nothing.

    Args:
        unread: Their number by suffix.
    """
    if unread:
        say(f"not read: {not_read(unread)}")


def failures_as_json(failures: Sequence[ImageError]) -> list[dict[str, str]]:
    """The unusable images as JSON values."""
    return [{"image": failure.source, "reason": failure.reason} for failure in failures]


def visible(text: str) -> str:
    r"""Escape what would control the terminal, break the line or reorder it, so that a file name stays in its place.

    Spaces of all kinds stay, and so do the joiners that emoji and some scripts are written with.

    >>> print(visible("cat\x1b[2J\n.jpg"))
    cat\x1b[2J\n.jpg
    """
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else c.encode("unicode_escape").decode() for c in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def _console() -> Console:
    # Created each time, to write to the current sys.stdout. File names are not markup.
    plain = Console(markup=False, highlight=False, emoji=False)
    return plain if plain.is_terminal else Console(markup=False, highlight=False, emoji=False, width=_WIDE)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else visible(str(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return value
