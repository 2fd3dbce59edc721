"""Work in threads: some calls at once, some waiting, the rest refused."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread

__all__ = ["BusyError", "TookTooLongError", "Work"]

_CLOSING_SECONDS = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class BusyError(Exception):
    """Too many calls are waiting."""


class TookTooLongError(Exception):
    """No result within the time limit."""


class Work:
    """Threads for one kind of work.

    Args:
        concurrent: Calls that run at once, each in a thread.
        waiting: Calls that may wait for a thread.
        seconds: Time limit of a call. A running thread cannot be interrupted, so it occupies its place until it ends.
        finish: Whether to wait for a call that has begun, however long it takes: then a call that took too long has
            done nothing.
    """

    def __init__(self, *, concurrent: int, waiting: int, seconds: float, finish: bool = False) -> None:
        self._limiter = anyio.CapacityLimiter(concurrent)
        self._room = concurrent + waiting
        self._seconds = seconds
        self._finish = finish
        self._calls: dict[asyncio.Task[Any], anyio.CancelScope] = {}

    @property
    def under_way(self) -> int:
        """Calls that run or wait."""
        return len(self._calls)

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Result of a function, run in a thread.

        Raises:
            BusyError: Too many calls are waiting.
            TookTooLongError: No result within the time limit.
        """
        if self.under_way >= self._room:
            raise BusyError
        scope = anyio.CancelScope()
        # A task of its own, since whoever gives up must not wait for the thread.
        task = asyncio.create_task(self._run(scope, functools.partial(function, *args, **kwargs)))
        self._calls[task] = scope
        task.add_done_callback(self._over)
        with anyio.move_on_after(self._seconds):
            return await asyncio.shield(task)
        scope.cancel()  # ends a call that waits; one that runs is shielded
        if self._finish:
            return await asyncio.shield(task)
        raise TookTooLongError

    async def _run(self, scope: anyio.CancelScope, function: Callable[[], T]) -> T:
        with scope:
            return await anyio.to_thread.run_sync(function, limiter=self._limiter)
        raise TookTooLongError

    def _over(self, task: asyncio.Task[Any]) -> None:
        del self._calls[task]
        if not task.cancelled():
            task.exception()  # or asyncio logs errors that nobody waits for any more

    async def close(self) -> None:
        """Wait a moment for running calls; drop those that wait."""
        for scope in self._calls.values():
            scope.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=_CLOSING_SECONDS)
