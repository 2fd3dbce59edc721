"""An SQLite database of a collection: opening it, transactions, and its errors as sentences."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ordhash.errors import DataError

__all__ = ["Database"]


class Database:
    """An open database; created where there is none.

    Args:
        path: Its file.

    Attributes:
        path: Its file.
        read_only: Whether it may not be written to.

    Raises:
        DataError: It cannot be opened, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.reported():
            places = (path, path.parent) if path.exists() else ()
            self.read_only = not all(os.access(place, os.W_OK, effective_ids=True) for place in places)
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}{self._read_only() if self.read_only else ''}",
                uri=True,
                isolation_level=None,
                timeout=60,
                check_same_thread=False,  # a connection may go from thread to thread; never two at once
            )
            try:
                if not self.read_only:
                    self._db.execute("PRAGMA journal_mode = WAL")
                    # A committed image survives a loss of power too.
                    self._db.execute("PRAGMA synchronous = FULL")
            except BaseException:
                self._db.close()
                raise

    def _read_only(self) -> str:
        """URI parameters to open a database that may not be written to.

        A reader of a write-ahead log writes too, into the file through which processes share it. Where there is no log
        there is no writer either, and a database that nobody changes needs no such file.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        return "?mode=ro" if log.exists() and log.stat().st_size else "?mode=ro&immutable=1"

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement; inside `reported` or `transaction`.

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

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A change that happens whole or not at all."""
        with self.reported():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Turn the errors of SQLite into DataError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DataError(f"{self.path} cannot be used ({error}); check disk and permissions") from error
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.path} is damaged ({error}); see `ordhash verify`, or delete it and sync again (the photographs "
                "stay untouched)"
            ) from error
