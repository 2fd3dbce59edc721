"""Compile every scan before it is needed. Numba compiles once per machine and caches the result on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.kernels.asymmetric import nearest_asymmetric
from ordhash.index.kernels.ordinal import nearest, within
from ordhash.index.kernels.postings import expand, has_allowed
from ordhash.index.kernels.tables import Tables, walk
from ordhash.index.planes import PlaneCodes
from ordhash.support import progress_bar

__all__ = ["Once", "warm_up"]


class Once:
    """Work done once per process. Concurrent callers wait until it is done.

    Args:
        steps: Returns the steps, called when the work begins.
    """

    def __init__(self, steps: Callable[[], Sequence[Callable[[], object]]]) -> None:
        self._steps = steps
        self._lock = threading.Lock()
        self._done = False

    def __call__(self, *, progress: bool = False) -> None:
        """Do the work, unless it is done already; ``progress`` shows a bar."""
        with self._lock:
            if self._done:
                return
            steps = self._steps()
            with progress_bar("Preparing the search", len(steps), show=progress) as advance:
                for step in steps:
                    step()
                    advance(1)
            self._done = True


def warm_up(*, progress: bool = False) -> None:
    """Compile or load every scan; only the first call in a process does anything.

    Args:
        progress: Whether to show a bar.
    """
    _everything(progress=progress)


def _steps() -> list[Callable[[], object]]:
    """Calls that together compile every scan; each takes seconds the first time on a machine."""
    # Distances count in one byte or two; everything else is compiled once for all lengths and arities.
    short, long = (OrdinalCodes(np.zeros((1, spec.n_segments), np.uint8), spec) for spec in _SPECS)
    losses = np.zeros((1, short.spec.n_segments, short.spec.arity), dtype=np.float32)
    offsets, rows = np.array([0, 1]), np.zeros(1, dtype=np.uint32)
    near, codes = np.zeros((1, 1), dtype=np.uint16), np.zeros((1, 1), dtype=np.int64)
    return [
        lambda: nearest(PlaneCodes.of(short), short, 1),
        lambda: nearest(PlaneCodes.of(long), long, 1),
        lambda: within(PlaneCodes.of(short), short, 0),
        lambda: within(PlaneCodes.of(long), long, 0),
        lambda: nearest_asymmetric(PlaneCodes.of(short), losses, 1),
        lambda: walk(Tables.of(PlaneCodes.of(short)), short, 1, 0),
        lambda: walk(Tables.of(PlaneCodes.of(long)), long, 1, 0),
        lambda: has_allowed(offsets, rows, np.ones(1, dtype=np.uint8)),
        lambda: [expand(some, codes, True, offsets, rows, None, 1) for some in (near, near.astype(np.float32))],
    ]


_SPECS = (CodeSpec(48, 4), CodeSpec(512, 2))

_everything = Once(_steps)
