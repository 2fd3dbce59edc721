"""An SQLite database of a collection: opening it, reading and changing it, and its errors as sentences.

Changes go through SQLite's rollback journal, not through a write-ahead log: whoever may read the file sees whole states
of it and writes nothing, on a read-only or a full disk too. What a killed process left unfinished is undone by the next
one that may write; one that may not does so in a copy in memory.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from ordhash.errors import DataError

__all__ = ["DamagedError", "Database"]

_PATIENCE = 60  # seconds to wait for another process
_TRIES = 20

_UNFINISHED = "-journal", "-wal"  # files of changes that are not, or not yet, in the database

_PRAGMAS = (
    "cell_size_check = ON",  # these two: a damaged file may say anything
    "trusted_schema = OFF",
    "synchronous = EXTRA",  # a committed image survives a loss of power too
)

# The answers of SQLite that are not about the content of the file.
_BUSY = sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED
_UNUSABLE = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_AUTH,
)


class DamagedError(DataError):
    """The content of a database is not what was written."""


class Database:
    """An open database; created where there is none.

    Args:
        path: Its file.

    Attributes:
        path: Its file.
        read_only: Whether it may not be written to.
        frozen: Whether this is a copy, which does not see what others write.
        changing: Whether a change of it is under way.

    Raises:
        DataError: It cannot be opened, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frozen = self.changing = False
        places = (path, path.parent) if path.exists() else ()
        self.read_only = not all(os.access(place, os.W_OK, effective_ids=True) for place in places)
        with self.reported():
            try:
                self._db = self._connected(path, writable=not self.read_only)
            except sqlite3.OperationalError as error:
                finished = self._finished_copy() if _code(error) in _UNUSABLE and path.exists() else None
                if finished is None:
                    raise
                self._db, self.frozen, self.read_only = finished, True, True

    @staticmethod
    def _connected(path: Path, *, writable: bool) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rwc' if writable else 'ro'}",
            uri=True,
            isolation_level=None,
            timeout=_PATIENCE,
            check_same_thread=False,  # a connection may go from thread to thread; never two at once
        )
        try:
            _set_up(db)
            ((mode,),) = db.execute("PRAGMA journal_mode").fetchall()
            if writable and mode == "wal":
                with suppress(sqlite3.OperationalError):  # another process has it open
                    db.execute("PRAGMA journal_mode = DELETE")
            db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except BaseException:
            db.close()
            raise
        return db

    def _finished_copy(self) -> sqlite3.Connection | None:
        """A copy in memory, in which SQLite undoes or completes what is unfinished; None where none can be made.

        The files are copied while nobody holds a lock on them. As long as the journal stays the same, all that anyone
        may do to the database is what will be done to the copy.
        """
        for _ in range(_TRIES):
            try:
                with tempfile.TemporaryDirectory() as folder:
                    copy = Path(folder, self.path.name)
                    before = self._unfinished()
                    shutil.copyfile(self.path, copy)
                    if self._unfinished() == before:
                        for suffix, content in before.items():
                            if isinstance(content, bytes):
                                copy.with_name(copy.name + suffix).write_bytes(content)
                        finished = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                        with closing(self._connected(copy, writable=True)) as db:
                            db.backup(finished)
                        _set_up(finished)
                        finished.execute("PRAGMA query_only = ON")  # what is written here would be lost
                        return finished
            except OSError:
                return None
            time.sleep(0.05)
        return None

    def _unfinished(self) -> dict[str, bytes | tuple[int, ...] | None]:
        """Contents of the files of unfinished changes, and the state of the database's own file."""
        found: dict[str, bytes | tuple[int, ...] | None] = {}
        for suffix in _UNFINISHED:
            try:
                found[suffix] = self.path.with_name(self.path.name + suffix).read_bytes()
            except FileNotFoundError:
                found[suffix] = None
        status = self.path.stat()
        found[""] = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        return found

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement; inside `reading` or `transaction`.

        Args:
            statement: The statement.
            values: Of its parameters.
        """
        return self._db.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of values; inside a `transaction`.

        Args:
            statement: The statement.
            rows: Values of its parameters.
        """
        self._db.executemany(statement, rows)

    def problems(self, most: int) -> list[str]:
        """What SQLite finds wrong with the file as a whole, a line each.

        Args:
            most: How many to look for.
        """
        with self.reading():
            rows = self.execute(f"PRAGMA integrity_check({most})").fetchall()
        return [" ".join(str(row[0]).split()) for row in rows if row[0] != "ok"]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All questions inside get answers of one state of the database.

        Raises:
            DataError: It cannot be read, or is damaged.
        """
        with self.reported():
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:  # some errors end it
                    self._db.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A change that happens whole or not at all; inside another one it is a part of that.

        Raises:
            DataError: It cannot be written, or is damaged.
        """
        with self.reported():
            if self.changing:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self.changing = True
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                self.changing = False
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Turn the errors of SQLite into DataError."""
        try:
            yield
        except sqlite3.Error as error:
            code = _code(error)
            if code in _BUSY:
                raise DataError(f"{self.path} is in use by another process ({error}); try again") from error
            if code in _UNUSABLE:
                raise DataError(f"{self.path} cannot be used ({error}); check disk and permissions") from error
            raise DamagedError(self.damaged(str(error))) from error
        except UnicodeDecodeError as error:  # SQLite quotes in its message what is not a text any more
            raise DamagedError(self.damaged("a text is not valid Unicode")) from error
        except OverflowError as error:
            raise DataError(
                f"{self.path} cannot hold a number of more than 64 bits; remove the file it is of"
            ) from error

    def damaged(self, reason: str) -> str:
        """A sentence that says that the database is damaged and what to do.

        Args:
            reason: What is wrong.
        """
        what = " ".join(reason.split())
        return f"{self.path} is damaged ({what}); sync again to mend it (the photographs stay untouched)"


def _set_up(db: sqlite3.Connection) -> None:
    # A damaged name is a wrong name, and the others can be read.
    db.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}")


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; that of a general error if the message is Python's own."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
