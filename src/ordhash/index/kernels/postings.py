"""From the nearest distinct codes to the nearest rows."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ordhash.index.kernels.parts import bits_of, is_allowed
from ordhash.index.planes import Bytes

__all__ = ["expand", "has_allowed"]

Expanded = tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.bool_]]


def expand(
    near: npt.NDArray[Any],
    codes: npt.NDArray[np.int64],
    all_codes: bool,
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.uint32],
    allowed: Bytes | None,
    k: int,
) -> Expanded:
    """The k nearest rows of every query, ordered by (distance, row), from its nearest distinct codes.

    Args:
        near: uint16 or float32 (q, m): distances of the nearest codes, ascending.
        codes: int64 (q, m): numbers of these codes.
        all_codes: Whether these are all codes.
        offsets: int64: where the rows of each code start.
        rows: uint32: the rows of each code, ascending.
        allowed: As in [nearest][ordhash.index.kernels.nearest].
        k: At most the number of allowed rows.

    Returns:
        Distances (q, k), rows (q, k), and (q,) whether these codes were enough; if not, the other two are undefined.

    >>> near, codes = np.array([[0, 1]], dtype=np.uint16), np.array([[1, 0]])
    >>> offsets, rows = np.array([0, 2, 3]), np.array([0, 2, 1], dtype=np.uint32)
    >>> expand(near, codes, True, offsets, rows, None, 2)
    (array([[0, 1]], dtype=uint16), array([[1, 0]]), array([ True]))
    """
    distances, found = np.empty((len(near), k), dtype=near.dtype), np.empty((len(near), k), dtype=np.int64)
    offsets, rows = _read_only(offsets), _read_only(rows)
    done = np.zeros(len(near), dtype=np.bool_)
    _expand(near, codes, all_codes, offsets, rows, bits_of(allowed), distances, found, done)
    return distances, found, done


def has_allowed(offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.uint32], allowed: Bytes) -> npt.NDArray[np.bool_]:
    """Whether a code has an allowed row, bool (m,).

    >>> has_allowed(np.array([0, 2, 3]), np.array([0, 2, 1], dtype=np.uint32), np.array([0b100], dtype=np.uint8))
    array([ True, False])
    """
    has = np.zeros(len(offsets) - 1, dtype=np.bool_)
    _has_allowed(_read_only(offsets), _read_only(rows), allowed, has)
    return has


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A read-only view, as of a mapped file: with one type, code is compiled once."""
    view = values.view()
    view.flags.writeable = False
    return view


_compiled: Any = numba.njit(cache=True, nogil=True)


@_compiled
def _has_allowed(offsets, rows, allowed, has):  # type: ignore[no-untyped-def]
    for code in range(len(has)):
        for place in range(offsets[code], offsets[code + 1]):
            if is_allowed(allowed, np.int64(rows[place])):
                has[code] = True
                break


# Many parameters: Numba takes arrays and numbers, not dataclasses.
@_compiled
def _expand(near, codes, all_codes, offsets, rows, allowed, distances, found, done):  # type: ignore[no-untyped-def]
    n_queries, m = near.shape
    k = found.shape[1]
    for q in range(n_queries):
        taken, first = 0, 0
        while taken < k and first < m:
            end = first
            while end < m and near[q, end] == near[q, first]:
                end += 1
            if end == m and not all_codes:
                break  # other codes may be as near and have earlier rows
            some = _smallest_rows(codes[q, first:end], offsets, rows, allowed, k - taken)
            distances[q, taken : taken + len(some)] = near[q, first]
            found[q, taken : taken + len(some)] = some
            taken += len(some)
            first = end
        done[q] = taken == k


@_compiled
def _smallest_rows(codes, offsets, rows, allowed, wanted):  # type: ignore[no-untyped-def]
    """The smallest allowed rows of some codes, ascending, at most ``wanted``."""
    kept = np.empty(2 * wanted + 64, dtype=np.int64)
    size, bound = 0, np.iinfo(np.int64).max
    for code in codes:
        for place in range(offsets[code], offsets[code + 1]):
            row = np.int64(rows[place])
            if row >= bound:
                break  # the remaining rows of this code are larger
            if is_allowed(allowed, row):
                kept[size] = row
                size += 1
                if size == len(kept):
                    kept.sort()
                    size, bound = wanted, kept[wanted - 1]
    return np.sort(kept[:size])[:wanted]
