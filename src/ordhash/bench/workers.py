"""Processes that do the work of a benchmark, one task each at a time."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

from ordhash.errors import OrdhashError

__all__ = ["Workers"]

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Workers:
    """Processes, spawned for each call: PyTorch cannot train in a fork of a process that has trained.

    Attributes:
        n: Number of processes; a single one is this process itself.
        start: What each of them calls first.
        given: Its arguments.
    """

    n: int
    start: Callable[..., None]
    given: tuple[Any, ...]

    def results(
        self, work: Callable[[Task], Result], tasks: Sequence[Task], ends: float | None = None
    ) -> Iterator[Result]:
        """Results of tasks, as they are done.

        Processes that still work when the caller gives up, by an interruption or an error, are ended.

        Args:
            work: Does a task; a function of a module.
            tasks: The tasks, done in their order.
            ends: When to start no further task, by ``time.perf_counter``; those that were started are finished.

        Raises:
            OrdhashError: A process was killed, or could not start.
        """
        open_tasks = itertools.takewhile(lambda _: ends is None or time.perf_counter() < ends, tasks)
        if self.n == 1:
            yield from map(work, open_tasks)
            return
        before = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(self.n, len(tasks)), context, self.start, self.given) as pool:
            running: set[Future[Result]] = set()
            try:
                while True:
                    more = itertools.islice(open_tasks, self.n - len(running))
                    running |= {pool.submit(work, task) for task in more}
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        yield one.result()
            except BrokenProcessPool as error:
                raise OrdhashError(
                    "a process of the benchmark was killed or could not start, probably for want of memory; what is "
                    "done is kept: run the same command again, with fewer --processes"
                ) from error
            except BaseException:
                for process in set(multiprocessing.active_children()) - before:
                    process.terminate()
                raise
