"""Schema and format of the catalogue of a collection."""

from __future__ import annotations

from pathlib import Path

from ordhash.errors import DataError

__all__ = ["FORMAT", "SCHEMA", "check_format"]

FORMAT = 5

# In the order of creation. The schema of a catalogue must be this one to the letter.
SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE images (
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL,
    content BLOB NOT NULL, code BLOB NOT NULL, fingerprint BLOB, unlike INTEGER, parts BLOB, digest BLOB NOT NULL
) WITHOUT ROWID""",
    "CREATE INDEX images_by_content ON images (content)",
    """CREATE TABLE failures (
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL, digest BLOB NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE deleted (
    content BLOB NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (content, key)
) WITHOUT ROWID""",
)


def check_format(path: Path, found: str) -> None:
    """Raise an error if a catalogue has the format of another version.

    Args:
        path: The catalogue.
        found: What it says; what is not a number at all is left to others.

    Raises:
        DataError: It has.
    """
    if found.isdecimal() and int(found) < FORMAT:
        raise DataError(
            f"{path} has format {found}, of an older version; delete it and sync again (the photographs stay untouched)"
        )
    if found.isdecimal() and int(found) > FORMAT:
        raise DataError(f"{path} has format {found}, newer than {FORMAT}, the newest known here; upgrade ordhash")
