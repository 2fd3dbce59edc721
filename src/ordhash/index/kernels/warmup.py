"""Compile everything before it is needed: Numba does so once on a machine, and keeps what it compiled on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.kernels.asymmetric import nearest_asymmetric
from ordhash.index.kernels.ordinal import nearest, within
from ordhash.index.kernels.postings import expand, has_allowed
from ordhash.index.kernels.tables import Tables, walk
from ordhash.index.planes import PlaneCodes
from ordhash.support import progress_bar

__all__ = ["warm_up"]

_lock = threading.Lock()
_warm = False


def warm_up(*, progress: bool = False) -> None:
    """Compile or load every scan; once in a process, so that it costs nothing to ask again.

    Args:
        progress: Whether to show a bar.
    """
    global _warm
    with _lock:  # whoever comes meanwhile would only compile the same
        if _warm:
            return
        steps = _steps()
        with progress_bar("Preparing the search", len(steps), show=progress) as advance:
            for step in steps:
                step()
                advance(1)
        _warm = True


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
