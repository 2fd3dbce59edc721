"""Compiled scans by ordinal distance: the k nearest, and everything within a radius, exact.

If two codes differ in a segment, at least one of their [planes][ordhash.index.planes] differs in its bit. So a distance
is an XOR of each plane, an OR over the planes and a popcount, for every arity alike and on as many codes at once as a
register has bytes. A scan reads memory sequentially, once for all queries of a batch.

The nearest are collected in the same pass. A histogram of the distances taken so far gives the limit from which on a
distance cannot be among the nearest, and a short run of distances is examined one by one only if its smallest is below
that. Rows come in order, so of equal ones the earlier is taken first, and the result equals
[top_k][ordhash.codes.top_k] on all distances, ties included.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.kernels.parts import at_once, bits_of, blocks_of, in_threads, is_allowed, least_blocks, parts_of
from ordhash.index.kernels.registers import STEP, popcount, smallest_of_step
from ordhash.index.planes import BLOCK, Bytes, PlaneCodes, planes, room_of
from ordhash.index.results import Found

__all__ = ["compact", "distances_of", "nearest", "parameters_of", "within"]

_TILE = 1 << 14  # distances held at once: those of a block, so that planes are read in long runs


def nearest(
    database: PlaneCodes, queries: OrdinalCodes, k: int, *, allowed: Bytes | None = None, threads: int | None = None
) -> Found:
    """The k nearest codes of every query, ordered by (distance, row).

    Args:
        database: n codes.
        queries: q codes of the same spec.
        k: From 0 to the number of allowed rows.
        allowed: One bit for each row, the lowest of a byte first (``np.packbits`` with ``bitorder="little"``): 1 if
            it is allowed. None allows all.
        threads: How many share the blocks; None is one for every core.

    Returns:
        Distances uint16 and rows int64, both (q, k).

    >>> codes = OrdinalCodes.from_symbols([[0, 1, 2], [3, 3, 3], [0, 1, 1]], arity=4)
    >>> distances, rows = nearest(PlaneCodes.of(codes), codes[:1], 2)
    >>> distances.tolist(), rows.tolist()
    ([[0, 1]], [[0, 2]])
    """
    distances = np.empty((len(queries), k), dtype=np.uint16)
    rows = np.empty((len(queries), k), dtype=np.int64)
    if k == 0:
        return distances, rows
    asked, scan = planes(queries), _scan(database, allowed)
    parts = parts_of(len(database.blocks), threads, least=least_blocks(len(queries)))
    step = at_once(len(parts) * _capacity(k))
    for start in range(0, len(queries), step):
        some = slice(start, min(start + step, len(queries)))
        _nearest_in_parts(scan, asked[some], database.spec.n_segments, parts, distances[some], rows[some])
    return distances, rows


def within(
    database: PlaneCodes, query: OrdinalCodes, radius: int, *, allowed: Bytes | None = None, threads: int | None = None
) -> Found:
    """Every code at most ``radius`` away from a query, ordered by (distance, row).

    Args:
        database: n codes.
        query: One code of the same spec.
        radius: At least 0.
        allowed: As in nearest.
        threads: How many share the blocks; None is one for every core.

    Returns:
        Distances uint16 and rows int64, both (m,).

    >>> codes = OrdinalCodes.from_symbols([[0, 1, 2], [3, 3, 3], [0, 1, 1]], arity=4)
    >>> within(PlaneCodes.of(codes), codes[:1], 1)
    (array([0, 1], dtype=uint16), array([0, 2]))
    """
    limit = min(radius, database.spec.n_segments) + 1
    asked, scan = planes(query)[0], _scan(database, allowed)
    parts = parts_of(len(database.blocks), threads, least=least_blocks(1))
    found = in_threads(lambda _, part: _within_of_part(*scan, asked, *part, limit), parts)
    distances, rows = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = np.argsort(distances, kind="stable")
    return distances[order], rows[order]


def parameters_of(spec: CodeSpec) -> tuple[int, int, int, npt.NDArray[Any]]:
    """Layout of codes as planes: whole groups, bytes of each, bits of a plane of the rest, counter.

    The last is an empty array of the narrowest type that can hold a distance: code is compiled for its type.
    """
    whole, rest = divmod(spec.n_segments, 8)
    counter = np.empty(0, dtype=np.uint8 if spec.n_segments <= np.iinfo(np.uint8).max else np.uint16)
    return whole, spec.bits_per_symbol, room_of(rest) if rest else 0, counter


def _scan(database: PlaneCodes, allowed: Bytes | None) -> tuple[Any, ...]:
    """Arguments of every scan: blocks, n, bits of the allowed rows, and layout."""
    return blocks_of(database), database.n, bits_of(allowed), *parameters_of(database.spec)


def _capacity(k: int) -> int:
    """Candidates of a query that a part holds before it drops those that cannot be among the nearest."""
    return 2 * (k + _TILE)


def _nearest_in_parts(
    scan: tuple[Any, ...],
    asked: Bytes,
    n_segments: int,
    parts: list[tuple[int, int]],
    distances: npt.NDArray[np.uint16],
    rows: npt.NDArray[np.int64],
) -> None:
    """Fill in distances and rows (q, k) of the queries (q, width) of one pass."""
    k = distances.shape[1]
    shape = (len(parts), len(asked), _capacity(k))
    near, where = np.empty(shape, dtype=np.uint16), np.empty(shape, dtype=np.int64)
    sizes = np.zeros(shape[:2], dtype=np.int64)

    def one(number: int, part: tuple[int, int]) -> None:
        _nearest_of_part(*scan, asked, *part, n_segments, k, near[number], where[number], sizes[number])

    in_threads(one, parts)
    _merge(near, where, sizes, n_segments, distances, rows)


_compiled: Any = numba.njit(cache=True, nogil=True)
_byte = np.uint8


@numba.njit(cache=True, nogil=True, inline="always")
def _fold(byte, room):  # type: ignore[no-untyped-def]
    """OR the planes of ``room`` bits that share a byte: one bit for each segment."""
    if room <= 4:
        byte = _byte(byte | _byte(byte >> _byte(4)))
    if room <= 2:
        byte = _byte(byte | _byte(byte >> _byte(2)))
    if room == 1:
        byte = _byte(byte | _byte(byte >> _byte(1)))
    return _byte(byte & _byte((1 << room) - 1))


# Loops over one array each, which the compiler vectorises.


@_compiled
def _or(plane, asked, different):  # type: ignore[no-untyped-def]
    for i in range(len(different)):
        different[i] |= _byte(plane[i] ^ asked)


@_compiled
def _count_one(plane, asked, room, counts):  # type: ignore[no-untyped-def]
    for i in range(len(counts)):
        counts[i] += popcount(_fold(_byte(plane[i] ^ asked), room))


@_compiled
def _count_two(plane, asked, other, asked_other, room, counts):  # type: ignore[no-untyped-def]
    for i in range(len(counts)):
        counts[i] += popcount(_fold(_byte(_byte(plane[i] ^ asked) | _byte(other[i] ^ asked_other)), room))


@_compiled
def _group(columns, query, first, width, room, different, counts):  # type: ignore[no-untyped-def]
    """Add the differing segments of one group to ``counts``."""
    last = first + width - 1
    if width == 1:
        _count_one(columns[first], query[first], room, counts)
    elif width == 2:
        _count_two(columns[first], query[first], columns[last], query[last], room, counts)
    else:
        different[:] = 0
        for column in range(first, last):
            _or(columns[column], query[column], different)
        _count_two(different, _byte(0), columns[last], query[last], room, counts)


@_compiled
def distances_of(columns, query, whole, width, room, different, counts):  # type: ignore[no-untyped-def]
    """Ordinal distances of a query to the codes of a tile."""
    counts[:] = 0
    for group in range(whole):
        _group(columns, query, group * width, width, 8, different, counts)
    if room:
        first = whole * width
        _group(columns, query, first, len(query) - first, room, different, counts)


@_compiled
def compact(near, where, size, limit, spare):  # type: ignore[no-untyped-def]
    """Drop what cannot be among the nearest: all beyond ``limit``, and all but the first ``spare`` at it."""
    kept = 0
    for i in range(size):
        at_limit = near[i] == limit
        if near[i] < limit or (at_limit and spare > 0):
            near[kept], where[kept] = near[i], where[i]
            kept += 1
            spare -= at_limit
    return kept


# Many parameters: Numba takes arrays and numbers, not dataclasses.
@_compiled
def _nearest_of_part(  # type: ignore[no-untyped-def]
    blocks, n, allowed, whole, width, room, counter, queries, first_block, end_block, n_segments, k, near, where, sizes
):
    """Candidates of a part of the blocks: its k nearest and possibly more, in the order of rows."""
    n_queries, capacity = near.shape
    different = np.empty(_TILE, dtype=np.uint8)
    # Room for a whole step behind the last distance, where nothing may look near.
    counts = np.empty(_TILE + STEP, dtype=counter.dtype)
    # Of every query: how many were taken at each distance, how many below the limit, and the limit, from which on
    # nothing is taken.
    taken = np.zeros((n_queries, n_segments + 1), dtype=np.int64)
    below = np.zeros(n_queries, dtype=np.int64)
    limits = np.full(n_queries, n_segments + 1, dtype=np.int64)
    for block in range(first_block, end_block):
        length = min(BLOCK, n - block * BLOCK)
        for q in range(n_queries):
            for start in range(0, length, _TILE):
                size = min(_TILE, length - start)
                tile = blocks[block][:, start : start + size]
                distances_of(tile, queries[q], whole, width, room, different[:size], counts[:size])
                counts[size : size + STEP] = 255
                for step in range(0, size, STEP):
                    if smallest_of_step(counts, step) >= limits[q]:
                        continue
                    for i in range(step, min(step + STEP, size)):
                        distance = np.int64(counts[i])
                        row = block * BLOCK + start + i
                        if distance < limits[q] and is_allowed(allowed, row):
                            near[q, sizes[q]], where[q, sizes[q]] = distance, row
                            sizes[q] += 1
                            taken[q, distance] += 1
                            below[q] += 1
                            # With k below the limit, later rows at limit - 1 lose their ties.
                            while below[q] >= k:
                                limits[q] -= 1
                                below[q] -= taken[q, limits[q]]
                if sizes[q] > capacity - _TILE:
                    sizes[q] = compact(near[q], where[q], sizes[q], limits[q], k - below[q])


@_compiled
def _merge(near, where, sizes, n_segments, distances, rows):  # type: ignore[no-untyped-def]
    """The k nearest among the candidates of all parts.

    Parts are in the order of rows, so a counting sort keeps the rows of equal distances in order.
    """
    n_parts, n_queries = sizes.shape
    k = distances.shape[1]
    for q in range(n_queries):
        starts = np.zeros(n_segments + 2, dtype=np.int64)
        for part in range(n_parts):
            for i in range(sizes[part, q]):
                starts[near[part, q, i] + 1] += 1
        for distance in range(n_segments + 1):
            starts[distance + 1] += starts[distance]
        for part in range(n_parts):
            for i in range(sizes[part, q]):
                distance = near[part, q, i]
                place = starts[distance]
                starts[distance] += 1
                if place < k:
                    distances[q, place] = distance
                    rows[q, place] = where[part, q, i]


# Many parameters: Numba takes arrays and numbers, not dataclasses.
@_compiled
def _within_of_part(  # type: ignore[no-untyped-def]
    blocks, n, allowed, whole, width, room, counter, query, first_block, end_block, limit
):
    """Distances below ``limit`` in a part of the blocks, and their rows, in the order of rows."""
    different, counts = np.empty(_TILE, dtype=np.uint8), np.empty(_TILE, dtype=counter.dtype)
    near, where, found = np.empty(_TILE, dtype=np.uint16), np.empty(_TILE, dtype=np.int64), 0
    for block in range(first_block, end_block):
        length = min(BLOCK, n - block * BLOCK)
        for start in range(0, length, _TILE):
            size = min(_TILE, length - start)
            tile = blocks[block][:, start : start + size]
            distances_of(tile, query, whole, width, room, different[:size], counts[:size])
            if found + size > len(near):
                near, where = np.concatenate((near, near)), np.concatenate((where, where))  # twice the room
            for i in range(size):
                row = block * BLOCK + start + i
                if counts[i] < limit and is_allowed(allowed, row):
                    near[found], where[found] = counts[i], row
                    found += 1
    return near[:found], where[:found]
