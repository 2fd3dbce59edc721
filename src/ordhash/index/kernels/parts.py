"""Work on blocks, shared among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

from ordhash.cores import available_cores
from ordhash.index.planes import Bytes, PlaneCodes

__all__ = ["at_once", "bits_of", "blocks_of", "in_threads", "is_allowed", "parts_of"]

_ALL = np.empty(0, dtype=np.uint8)

_QUERIES = 64  # that share one pass over memory, or fewer where their candidates would take too much of it
_CANDIDATES = 1 << 25


def parts_of(n_blocks: int, threads: int | None) -> list[tuple[int, int]]:
    """First block and end of every thread's part, in the order of rows."""
    n = max(1, min(threads or available_cores(), n_blocks))
    return [(number * n_blocks // n, (number + 1) * n_blocks // n) for number in range(n)]


def at_once(candidates: int) -> int:
    """Queries that share one pass over memory, where each may hold so many candidates."""
    return max(1, min(_QUERIES, _CANDIDATES // candidates))


def in_threads(work: Callable[[int, tuple[int, int]], Any], parts: list[tuple[int, int]]) -> list[Any]:
    """What ``work`` gives for every part and its number, in order."""
    # Threads of Python over compiled code that releases the interpreter: Numba's own may not be entered by two
    # callers at once, and a service has many.
    if len(parts) == 1:
        return [work(0, parts[0])]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(work, range(len(parts)), parts))


def blocks_of(database: PlaneCodes) -> Bytes:
    """Blocks that cannot be written to, as those of a mapped file are: one type, so code is compiled once."""
    blocks = database.blocks.view()
    blocks.flags.writeable = False
    return blocks


def bits_of(allowed: Bytes | None) -> Bytes:
    """What compiled code is told of the rows that may be found: no bits for all of them."""
    return _ALL if allowed is None else allowed


@numba.njit(cache=True, nogil=True, inline="always")
def is_allowed(allowed, row):  # type: ignore[no-untyped-def]
    """Whether a row may be found."""
    return len(allowed) == 0 or (allowed[row >> 3] >> (row & 7)) & 1 == 1
