"""Many may look at a thing at once, but nobody while it is changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Guard"]


class Guard:
    """A lock with two sides: those who look share it, whoever changes has it alone and waits for nobody new.

    >>> guard = Guard()
    >>> with guard.looking(), guard.looking():
    ...     pass
    >>> with guard.changing():
    ...     pass
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._looking, self._waiting, self._changing = 0, 0, False

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Together with others who look."""
        with self._condition:
            # A thread that waits to change goes first, or searches without end would keep it waiting.
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
        """Alone."""
        with self._condition:
            self._waiting += 1
            self._condition.wait_for(lambda: not self._changing and not self._looking)
            self._waiting -= 1
            self._changing = True
        try:
            yield
        finally:
            with self._condition:
                self._changing = False
                self._condition.notify_all()
