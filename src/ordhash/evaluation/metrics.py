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

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError
from ordhash.evaluation.tie_aware import (
    Convention,
    Floats,
    Ties,
    average_precisions,
    check_conventions,
    check_relevant,
    founds_at,
    interpolated_precision,
    precisions_at,
)
from ordhash.evaluation.tie_levels import Distances, check_distances, in_row_order, levels, levels_of_queries
from ordhash.support import integer_at_least

__all__ = [
    "Convention",
    "PRCurve",
    "Ties",
    "average_precision",
    "check_conventions",
    "found_at",
    "mean_average_precision",
    "ndcg",
    "precision_at",
    "precision_recall_curve",
    "precision_within",
]

Relevance: TypeAlias = npt.NDArray[np.bool_]


def average_precision(
    distances: Distances,
    relevance: Relevance,
    *,
    cutoff: int | None = None,
    ties: Ties = "expected",
    convention: Convention = "normal",
) -> Floats:
    """Average precision of every query: the mean precision at the positions of its relevant items.

    The sum of precisions is divided by the number of relevant items, or by the cutoff if that is smaller, so that
    a perfect ranking scores 1 at every cutoff. Other ties and conventions exist only to reproduce the numbers
    of other toolkits: ``hits-in-top-k`` ignores relevant items that were not found, and the order of rows is arbitrary.

    Args:
        distances: Integers or floats (q, n).
        relevance: bool (q, n); every query has at least one relevant item.
        cutoff: Positions that count; None is all of them.
        ties: ``expected`` over all orders of equal distances; ``best`` and ``worst`` put the relevant items of each
            level first or last, the bounds between which a careless sort falls (not so with ``hits-in-top-k``, where
            a hit more can lower the mean); ``row`` is the order of a stable sort.
        convention: What the sum of precisions is divided by. ``normal`` as above; ``all-relevant`` by all relevant
            items, however few the cutoff lets through; ``hits-in-top-k`` by the relevant items that are among the
            first ``cutoff``, 0 for a query that has none there (as CalcTopMap of DeepHash-pytorch does). All three
            are one without a cutoff.

    Returns:
        float64 (q,), from 0 to 1.

    Raises:
        InputError: Wrong shapes or dtypes, NaN, a cutoff below 1, or a query without a relevant item.

    >>> distances, relevance = np.array([[0, 1, 1, 2]]), np.array([[True, False, True, False]])
    >>> average_precision(distances, relevance)  # the mean of (1 + 2/2) / 2 and (1 + 2/3) / 2
    array([0.91666667])
    >>> average_precision(distances, relevance, ties="worst").round(3)
    array([0.833])
    >>> average_precision(distances, relevance, cutoff=2, ties="row", convention="hits-in-top-k")
    array([1.])
    """
    distances, relevance = _check(distances, relevance)
    check_relevant(relevance)
    n = distances.shape[1]
    last = n if cutoff is None else min(integer_at_least(cutoff, 1, "cutoff"), n)
    check_conventions(ties, convention)
    queries = in_row_order(distances, relevance) if ties == "row" else levels_of_queries(distances, relevance)
    (precisions,) = average_precisions(queries, last, [ties], convention)
    return np.asarray(precisions)


def mean_average_precision(
    distances: Distances,
    relevance: Relevance,
    *,
    cutoff: int | None = None,
    ties: Ties = "expected",
    convention: Convention = "normal",
) -> float:
    """Mean over the queries of [average_precision][ordhash.evaluation.average_precision].

    Args:
        distances: Integers or floats (q, n), q at least 1.
        relevance: bool (q, n); every query has at least one relevant item.
        cutoff: Positions that count (mAP@cutoff); None is all of them (mAP@ALL).
        ties: As in average_precision.
        convention: As in average_precision.

    Returns:
        From 0 to 1.

    Raises:
        InputError: As average_precision, or no query.

    >>> mean_average_precision(np.array([[0, 1], [0, 1]]), np.array([[True, False], [False, True]]))
    0.75
    """
    each = average_precision(distances, relevance, cutoff=cutoff, ties=ties, convention=convention)
    if not len(each):
        raise InputError("there are 0 queries, so no mean; give at least one")
    return float(each.mean())


def ndcg(distances: Distances, gains: npt.ArrayLike, *, cutoff: int | None = None) -> Floats:
    """Normalised discounted cumulative gain of every query, for relevance that has grades.

    DCG is the sum of the gains, each divided by log2(1 + its position) (Järvelin and Kekäläinen, "Cumulated gain-based
    evaluation of IR techniques", TOIS 2002), expected over all orders of equal distances: an item of a level stands at
    each of its positions alike, so a level adds its mean gain times the sum of its discounts (McSherry and Najork,
    ECIR 2008). It is divided by the DCG of the items in order of falling gain. Gains count as they are given; for
    the exponential form, give ``2.0**grades - 1``.

    Args:
        distances: Integers or floats (q, n).
        gains: Integers or floats (q, n), at least 0; every query has at least one above 0.
        cutoff: Positions that count, of the ranking and of the ideal one; None is all of them.

    Returns:
        float64 (q,), from 0 to 1.

    Raises:
        InputError: Wrong shapes or dtypes, NaN, a negative gain, a cutoff below 1, or a query without any gain.

    >>> ndcg(np.array([[0, 1, 1, 2]]), np.array([[2, 0, 1, 0]])).round(3)
    array([0.975])
    """
    distances, gains = check_distances(distances), np.asarray(gains)
    if gains.dtype.kind not in "iuf" or gains.shape != distances.shape:
        raise InputError(
            f"gains are {gains.dtype} {gains.shape}; allowed are integers or floats of the shape of the distances, "
            f"{distances.shape}"
        )
    if not (np.isfinite(gains) & (gains >= 0)).all():
        raise InputError("a gain is negative or not finite; allowed are 0 and more")
    without = np.flatnonzero(~(gains > 0).any(axis=1))
    if len(without):
        raise InputError(
            f"query row {without[0]} has no item with a gain ({len(without)} such queries), so the metric is undefined "
            "for it: leave such queries out, and say so"
        )
    n = distances.shape[1]
    last = n if cutoff is None else min(integer_at_least(cutoff, 1, "cutoff"), n)
    discounts = 1.0 / np.log2(np.arange(2, last + 2))
    discounted = np.concatenate([[0.0], np.cumsum(discounts)])
    out = np.empty(len(distances), dtype=np.float64)
    for row in range(len(distances)):
        items, total = levels(distances[row], gains[row].astype(np.float64))
        ends = np.minimum(np.cumsum(items), last)
        share = np.diff(discounted[ends], prepend=0.0)
        ideal = np.sort(gains[row])[::-1][:last].astype(np.float64)
        out[row] = (total / items * share).sum() / (ideal * discounts).sum()
    return np.minimum(out, 1.0)  # rounding


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
    wanted = _position(k, distances.shape[1])
    (shares,) = precisions_at(levels_of_queries(distances, relevance), [wanted])
    return np.asarray(shares)


def found_at(distances: Distances, relevance: Relevance, k: int) -> Floats:
    """Whether a relevant item is among the k nearest: 0, 1, or how probable that is where ties decide.

    Metric learning calls its mean recall@k.

    Args:
        distances: Integers or floats (q, n).
        relevance: bool (q, n).
        k: From 1 to n.

    Returns:
        float64 (q,).

    Raises:
        InputError: Wrong shapes or dtypes, NaN, or a k outside 1..n.

    >>> found_at(np.array([[0, 1, 1]]), np.array([[False, False, True]]), 2)
    array([0.5])
    """
    distances, relevance = _check(distances, relevance)
    wanted = _position(k, distances.shape[1])
    (found,) = founds_at(levels_of_queries(distances, relevance), [wanted])
    return np.asarray(found)


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
        InputError: Wrong shapes or dtypes, NaN, or a radius that is not a number.

    >>> distances, relevance = np.array([[0, 2, 3], [5, 6, 7]]), np.array([[True, False, True], [True, True, True]])
    >>> precision_within(distances, relevance, 2)
    array([0.5, 0. ])
    """
    distances, relevance = _check(distances, relevance)
    if not isinstance(radius, Real) or math.isnan(radius):
        raise InputError(f"radius is {radius!r}; give a number")
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
    check_relevant(relevance)
    precision = interpolated_precision(levels_of_queries(distances, relevance), points) / len(distances)
    return PRCurve(np.arange(points) / (points - 1), precision)


def _position(k: int, n: int) -> int:
    wanted = integer_at_least(k, 1, "k")
    if wanted > n:
        raise InputError(f"k is {wanted}, but there are only {n} items; choose a k from 1 to {n}")
    return wanted


def _check(distances: Distances, relevance: Relevance) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    distances, relevance = check_distances(distances), np.asarray(relevance)
    if relevance.dtype != np.bool_:
        raise InputError(
            f"relevance is {relevance.dtype}; allowed is bool: compare grades with a threshold, or use ndcg"
        )
    if relevance.shape != distances.shape:
        raise InputError(f"relevance has shape {relevance.shape} and distances {distances.shape}; give equal shapes")
    return distances, relevance
