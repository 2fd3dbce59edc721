"""Work that takes a processor: so much at once, so much in waiting, and the rest is refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["BusyError", "TookTooLongError", "Work"]

P = ParamSpec("P")
T = TypeVar("T")


class BusyError(Exception):
    """As much is waiting as may."""


class TookTooLongError(Exception):
    """The time for an answer is over."""


class Work:
    """Threads for one kind of work.

    Args:
        name: Of the threads.
        concurrent: How many threads.
        waiting: Calls that may wait for one.
        seconds: After so long a caller is told that it took too long. What a thread does cannot be interrupted, so it
            counts until it ends.
    """

    def __init__(self, name: str, *, concurrent: int, waiting: int, seconds: float) -> None:
        self._threads = ThreadPoolExecutor(concurrent, thread_name_prefix=name)
        self._room = concurrent + waiting
        self._seconds = seconds
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """Calls that run or wait."""
        return self._under_way

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Result of a function, run in a thread.

        Raises:
            BusyError: No room.
            TookTooLongError: It takes too long.
        """
        if self._under_way >= self._room:
            raise BusyError
        self._under_way += 1
        loop = asyncio.get_running_loop()
        future = self._threads.submit(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._over(loop))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError:
            if isinstance(_error_of(future), TimeoutError):  # the function's own
                raise
            raise TookTooLongError from None

    def _over(self, loop: asyncio.AbstractEventLoop) -> None:
        def count() -> None:
            self._under_way -= 1

        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody counts any more
            loop.call_soon_threadsafe(count)

    def close(self) -> None:
        """Let what runs come to its end, and start nothing more."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _error_of(future: Future[T]) -> BaseException | None:
    return future.exception() if future.done() and not future.cancelled() else None
