"""Compiled scan by asymmetric distance: the exact k nearest, ties included.

The distance of a code is a sum of losses, one per segment, looked up by symbol. A scan first computes a lower bound in
one byte, for many codes at once, and the distance itself only where that bound is small enough.

Up to four bits of a code, one segment or a few, form a *unit*. Its value selects one of 16 table entries, in one
instruction for a whole register of codes (as in André et al., Cache Locality is not Enough, VLDB 2015). The tables
hold losses as integers, rounded down, scaled so that the largest distance that may still be among the nearest is just
below 255, where sums saturate. A sum of 255 means that a code is too far away; a smaller one, that it may be near.
Symbols of more than four bits need one table for every 16 values.

As nearer codes are found, the limit falls and the scale rises, so the bound gets finer where it matters. Distances of
the remaining candidates are those of [asymmetric_distances][ordhash.codes.asymmetric_distances]: float32, added in the
order of the segments. Of equal ones the earlier row wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec
from ordhash.index.kernels.ordinal import compact
from ordhash.index.kernels.parts import at_once, bits_of, blocks_of, in_threads, is_allowed, least_blocks, parts_of
from ordhash.index.kernels.registers import FAR, STEP, has_look_up, shifted, sum_of_step
from ordhash.index.planes import BLOCK, Bytes, PlaneCodes, bit_places, room_of
from ordhash.index.results import Found

__all__ = ["nearest_asymmetric"]

_TILE = 1 << 11  # codes unpacked into units together, for all queries
_TILE_BYTES = 1 << 18  # of a tile at most, to stay in the L2 cache
_NOTHING = 1 << 7  # a value without an entry


def nearest_asymmetric(
    database: PlaneCodes,
    losses: npt.NDArray[np.float32],
    k: int,
    *,
    allowed: Bytes | None = None,
    threads: int | None = None,
) -> Found:
    """The k nearest codes of every query, ordered by (distance, row).

    Args:
        database: n codes.
        losses: float32 (q, n_segments, arity), as [symbol_losses][ordhash.codes.symbol_losses] gives them.
        k: From 0 to the number of allowed rows.
        allowed: As in [nearest][ordhash.index.kernels.nearest].
        threads: Threads that share the blocks; None means one per core.

    Returns:
        Distances float32 and rows int64, both (q, k).

    >>> from ordhash.codes import OrdinalCodes
    >>> codes = OrdinalCodes.from_symbols([[0, 1], [1, 1], [1, 0]], arity=2)
    >>> losses = np.array([[[0.0, 1.5], [3.0, 0.0]]], dtype=np.float32)
    >>> distances, rows = nearest_asymmetric(PlaneCodes.of(codes), losses, 2)
    >>> distances.tolist(), rows.tolist()
    ([[0.0, 1.5]], [[0, 1]])
    """
    distances = np.empty((len(losses), k), dtype=np.float32)
    rows = np.empty((len(losses), k), dtype=np.int64)
    if k == 0:
        return distances, rows
    units = _Units.of(database.spec)
    parts = parts_of(len(database.blocks), threads, least=least_blocks(len(losses)))
    scan = blocks_of(database), database.n, bits_of(allowed)
    step = at_once(len(parts) * _capacity(k))
    for start in range(0, len(losses), step):
        some = slice(start, min(start + step, len(losses)))
        _nearest_in_parts(scan, units, losses[some], parts, distances[some], rows[some])
    return distances, rows


@dataclass(frozen=True, eq=False)
class _Units:
    """How codes of a spec are unpacked into units.

    Attributes:
        places: int64 (n_units, bits_per_symbol, 2): place of the bits of each significance of a unit's segments,
            highest first: byte of the code, and shift of the last of them.
        widths: int64 (n_units,): segments that share a unit, counting missing ones.
        segments: int64 (n_units, most): segments of a unit; -1 where there is none.
        symbols: int64 (n_units, most, n_values): their symbols by the value of the unit.
    """

    places: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]
    segments: npt.NDArray[np.int64]
    symbols: npt.NDArray[np.int64]

    @classmethod
    def of(cls, spec: CodeSpec) -> _Units:
        bits = spec.bits_per_symbol
        most, values = max(1, 4 // bits), np.arange(max(16, spec.arity))
        places, widths, segments, symbols = [], [], [], []
        for group in range(0, spec.n_segments, 8):
            width = min(most, room_of(min(8, spec.n_segments - group)))
            for first in range(group, min(group + 8, spec.n_segments), width):
                here = np.arange(first, first + most)
                here[(here >= spec.n_segments) | (here >= first + width)] = -1
                # Bits of one significance are adjacent, the last segment lowest.
                of_each = [
                    [(values >> ((bits - 1 - bit) * width + width - 1 - min(j, width - 1))) & 1 for bit in range(bits)]
                    for j in range(most)
                ]
                places.append([(byte, shift - (width - 1)) for byte, shift in bit_places(spec, first)])
                widths.append(width)
                segments.append(here)
                symbols.append([np.sum([b << (bits - 1 - i) for i, b in enumerate(each)], axis=0) for each in of_each])
        return cls(*(np.array(part, dtype=np.int64) for part in (places, widths, segments, symbols)))

    def losses(self, losses: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Losses by the value of a unit, float32 (q, n_units, most, n_values), 0 for missing segments."""
        by_value = losses[:, self.segments[:, :, None], self.symbols]
        by_value[:, self.segments < 0] = 0
        return np.ascontiguousarray(by_value)


def _capacity(k: int) -> int:
    """Candidates of a query that a part holds before it drops all but the k nearest."""
    return k + max(128, k // 2)


def _nearest_in_parts(
    scan: tuple[Bytes, int, Bytes],
    units: _Units,
    losses: npt.NDArray[np.float32],
    parts: list[tuple[int, int]],
    distances: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
) -> None:
    """Fill in distances and rows (q, k) of the queries of one pass."""
    k = distances.shape[1]
    by_value = units.losses(losses)
    shape = (len(parts), len(losses), _capacity(k))
    near, where = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int64)
    sizes = np.zeros(shape[:2], dtype=np.int64)
    bounds = by_value.sum(axis=2, dtype=np.float64).reshape(len(losses), -1, 16)
    tile = max(STEP, min(_TILE, _TILE_BYTES // bounds.shape[1] // STEP * STEP))

    def one(number: int, part: tuple[int, int]) -> None:
        _nearest_of_part(
            *scan, units.places, units.widths, by_value, bounds, tile, *part, k,
            near[number], where[number], sizes[number],
        )  # fmt: skip

    in_threads(one, parts)
    for q in range(len(losses)):
        # Parts are in the order of rows, and so are the candidates of each.
        found = np.concatenate([near[part, q, : sizes[part, q]] for part in range(len(parts))])
        found_rows = np.concatenate([where[part, q, : sizes[part, q]] for part in range(len(parts))])
        order = np.argsort(found, kind="stable")[:k]
        distances[q], rows[q] = found[order], found_rows[order]


_compiled: Any = numba.njit(cache=True, nogil=True)
_byte = np.uint8


@_compiled
def _take_apart(tile, places, widths, n_splits, columns):  # type: ignore[no-untyped-def]
    """Values of all units of the codes of a tile, uint8 (n_columns, codes)."""
    n_units, n_bits, _ = places.shape
    size = tile.shape[1]
    symbols = np.empty(size, dtype=np.uint8)
    for unit in range(n_units):
        values = symbols if n_splits > 1 else columns[unit]
        times = _byte(1 << widths[unit])
        mask = _byte(times - 1)
        for bit in range(n_bits):
            plane, shift = tile[places[unit, bit, 0]], _byte(places[unit, bit, 1])
            if bit == 0:
                _first_bits(plane, shift, mask, values)
            else:
                _next_bits(plane, shift, mask, times, values)
        if n_splits > 1:
            for split in range(n_splits):
                _split(symbols, _byte(16 * split), columns[unit * n_splits + split])


@_compiled
def _first_bits(plane, shift, mask, values):  # type: ignore[no-untyped-def]
    for i in range(len(plane)):
        values[i] = shifted(plane[i], shift) & mask


@_compiled
def _next_bits(plane, shift, mask, times, values):  # type: ignore[no-untyped-def]
    for i in range(len(plane)):
        values[i] = _byte(_byte(values[i] * times) | _byte(shifted(plane[i], shift) & mask))


@_compiled
def _split(symbols, first, column):  # type: ignore[no-untyped-def]
    for i in range(len(symbols)):
        value = _byte(symbols[i] ^ first)
        column[i] = value if value < 16 else _byte(_NOTHING)


@_compiled
def _sums_in_registers(columns, tables, start, sums):  # type: ignore[no-untyped-def]
    return sum_of_step(columns, tables, start, sums)


@_compiled
def _sums_one_by_one(columns, tables, start, sums):  # type: ignore[no-untyped-def]
    sums[:] = 0
    for column in range(len(columns)):
        for i in range(STEP):
            value = columns[column, start + i]
            if value < 16:
                sums[i] = _byte(min(sums[i] + tables[column, value], FAR))
    near = False
    for i in range(STEP):
        near |= sums[i] < FAR
    return near


# Sums of the table entries of STEP codes from ``start`` on, saturating at FAR; returns whether any is smaller.
_sums = _sums_in_registers if has_look_up() else _sums_one_by_one


@_compiled
def _fill(tables, bounds, limit):  # type: ignore[no-untyped-def]
    """Tables scaled so that ``limit`` is just below 255. All zero for an infinite limit; nothing is below 0."""
    if not 0 < limit < np.inf:
        return
    # Float32 sums may be too low by one rounding per segment, and too large a scale would lose codes.
    scale = min(254 / (1.001 * limit), 1e30)
    for column in range(len(tables)):
        for value in range(16):
            tables[column, value] = _byte(min(bounds[column, value] * scale, 255.0))


@_compiled
def _distance(columns, i, n_splits, by_value):  # type: ignore[no-untyped-def]
    """The distance as defined: float32, added in the order of the segments."""
    n_units, most, _ = by_value.shape
    total = np.float32(0)
    for unit in range(n_units):
        value = np.uintp(columns[unit * n_splits, i])
        for split in range(1, n_splits):
            if columns[unit * n_splits + split, i] != _NOTHING:
                value = np.uintp(columns[unit * n_splits + split, i] + 16 * split)
        for j in range(most):
            total += by_value[unit, j, value]
    return total


@_compiled
def _keep_nearest(near, where, size, k):  # type: ignore[no-untyped-def]
    """Drop all but the k nearest, of equal ones the earlier; returns the largest distance left."""
    last = np.partition(near[:size], k - 1)[k - 1]
    nearer = 0
    for i in range(size):
        nearer += near[i] < last
    compact(near, where, size, last, k - nearer)
    return last


# Many parameters: Numba takes arrays and numbers, not dataclasses.
@_compiled
def _nearest_of_part(  # type: ignore[no-untyped-def]
    blocks, n, allowed, places, widths, by_value, bounds, tile_size, first_block, end_block, k, near, where, sizes
):
    """Candidates of a part of the blocks: its k nearest and possibly more, in the order of rows."""
    n_queries, capacity = near.shape
    n_columns = bounds.shape[1]
    n_splits = n_columns // len(widths)
    columns = np.empty((n_columns, tile_size), dtype=np.uint8)
    tables = np.zeros((n_queries, n_columns, 16), dtype=np.uint8)
    sums = np.empty(STEP, dtype=np.uint8)
    limits = np.full(n_queries, np.inf, dtype=np.float32)
    full = np.zeros(n_queries, dtype=np.bool_)
    for block in range(first_block, end_block):
        length = min(BLOCK, n - block * BLOCK)
        for start in range(0, length, tile_size):
            size = min(tile_size, length - start)
            # Whole steps: blocks are padded with zeros, and the sums of the padding are ignored.
            steps = min(-(-size // STEP) * STEP, tile_size)
            _take_apart(blocks[block][:, start : start + steps], places, widths, n_splits, columns[:, :steps])
            for q in range(n_queries):
                if full[q] and limits[q] == 0:
                    continue
                for step in range(0, size, STEP):
                    if not _sums(columns, tables[q], step, sums):
                        continue
                    for i in range(min(STEP, size - step)):
                        row = block * BLOCK + start + step + i
                        if sums[i] == FAR or not is_allowed(allowed, row):
                            continue
                        distance = _distance(columns, step + i, n_splits, by_value[q])
                        if full[q] and distance >= limits[q]:
                            continue
                        near[q, sizes[q]], where[q, sizes[q]] = distance, row
                        sizes[q] += 1
                        if sizes[q] == capacity:
                            limits[q] = _keep_nearest(near[q], where[q], sizes[q], k)
                            sizes[q], full[q] = k, True
                            _fill(tables[q], bounds[q], limits[q])
