"""Share work on blocks among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

from ordhash.index.planes import Bytes, PlaneCodes
from ordhash.support import available_cores

__all__ = ["at_once", "bits_of", "blocks_of", "in_threads", "is_allowed", "least_blocks", "parts_of"]

_ALL = np.empty(0, dtype=np.uint8)

_QUERIES = 64  # that share one pass over memory; fewer if their candidates need too much of it
_CANDIDATES = 1 << 25


def parts_of(n: int, threads: int | None, *, least: int = 1) -> list[tuple[int, int]]:
    """Start and end of each thread's part of n items, in order. A thread gets at least ``least`` items.

    >>> parts_of(10, 3), parts_of(10, 3, least=6)
    ([(0, 3), (3, 6), (6, 10)], [(0, 10)])
    """
    parts = max(1, min(threads or available_cores(), n // least))
    return [(number * n // parts, (number + 1) * n // parts) for number in range(parts)]


def least_blocks(n_queries: int) -> int:
    """Blocks worth a thread: starting one takes as long as comparing some 30 blocks with a query."""
    return max(1, 32 // max(1, n_queries))


def at_once(candidates: int) -> int:
    """Queries that share one pass over memory, given the number of candidates each may hold."""
    return max(1, min(_QUERIES, _CANDIDATES // candidates))


def in_threads(work: Callable[[int, tuple[int, int]], Any], parts: list[tuple[int, int]]) -> list[Any]:
    """Results of ``work`` for every part and its number, in order."""
    # Python threads over compiled code that releases the GIL: two callers must not enter Numba's own threads at once,
    # and a service has many.
    if len(parts) == 1:
        return [work(0, parts[0])]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(work, range(len(parts)), parts))


def blocks_of(database: PlaneCodes) -> Bytes:
    """Read-only blocks, as those of a mapped file: with one type, code is compiled once."""
    blocks = database.blocks.view()
    blocks.flags.writeable = False
    return blocks


def bits_of(allowed: Bytes | None) -> Bytes:
    """Allowed rows in the form that compiled code takes: an empty array allows all."""
    return _ALL if allowed is None else allowed


@numba.njit(cache=True, nogil=True, inline="always")
def is_allowed(allowed, row):  # type: ignore[no-untyped-def]
    """Whether a row is allowed."""
    return len(allowed) == 0 or (allowed[row >> 3] >> (row & 7)) & 1 == 1
