"""Sublinear search: multi-index hashing (Norouzi et al., arXiv:1307.2982), for symbols.

The segments are divided into groups, and a table for each group lists the codes by their symbols there. If two codes
differ in t segments, then in one of m groups they differ in at most t / m. So the tables are probed step by step: with
the query's symbols in each group, then with all that differ in one of them, then in two. After step t, counted from 0,
every code at a distance of at most t was seen; a search ends when that is the distance of its last result.

A table holds the codes as planes in the order of its buckets, so the codes of a bucket are contiguous and compared
many at once. A query gives up once the tables have cost as much as a scan.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.kernels.ordinal import distances_of, parameters_of
from ordhash.index.kernels.parts import bits_of, blocks_of, in_threads, is_allowed, parts_of
from ordhash.index.kernels.registers import STEP, smallest_of_step
from ordhash.index.planes import BLOCK, Bytes, PlaneCodes, bit_places, planes

__all__ = ["Tables", "walk"]

_TILE = 1 << 11
_CODES_A_BUCKET = 1 << 8  # desired size of a bucket: finding one costs as much as comparing some hundred codes
_MOST_BITS = 24
# Costs of a bucket and of a code in it, relative to a code in a scan.
_COST_OF_BUCKET, _COST_OF_CODE = 400, 3
_SOME_MASKS = 1 << 12  # at most per group, or more if a scan costs more


@dataclass(frozen=True, eq=False)
class Tables:
    """One table for each of m groups of segments.

    Attributes:
        n: Codes.
        spec: Shape of the code.
        places: int64 (m, most bits, 2): byte and shift of every bit of a group's symbols, -1 where there is none.
        segments: int64 (m + 1,): first segment of every group, and the end.
        offsets: int64 (m, buckets + 1): start of each bucket.
        rows: uint32 (m, n): rows in the order of each table.
        columns: uint8 (m, width, n): planes in the order of each table.
        masks: int64: changes of a group's symbols: all that change one segment, then two, and so on.
        starts: int64 (m, steps + 1): for each number of changed segments, start of its masks.
    """

    n: int
    spec: CodeSpec
    places: npt.NDArray[np.int64]
    segments: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.uint32]
    columns: Bytes
    masks: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, codes: PlaneCodes) -> Tables:
        """Build tables of all codes. Each takes (width + 4) bytes a code, besides the codes themselves."""
        spec, n = codes.spec, codes.n
        bits = min(_MOST_BITS, max(8, int(math.log2(max(1, n // _CODES_A_BUCKET)))))
        m = max(1, -(-spec.n_segments // max(1, bits // spec.bits_per_symbol)))
        segments = np.array([group * spec.n_segments // m for group in range(m + 1)])
        of_group = [
            [place for segment in range(first, end) for place in bit_places(spec, segment)]
            for first, end in itertools.pairwise(segments)
        ]
        most = max(len(group) for group in of_group)
        places = np.full((m, most, 2), -1, dtype=np.int64)
        for group, here in enumerate(of_group):
            places[group, : len(here)] = here
        offsets = np.zeros((m, (1 << most) + 1), dtype=np.int64)
        rows = np.empty((m, n), dtype=np.uint32)
        columns = np.empty((m, codes.blocks.shape[1], n), dtype=np.uint8)
        blocks = blocks_of(codes)

        def some(_: int, part: tuple[int, int]) -> None:
            for group in range(*part):
                _sort(blocks, n, places[group], offsets[group], rows[group], columns[group])

        in_threads(some, parts_of(m, None))
        masks, starts = _masks_of(spec, segments, max(_SOME_MASKS, n // _COST_OF_BUCKET))
        return cls(n, spec, places, segments, offsets, rows, columns, masks, starts)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.offsets.nbytes + self.rows.nbytes + self.columns.nbytes + self.masks.nbytes


def walk(
    tables: Tables,
    queries: OrdinalCodes,
    k: int,
    radius: int,
    *,
    allowed: Bytes | None = None,
    budget: int | None = None,
    threads: int | None = None,
) -> tuple[list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]], npt.NDArray[np.bool_]]:
    """The k nearest codes of every query within a radius, ordered by (distance, row).

    Args:
        tables: n codes.
        queries: q codes of the same spec.
        k: At least 1.
        radius: Largest distance; n_segments means no limit.
        allowed: As in [nearest][ordhash.index.kernels.nearest].
        budget: Highest cost of a query, in codes compared by a scan; None means the cost of a full scan.
        threads: Threads that share the queries; None means one per core.

    Returns:
        Distances and rows of every query, k or fewer, and (q,) whether they are complete; if not, a scan is cheaper.

    >>> codes = OrdinalCodes.from_symbols([[0, 1, 2], [3, 3, 3], [0, 1, 1]], arity=4)
    >>> found, done = walk(Tables.of(PlaneCodes.of(codes)), codes[:1], 2, 3, budget=10_000)
    >>> found[0][0].tolist(), found[0][1].tolist(), done.tolist()
    ([0, 1], [0, 2], [True])
    """
    t, spec = tables, tables.spec
    arrays = t.places, t.segments, t.offsets, t.rows, t.columns, t.masks, t.starts
    limits = spec.n_segments, spec.bits_per_symbol, k, min(radius, spec.n_segments), t.n if budget is None else budget
    asked, parameters = planes(queries), parameters_of(spec)
    found: list[Any] = [None] * len(queries)
    done = np.zeros(len(queries), dtype=np.bool_)

    def some(_: int, part: tuple[int, int]) -> None:
        for q in range(*part):
            distances, rows, done[q] = _walk(*arrays, bits_of(allowed), *parameters, asked[q], *limits)
            order = np.lexsort((rows, distances))[:k]
            found[q] = distances[order], rows[order]

    in_threads(some, parts_of(len(queries), threads))
    return found, done


def _masks_of(
    spec: CodeSpec, segments: npt.NDArray[np.int64], most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Masks of all groups, for as many changed segments as ``most`` masks allow."""
    bits, masks, starts = spec.bits_per_symbol, [], []
    total = 0
    for size in np.diff(segments).tolist():
        here = []
        for changed in range(size + 1):
            here.append(total)
            if math.comb(size, changed) * (spec.arity - 1) ** changed > most:
                break
            for which in itertools.combinations(range(size), changed):
                part = np.zeros(1, dtype=np.int64)
                for segment in which:
                    symbols = np.arange(1, spec.arity, dtype=np.int64) << bits * (size - 1 - segment)
                    part = (part[:, None] | symbols).ravel()
                masks.append(part)
                total += len(part)
        else:
            here.append(total)
        starts.append(here)
    steps = min(len(here) for here in starts)
    return np.concatenate(masks), np.array([here[:steps] for here in starts], dtype=np.int64)


_compiled: Any = numba.njit(cache=True, nogil=True)


@numba.njit(cache=True, nogil=True, inline="always")
def _key(columns, i, places):  # type: ignore[no-untyped-def]
    """The symbols of a group as one number."""
    key = 0
    for bit in range(len(places)):
        if places[bit, 0] >= 0:
            key = key << 1 | (np.int64(columns[places[bit, 0], i]) >> places[bit, 1]) & 1
    return key


@_compiled
def _sort(blocks, n, places, offsets, rows, columns):  # type: ignore[no-untyped-def]
    """Fill in a table by a counting sort, which keeps the order of rows in a bucket."""
    for row in range(n):
        offsets[_key(blocks[row // BLOCK], row % BLOCK, places) + 1] += 1
    for bucket in range(len(offsets) - 1):
        offsets[bucket + 1] += offsets[bucket]
    for row in range(n):
        block, i = blocks[row // BLOCK], row % BLOCK
        bucket = _key(block, i, places)
        place = offsets[bucket]
        offsets[bucket] += 1
        rows[place] = row
        for column in range(len(columns)):
            columns[column, place] = block[column, i]
    # Every start has moved to that of the next bucket.
    for bucket in range(len(offsets) - 1, 0, -1):
        offsets[bucket] = offsets[bucket - 1]
    offsets[0] = 0


@_compiled
def _changed(key, other, n_segments, bits):  # type: ignore[no-untyped-def]
    """Number of segments in which the symbols of a group differ."""
    difference, mask, count = key ^ other, (1 << bits) - 1, 0
    for _ in range(n_segments):
        count += (difference & mask) != 0
        difference >>= bits
    return count


# Many parameters: Numba takes arrays and numbers, not dataclasses.
@_compiled
def _walk(  # type: ignore[no-untyped-def]
    places, segments, offsets, rows, columns, masks, starts, allowed,
    whole, width, room, counter, asked, n_segments, bits, k, radius, budget,
):  # fmt: skip
    """Results of one query, unordered and possibly more than k, and whether they are complete."""
    m, steps = len(rows), starts.shape[1] - 1
    near, where, found = np.empty(_TILE, dtype=np.uint16), np.empty(_TILE, dtype=np.int64), 0
    different, counts = np.empty(_TILE, dtype=np.uint8), np.empty(_TILE + STEP, dtype=counter.dtype)
    taken = np.zeros(n_segments + 1, dtype=np.int64)
    limit = min(radius, n_segments)  # largest distance of interest
    below = 0  # results nearer than that
    keys = np.empty(m, dtype=np.int64)
    asked_columns = asked.reshape(-1, 1)
    for group in range(m):
        keys[group] = _key(asked_columns, 0, places[group])
    spent = 0
    for step in range(m * steps):
        group, changed = step % m, step // m
        table = columns[group]
        for number in range(starts[group, changed], starts[group, changed + 1]):
            bucket = keys[group] ^ masks[number]
            first, end = offsets[group, bucket], offsets[group, bucket + 1]
            spent += _COST_OF_BUCKET + _COST_OF_CODE * (end - first)
            if spent > budget:
                return near[:found], where[:found], False
            for start in range(first, end, _TILE):
                size = min(_TILE, end - start)
                distances_of(table[:, start : start + size], asked, whole, width, room, different[:size], counts[:size])
                counts[size : size + STEP] = 255
                for part in range(0, size, STEP):
                    if smallest_of_step(counts, part) > limit:
                        continue
                    for i in range(part, min(part + STEP, size)):
                        distance = np.int64(counts[i])
                        if distance > limit or not is_allowed(allowed, np.int64(rows[group, start + i])):
                            continue
                        # Skip codes that an earlier step found.
                        again = False
                        for other in range(m):
                            asked_up_to = changed if other < group else changed - 1
                            if other != group and asked_up_to >= 0:
                                key = _key(table, start + i, places[other])
                                size_of_other = segments[other + 1] - segments[other]
                                again |= _changed(keys[other], key, size_of_other, bits) <= asked_up_to
                        if again:
                            continue
                        if found == len(near):
                            found = _drop(near, where, limit)
                            if 2 * found > len(near):
                                near, where = np.concatenate((near, near)), np.concatenate((where, where))
                        near[found], where[found] = distance, rows[group, start + i]
                        found += 1
                        taken[distance] += 1
                        below += distance < limit
                        while below >= k:
                            limit -= 1
                            below -= taken[limit]
        if step >= limit:  # every code at a distance of at most ``step`` was seen
            return near[:found], where[:found], True
    return near[:found], where[:found], False


@_compiled
def _drop(near, where, limit):  # type: ignore[no-untyped-def]
    """Drop results beyond the limit; ties at it stay, because rows are unordered."""
    kept = 0
    for i in range(len(near)):
        if near[i] <= limit:
            near[kept], where[kept] = near[i], where[i]
            kept += 1
    return kept
