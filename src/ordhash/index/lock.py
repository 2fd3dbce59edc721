"""A lock for many readers or one writer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SharedLock"]


class SharedLock:
    """A lock shared by readers and exclusive for a writer. A waiting writer goes before new readers.

    >>> lock = SharedLock()
    >>> with lock.looking(), lock.looking():
    ...     pass
    >>> with lock.changing():
    ...     pass
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._looking, self._waiting, self._changing = 0, 0, False

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Hold the lock for reading, together with other readers."""
        with self._condition:
            # A waiting writer goes first; a steady stream of readers would starve it.
            self._condition.wait_for(lambda: not self._changing and not self._waiting)
            self._looking += 1
        try:
            yield
        finally:
            with self._condition:
                self._looking -= 1
                self._condition.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock for writing, exclusively."""
        with self._condition:
            self._waiting += 1
            try:
                self._condition.wait_for(lambda: not self._changing and not self._looking)
            finally:
                self._waiting -= 1
                self._condition.notify_all()  # readers, if the wait was interrupted: they waited for this writer
            self._changing = True
        try:
            yield
        finally:
            with self._condition:
                self._changing = False
                self._condition.notify_all()
