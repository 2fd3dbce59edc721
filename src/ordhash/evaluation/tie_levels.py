"""Levels of a ranking: the distinct distances of a query and their items. Every metric is computed from these.

Codes have few distinct distances, so a metric that is exact in ties needs only two numbers of each level: how many
items it has, and how much they are worth together.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError

__all__ = ["Distances", "Levels", "check_distances", "in_row_order", "levels", "levels_of_queries"]

Distances: TypeAlias = npt.NDArray[Any]
# Of one query, nearest first: items of each level, and the sum of a value over them.
Levels: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[Any]]

# A count per possible distance beats a sort as long as the possible distances are not many more than the items.
_COUNTABLE_RANGE = 1 << 16


def levels(distances: npt.NDArray[Any], values: npt.NDArray[Any]) -> Levels:
    """Items at each distinct distance of one query, nearest first, and the sum of a value over them.

    Args:
        distances: Integers or floats (n,), without NaN.
        values: bool (n,), which is counted, or float64 (n,), which is added up.

    Returns:
        Two arrays, one element a level: int64, and int64 or float64.

    >>> levels(np.array([3, 1, 3]), np.array([True, False, True]))
    (array([1, 2]), array([0, 2]))
    """
    counted = values.dtype == np.bool_
    if distances.dtype.kind in "iu" and distances.size:
        low, high = int(distances.min()), int(distances.max())
        if high - low <= max(_COUNTABLE_RANGE, 2 * distances.size):
            # Unsigned values may exceed int64, and differences of signed ones their own type: each where it is safe.
            wide = distances if distances.dtype.kind == "u" else distances.astype(np.int64)
            offsets = (wide - wide.dtype.type(low)).astype(np.intp)
            items = np.bincount(offsets)
            summed = (
                np.bincount(offsets[values], minlength=len(items)) if counted else np.bincount(offsets, weights=values)
            )
            present = items > 0
            return items[present], summed[present]
    order = np.argsort(distances)
    ordered = distances[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: distances.size])
    items = np.diff(np.append(starts, distances.size))
    return items, np.add.reduceat(values[order].astype(np.int64 if counted else np.float64), starts)


def levels_of_queries(distances: Distances, values: npt.NDArray[Any]) -> list[Levels]:
    """Levels of every query, from which several metrics can be computed at the cost of one sort.

    Args:
        distances: Integers or floats (q, n), without NaN.
        values: bool or float64 (q, n).

    >>> levels_of_queries(np.array([[3, 1, 3]]), np.array([[True, False, True]]))
    [(array([1, 2]), array([0, 2]))]
    """
    return [levels(*query) for query in zip(distances, values, strict=True)]


def in_row_order(distances: Distances, relevance: npt.NDArray[np.bool_]) -> list[Levels]:
    """One level for every item, in the order of a stable sort.

    Args:
        distances: Integers or floats (q, n), without NaN.
        relevance: bool (q, n).

    >>> in_row_order(np.array([[3, 1, 3]]), np.array([[True, False, False]]))
    [(array([1, 1, 1]), array([0, 1, 0]))]
    """
    alone = np.ones(distances.shape[1], dtype=np.int64)
    orders = np.argsort(distances, axis=1, kind="stable")
    return [(alone, ordered) for ordered in np.take_along_axis(relevance, orders, axis=1).astype(np.int64)]


def check_distances(distances: Distances) -> npt.NDArray[Any]:
    """Distances as an array.

    Raises:
        InputError: They are not integers or floats of shape (q, n), or hold NaN.
    """
    distances = np.asarray(distances)
    if distances.ndim != 2 or distances.dtype.kind not in "iuf":
        raise InputError(
            f"distances are {distances.dtype} {distances.shape}; allowed are integers or floats of shape (q, n)"
        )
    if distances.dtype.kind == "f":
        bad = np.flatnonzero(np.isnan(distances).any(axis=1))
        if len(bad):
            raise InputError(f"distances of query row {bad[0]} hold NaN, which cannot be ordered: remove it")
    return distances
