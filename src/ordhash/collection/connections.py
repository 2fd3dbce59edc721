"""Open catalogues of one collection, kept from one call to the next.

Opening SQLite and filling its page cache takes several times as long as most questions take. Threads may ask at once:
each takes a connection that no other uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ordhash.collection.catalogue import Catalogue

__all__ = ["Connections"]

_State: TypeAlias = tuple[int, int, int, int]


class Connections:
    """Connections to the catalogue of a collection.

    Args:
        path: The database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[tuple[Catalogue, _State | None]] = []  # list's append and pop are safe among threads

    @contextmanager
    def opened(self) -> Iterator[Catalogue]:
        """A catalogue that no other thread uses meanwhile.

        Raises:
            DataError: There is none, or it is damaged.
        """
        catalogue = self._take() or Catalogue(self._path)
        try:
            yield catalogue
        except BaseException:
            catalogue.close()
            raise
        if catalogue.frozen:  # it misses what others write
            catalogue.close()
        else:
            self._idle.append((catalogue, self._state()))

    def close(self) -> None:
        """Close all connections; later calls open new ones."""
        while self._idle:
            self._idle.pop()[0].close()

    def _take(self) -> Catalogue | None:
        """A kept connection, unless the file is another one since."""
        while self._idle:
            catalogue, state = self._idle.pop()
            if state is not None and state == self._state():
                return catalogue
            catalogue.close()
        return None

    def _state(self) -> _State | None:
        """The file as it is; None during a change: if that process is killed, it has to be opened anew."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        if self._path.with_name(f"{self._path.name}-journal").exists():
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
