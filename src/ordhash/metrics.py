"""Retrieval metrics as pure functions of arrays, exact in ties.

Codes have few distinct distances, so most rankings are full of ties, and a sort that breaks them by row or by luck
moves mAP by points. Here items at equal distance stand in random order and a metric is its expectation over all
those orders, in closed form (McSherry & Najork, "Computing information retrieval performance measures efficiently
in the presence of tied scores", ECIR 2008; He et al., "Hashing as tie-aware learning to rank", CVPR 2018,
arXiv:1705.08562). A distinct distance of a query is a *level*; every metric needs only the number of items and
of relevant items at each level.

Everywhere ``distances`` is (q, n), integers or floats without NaN, smaller is nearer; ``relevance`` is bool (q, n).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.checks import integer_at_least
from ordhash.errors import InputError

__all__ = [
    "PRCurve",
    "average_precision",
    "dense_ranks",
    "mean_average_precision",
    "precision_at",
    "precision_recall_curve",
    "precision_within",
]

Distances: TypeAlias = npt.NDArray[Any]
Relevance: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
Ties: TypeAlias = Literal["expected", "best", "worst"]

# A count per possible distance beats a sort as long as the possible distances are not many more than the items.
_COUNTABLE_RANGE = 1 << 16


def average_precision(
    distances: Distances,
    relevance: Relevance,
    *,
    cutoff: int | None = None,
    ties: Ties = "expected",
) -> Floats:
    """Average precision of every query: the mean precision at the positions of its relevant items.

    The sum of precisions is divided by the number of relevant items, or by the cutoff if that is smaller, so that
    a perfect ranking scores 1 at every cutoff.

    Args:
        distances: Integers or floats (q, n).
        relevance: bool (q, n); every query has at least one relevant item.
        cutoff: Positions that count; None is all of them.
        ties: ``expected`` over all orders of equal distances; ``best`` and ``worst`` put the relevant items of each
            level first or last, the bounds between which a careless sort falls.

    Returns:
        float64 (q,), from 0 to 1.

    Raises:
        InputError: Wrong shapes or dtypes, NaN, a cutoff below 1, or a query without a relevant item.

    >>> distances, relevance = np.array([[0, 1, 1, 2]]), np.array([[True, False, True, False]])
    >>> average_precision(distances, relevance)  # the mean of (1 + 2/2) / 2 and (1 + 2/3) / 2
    array([0.91666667])
    >>> average_precision(distances, relevance, ties="worst").round(3)
    array([0.833])
    """
    distances, relevance = _check(distances, relevance)
    relevant = _relevant_counts(relevance)
    n = distances.shape[1]
    last = n if cutoff is None else min(integer_at_least(cutoff, 1, "cutoff"), n)
    if ties not in ("expected", "best", "worst"):
        raise InputError(f"ties is {ties!r}; allowed are 'expected', 'best' and 'worst'")
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
    sums = [
        _precision_sum(*_levels(distances[row], relevance[row]), last, ties, harmonic) for row in range(len(distances))
    ]
    return np.asarray(sums, dtype=np.float64) / np.minimum(relevant, last)


def mean_average_precision(
    distances: Distances,
    relevance: Relevance,
    *,
    cutoff: int | None = None,
    ties: Ties = "expected",
) -> float:
    """Mean over the queries of [average_precision][ordhash.metrics.average_precision].

    Args:
        distances: Integers or floats (q, n), q at least 1.
        relevance: bool (q, n); every query has at least one relevant item.
        cutoff: Positions that count (mAP@cutoff); None is all of them (mAP@ALL).
        ties: As in average_precision.

    Returns:
        From 0 to 1.

    Raises:
        InputError: As average_precision, or no query.

    >>> mean_average_precision(np.array([[0, 1], [0, 1]]), np.array([[True, False], [False, True]]))
    0.75
    """
    each = average_precision(distances, relevance, cutoff=cutoff, ties=ties)
    if not len(each):
        raise InputError("there are 0 queries, so no mean; give at least one")
    return float(each.mean())


def precision_at(distances: Distances, relevance: Relevance, k: int) -> Floats:
    """Expected share of relevant items among the k nearest, of every query.

    Args:
        distances: Integers or floats (q, n).
        relevance: bool (q, n).
        k: From 1 to n.

    Returns:
        float64 (q,), from 0 to 1.

    Raises:
        InputError: Wrong shapes or dtypes, NaN, or a k outside 1..n.

    >>> precision_at(np.array([[0, 1, 1]]), np.array([[True, False, True]]), 2)
    array([0.75])
    """
    distances, relevance = _check(distances, relevance)
    n = distances.shape[1]
    wanted = integer_at_least(k, 1, "k")
    if wanted > n:
        raise InputError(f"k is {wanted}, but there are only {n} items; choose a k from 1 to {n}")
    out = np.empty(len(distances), dtype=np.float64)
    for row in range(len(distances)):
        items, relevant = _levels(distances[row], relevance[row])
        before = np.cumsum(items) - items
        taken = np.clip(wanted - before, 0, items)
        out[row] = (relevant * taken / items).sum() / wanted
    return out


def precision_within(distances: Distances, relevance: Relevance, radius: float) -> Floats:
    """Share of relevant items among those at most ``radius`` away, of every query.

    A query with nothing within the radius scores 0: a failed look-up is a failure (the usual convention for
    "precision within Hamming radius 2").

    Args:
        distances: Integers or floats (q, n).
        relevance: bool (q, n).
        radius: Largest distance that counts, itself included.

    Returns:
        float64 (q,), from 0 to 1.

    Raises:
        InputError: Wrong shapes or dtypes, or NaN.

    >>> distances, relevance = np.array([[0, 2, 3], [5, 6, 7]]), np.array([[True, False, True], [True, True, True]])
    >>> precision_within(distances, relevance, 2)
    array([0.5, 0. ])
    """
    distances, relevance = _check(distances, relevance)
    if np.isnan(radius):
        raise InputError("radius is NaN; give a number")
    within = distances <= radius
    found = np.count_nonzero(within, axis=1)
    hits = np.count_nonzero(within & relevance, axis=1)
    shares: Floats = hits / np.maximum(found, 1)
    return shares


@dataclass(frozen=True, eq=False)
class PRCurve:
    """Precision against recall, averaged over queries.

    Args:
        recall: float64 (points,), evenly spaced from 0 to 1.
        precision: float64 (points,), never rising.
    """

    recall: Floats
    precision: Floats


def precision_recall_curve(distances: Distances, relevance: Relevance, *, points: int = 101) -> PRCurve:
    """Interpolated precision at evenly spaced levels of recall, averaged over the queries.

    Of one query, the interpolated precision at recall r is the largest precision at any distance threshold whose
    recall is at least r. Thresholds are distances, so a tie is inside or outside as a whole and needs no order.

    Args:
        distances: Integers or floats (q, n), q at least 1.
        relevance: bool (q, n); every query has at least one relevant item.
        points: Levels of recall, from 0 to 1 with both ends; at least 2.

    Returns:
        The curve.

    Raises:
        InputError: Wrong shapes or dtypes, NaN, fewer than 2 points, no query, or a query without a relevant item.

    >>> curve = precision_recall_curve(np.array([[0, 1, 2]]), np.array([[True, False, True]]), points=3)
    >>> curve.recall, curve.precision.round(3)
    (array([0. , 0.5, 1. ]), array([1.   , 1.   , 0.667]))
    """
    distances, relevance = _check(distances, relevance)
    if integer_at_least(points, 1, "points") < 2:
        raise InputError(f"points is {points}; allowed is at least 2: recall 0 and recall 1")
    if not len(distances):
        raise InputError("there are 0 queries, so no curve; give at least one")
    total = _relevant_counts(relevance)
    steps = np.arange(points)
    sums = np.zeros(points, dtype=np.float64)
    for row in range(len(distances)):
        items, relevant = _levels(distances[row], relevance[row])
        found = np.cumsum(relevant)
        best_from_here = np.maximum.accumulate((found / np.cumsum(items))[::-1])[::-1]
        # In whole items, because 3 of 10 against a level of 0.3 must not hang on the last bit of a float.
        needed = -(-steps * total[row] // (points - 1))
        sums += best_from_here[np.searchsorted(found, needed)]
    return PRCurve(steps / (points - 1), sums / len(distances))


def dense_ranks(distances: Distances) -> npt.NDArray[np.int32]:
    """Position of every distance among the distinct distances of its query: the same order and the same ties.

    Several metrics of one set of float distances cost one sort this way, instead of one each.

    Args:
        distances: Integers or floats (q, n).

    Returns:
        int32 (q, n).

    >>> dense_ranks(np.array([[0.5, 0.1, 0.5, 2.0]]))
    array([[1, 0, 1, 2]], dtype=int32)
    """
    distances = np.asarray(distances)
    ranks = np.empty(distances.shape, dtype=np.int32)
    for row, values in enumerate(distances):
        ranks[row] = np.unique(values, return_inverse=True)[1]
    return ranks


def _precision_sum(
    items: npt.NDArray[np.int64],
    relevant: npt.NDArray[np.int64],
    last: int,
    ties: Ties,
    harmonic: Floats,
) -> float:
    """Sum of the precisions at the relevant positions up to ``last``, of one query's levels.

    With N items and R relevant ones before a level of n items, r of them relevant, position N + k of the level is
    relevant with probability r/n, and then R + 1 + (k-1)(r-1)/(n-1) relevant items are expected up to it. The sum
    over k of such linear terms over N + k is a multiple of k and a difference of harmonic numbers H:
    sum_{k=1..m} (a + s k) / (N + k) = s m + (a - s N) (H[N+m] - H[N]).
    """
    before = np.cumsum(items) - items
    relevant_before = np.cumsum(relevant) - relevant
    used = (relevant > 0) & (before < last)
    n, r, N, R = items[used], relevant[used], before[used], relevant_before[used]
    if ties == "expected":
        m = np.minimum(n, last - N)
        slope = (r - 1) / np.maximum(n - 1, 1)
        start = R + 1 - slope
        weight = r / n
    else:
        # The r relevant items stand together, at the head of the level or at its tail: precisions (R + k) / (N + k).
        if ties == "worst":
            N = N + n - r
        m = np.clip(last - N, 0, r)
        slope = np.ones(len(r))
        start = R.astype(np.float64)
        weight = np.ones(len(r))
    reached = np.minimum(N, last)
    terms = weight * (slope * m + (start - slope * N) * (harmonic[reached + m] - harmonic[reached]))
    return float(terms.sum())


def _levels(
    distances: npt.NDArray[Any], relevance: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Items and relevant items at each distinct distance (n,) of one query, nearest first."""
    if distances.dtype.kind in "iu" and distances.size:
        low, high = int(distances.min()), int(distances.max())
        if high - low <= max(_COUNTABLE_RANGE, 2 * distances.size):
            # Unsigned values may exceed int64, and differences of signed ones their own type: each where it is safe.
            wide = distances if distances.dtype.kind == "u" else distances.astype(np.int64)
            offsets = (wide - wide.dtype.type(low)).astype(np.intp)
            items = np.bincount(offsets)
            relevant = np.bincount(offsets[relevance], minlength=len(items))
            present = items > 0
            return items[present], relevant[present]
    order = np.argsort(distances)
    ordered = distances[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: distances.size])
    items = np.diff(np.append(starts, distances.size))
    hits = np.concatenate([[0], np.cumsum(relevance[order])])
    return items, np.diff(np.append(hits[starts], hits[-1]))


def _check(distances: Distances, relevance: Relevance) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    distances, relevance = np.asarray(distances), np.asarray(relevance)
    if distances.ndim != 2 or distances.dtype.kind not in "iuf":
        raise InputError(
            f"distances are {distances.dtype} {distances.shape}; allowed are integers or floats of shape (q, n)"
        )
    if relevance.dtype != np.bool_:
        raise InputError(f"relevance is {relevance.dtype}; allowed is bool: compare graded relevance with a threshold")
    if relevance.shape != distances.shape:
        raise InputError(f"relevance has shape {relevance.shape} and distances {distances.shape}; give equal shapes")
    if distances.dtype.kind == "f":
        bad = np.flatnonzero(np.isnan(distances).any(axis=1))
        if len(bad):
            raise InputError(f"distances of query row {bad[0]} hold NaN, which has no place in an order: remove it")
    return distances, relevance


def _relevant_counts(relevance: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = np.count_nonzero(relevance, axis=1).astype(np.int64)
    without = np.flatnonzero(counts == 0)
    if len(without):
        raise InputError(
            f"query row {without[0]} has no relevant item ({len(without)} such queries), so the metric is undefined "
            "for it: leave such queries out, and say so"
        )
    return counts
