"""Progress bars on stderr."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

__all__ = ["Advance", "Pace", "duration", "progress_bar"]

Advance = Callable[[int], None]

_SOON = 1.0  # seconds: before that, a rate says little


@contextmanager
def progress_bar(description: str, total: int, *, show: bool, done: int = 0) -> Iterator[Advance]:
    """Bar with count, steps a second and time left; yields the function that moves it on by n steps.

    Args:
        description: What is going on.
        total: Steps in all.
        show: Whether to show it; library calls default to False. Nothing is shown if stderr is not a terminal.
        done: Steps that were done before, which say nothing of how fast the others are.

    >>> with progress_bar("Counting", 3, show=False) as advance:
    ...     advance(3)
    """
    console = Console(stderr=True)
    if not show or total == 0 or not console.is_terminal:
        yield lambda _: None
        return
    pace = Pace()
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(pace),
        TimeElapsedColumn(),
        TextColumn("left"),
        _Left(pace),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(description, total=total, completed=done)

        def advance(steps: int) -> None:
            pace.advance(steps)
            bars.advance(task, steps)

        yield advance


class Pace:
    """How fast work goes on, and how long the rest of it takes.

    The rate is the mean since the start. That of the last seconds, which Rich shows, is many times too high or too low
    where steps come in bursts: a batch at a time, with pauses to write or to measure.

    Args:
        clock: Gives the time in seconds.

    >>> now = iter([0.0, 10.0, 10.0, 12.0])
    >>> pace = Pace(lambda: next(now))
    >>> pace.advance(5)
    >>> pace.left(20), pace.left(20)
    (40.0, 38.0)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = self._last = clock()
        self._steps = 0

    def advance(self, steps: int) -> None:
        """Note that steps were done."""
        self._steps += steps
        self._last = self._clock()

    @property
    def rate(self) -> float | None:
        """Steps a second; None if that cannot be said yet."""
        seconds = self._last - self._started
        return self._steps / seconds if self._steps and seconds >= _SOON else None

    def left(self, steps: float) -> float | None:
        """Seconds until that many more steps are done; None if that cannot be said yet."""
        rate = self.rate
        return None if rate is None else max(0.0, steps / rate - (self._clock() - self._last))


def duration(seconds: float) -> str:
    """A duration in words, roughly.

    >>> duration(20), duration(100), duration(2000), duration(9000)
    ('less than a minute', 'about 2 minutes', 'about 34 minutes', 'about 2.5 hours')
    """
    if seconds < 60:
        return "less than a minute"
    return f"about {math.ceil(seconds / 60)} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"


class _Rate(ProgressColumn):
    """Steps a second."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        return Text("" if self._pace.rate is None else f"{self._pace.rate:.3g}/s")


class _Left(ProgressColumn):
    """Time left, as 1:23:45."""

    max_refresh = 0.5

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        left = self._pace.left(task.remaining or 0)
        if left is None:
            return Text("-:--:--")
        minutes, seconds = divmod(math.ceil(left), 60)
        return Text(f"{minutes // 60}:{minutes % 60:02}:{seconds:02}")
