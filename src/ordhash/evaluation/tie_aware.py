"""Expectations of metrics over all orders of equal distances, from the levels of queries.

A level is a distinct distance of a query; every metric here needs only how many items each level has and how many of
them are relevant (``ordhash.evaluation.tie_levels``), so one count serves them all.
``ordhash.evaluation.metrics`` says what they mean, and takes distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError
from ordhash.evaluation.tie_levels import Levels

__all__ = [
    "Convention",
    "Floats",
    "Ties",
    "average_precisions",
    "check_conventions",
    "check_relevant",
    "expected_average_precision",
    "founds_at",
    "interpolated_precision",
    "precisions_at",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ties: TypeAlias = Literal["expected", "best", "worst", "row"]
Convention: TypeAlias = Literal["normal", "hits-in-top-k", "all-relevant"]
_Counts: TypeAlias = npt.NDArray[np.int64]
_Used: TypeAlias = tuple[_Counts, _Counts, _Counts, _Counts]


def average_precisions(queries: Sequence[Levels], last: int, orders: Sequence[Ties], convention: Convention) -> Floats:
    """Average precision of every query, for several orders of ties.

    Args:
        queries: Items and relevant items at every level, n items and at least one relevant one a query; for ``row``
            every item is its own level.
        last: Positions that count, at most n.
        orders: As [average_precision][ordhash.evaluation.average_precision] takes them.
        convention: As it takes it.

    Returns:
        float64 (orders, q).

    >>> average_precisions([(np.array([1, 2, 1]), np.array([1, 1, 0]))], 4, ["expected"], "normal")
    array([[0.91666667]])
    """
    n = max((int(items.sum()) for items, _ in queries), default=0)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    values = np.empty((len(orders), len(queries)), dtype=np.float64)
    for row, (items, hits) in enumerate(queries):
        if convention == "hits-in-top-k":
            values[:, row] = [_precision_per_hit(items, hits, last, one, harmonic, log_factorial) for one in orders]
        else:
            whole, used = int(hits.sum()), _used_levels(items, hits, last)
            counted = min(whole, last) if convention == "normal" else whole
            values[:, row] = [_precision_sum(used, last, one, harmonic) / counted for one in orders]
    return values


def expected_average_precision(items: npt.NDArray[np.integer[Any]], relevant: npt.NDArray[np.integer[Any]]) -> Floats:
    """Average precision of every query, expected over all orders of ties, from counts at every possible distance.

    As [average_precision][ordhash.evaluation.average_precision] of the distances; counts can be added up, so one count
    of parts of a database serves all their unions.

    Args:
        items: Items at distance 0, 1, 2, ... of every query, (q, distances); a distance may have none.
        relevant: How many of them are relevant, (q, distances); at least one a query.

    Returns:
        float64 (q,).

    >>> expected_average_precision(np.array([[1, 0, 2, 1]]), np.array([[1, 0, 1, 0]]))
    array([0.91666667])
    """
    most = int(items.sum(axis=1).max(initial=0))
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, most + 1))])
    N, R = np.cumsum(items, axis=1) - items, np.cumsum(relevant, axis=1) - relevant
    sums = _expected_sums(np.maximum(items, 1), relevant, N, R, items, harmonic)
    return np.asarray(np.where(relevant > 0, sums, 0.0).sum(axis=1) / relevant.sum(axis=1))


def precisions_at(queries: Sequence[Levels], k: Sequence[int]) -> Floats:
    """Expected share of relevant items among the k nearest, of every query, for several k.

    Args:
        queries: Items and relevant items at every level.
        k: From 1 to the number of items of every query.

    Returns:
        float64 (len(k), q).

    >>> precisions_at([(np.array([1, 2]), np.array([1, 1]))], [1, 2])
    array([[1.  ],
           [0.75]])
    """
    wanted = np.asarray(k)
    values = np.empty((len(wanted), len(queries)), dtype=np.float64)
    for row, (items, hits) in enumerate(queries):
        ends = np.cumsum(items)
        cut = np.searchsorted(ends, wanted)  # the level that the k-th item is of
        before = ends[cut] - items[cut]
        found = np.cumsum(hits)[cut] - hits[cut]
        values[:, row] = (found + hits[cut] * (wanted - before) / items[cut]) / wanted
    return values


def founds_at(queries: Sequence[Levels], k: Sequence[int]) -> Floats:
    """Probability that a relevant item is among the k nearest, of every query, for several k.

    Args:
        queries: Items and relevant items at every level.
        k: From 1 to the number of items of every query.

    Returns:
        float64 (len(k), q).

    >>> founds_at([(np.array([1, 3]), np.array([0, 2]))], [1, 2, 3])
    array([[0.        ],
           [0.66666667],
           [1.        ]])
    """
    values = np.empty((len(k), len(queries)), dtype=np.float64)
    for column, (items, hits) in enumerate(queries):
        first = int(np.argmax(hits > 0))  # the level of the nearest relevant items
        before, level, relevant = int(items[:first].sum()), int(items[first]), int(hits[first])
        for row, wanted in enumerate(k):
            drawn = min(max(wanted - before, 0), level)
            values[row, column] = 1 - np.prod(1 - relevant / np.arange(level, level - drawn, -1))
    return values


def interpolated_precision(queries: Sequence[Levels], points: int) -> Floats:
    """Interpolated precision at evenly spaced levels of recall, summed over the queries.

    Args:
        queries: Items and relevant items at every level, at least one relevant item a query.
        points: Levels of recall, from 0 to 1 with both ends; at least 2.

    Returns:
        float64 (points,).

    >>> interpolated_precision([(np.array([1, 1, 1]), np.array([1, 0, 1]))], 3).round(3)
    array([1.   , 1.   , 0.667])
    """
    steps = np.arange(points)
    sums = np.zeros(points, dtype=np.float64)
    for items, hits in queries:
        found = np.cumsum(hits)
        best_from_here = np.maximum.accumulate((found / np.cumsum(items))[::-1])[::-1]
        # In whole items, because 3 of 10 against a level of 0.3 must not hang on the last bit of a float.
        needed = -(-steps * int(found[-1]) // (points - 1))
        sums += best_from_here[np.searchsorted(found, needed)]
    return sums


def check_conventions(ties: str, convention: str) -> None:
    """Refuse an unknown order of ties or convention of average precision.

    Raises:
        InputError: One of them is unknown.

    >>> check_conventions("row", "all-relevant")
    """
    for name, value, kind in (("ties", ties, Ties), ("convention", convention, Convention)):
        allowed = [repr(choice) for choice in get_args(kind)]
        if value not in get_args(kind):
            raise InputError(f"{name} is {value!r}; allowed are {', '.join(allowed[:-1])} and {allowed[-1]}")


def check_relevant(relevance: npt.NDArray[np.bool_]) -> None:
    """Refuse queries without relevant items.

    Raises:
        InputError: A row of relevance (q, n) has none.
    """
    without = np.flatnonzero(~relevance.any(axis=1))
    if len(without):
        raise InputError(
            f"query row {without[0]} has no relevant item ({len(without)} such queries), so the metric is undefined "
            "for it: leave such queries out, and say so"
        )


def _used_levels(items: _Counts, relevant: _Counts, last: int) -> _Used:
    """Of the levels that hold relevant items and begin before ``last``: n items, r of them relevant, N and R before."""
    used = np.flatnonzero(relevant)
    ends, found = np.cumsum(items)[used], np.cumsum(relevant)[used]
    n, r = items[used], relevant[used]
    N, R = ends - n, found - r
    if len(N) and N[-1] >= last:
        there = int(np.searchsorted(N, last))
        n, r, N, R = n[:there], r[:there], N[:there], R[:there]
    return n, r, N, R


def _precision_sum(used: _Used, last: int, ties: Ties, harmonic: Floats) -> float:
    """Sum of the precisions at the relevant positions up to ``last``, of one query's levels.

    With N items and R relevant ones before a level of n items, r of them relevant, position N + k of the level is
    relevant with probability r/n, and then R + 1 + (k-1)(r-1)/(n-1) relevant items are expected up to it. The sum
    over k of such linear terms over N + k is a multiple of k and a difference of harmonic numbers H:
    sum_{k=1..m} (a + s k) / (N + k) = s m + (a - s N) (H[N+m] - H[N]).
    """
    n, r, N, R = used
    if ties in ("expected", "row"):
        return float(_expected_sums(n, r, N, R, np.minimum(n, last - N), harmonic).sum())
    # The r relevant items stand together, at the head of the level or at its tail: precisions (R + k) / (N + k).
    if ties == "worst":
        N = N + n - r
    m = np.clip(last - N, 0, r)
    reached = np.minimum(N, last)
    return float((m + (R - N) * (harmonic[reached + m] - harmonic[reached])).sum())


def _expected_sums(n: Any, r: Any, N: Any, R: Any, m: Any, harmonic: Floats) -> Floats:
    """Expected sums of precisions over the first m positions of levels, as _precision_sum explains; they broadcast."""
    slope = (r - 1) / np.maximum(n - 1, 1)
    sums: Floats = r / n * (slope * m + (R + 1 - slope - slope * N) * (harmonic[N + m] - harmonic[N]))
    return sums


def _precision_per_hit(
    items: npt.NDArray[np.int64],
    relevant: npt.NDArray[np.int64],
    last: int,
    ties: Ties,
    harmonic: Floats,
    log_factorial: Floats,
) -> float:
    """Mean of the precisions at the relevant positions up to ``last``, of one query's levels; 0 without relevant items.

    Only the level that ``last`` falls into has a number of hits that depends on the order of ties: of its n items, r of
    them relevant, m are taken, h of them relevant with hypergeometric probability, and those stand in random order.
    """
    ends = np.cumsum(items)
    cut = int(np.searchsorted(ends, last))
    n, r = int(items[cut]), int(relevant[cut])
    N, R = int(ends[cut]) - n, int(relevant[:cut].sum())
    m = last - N
    h = np.arange(max(0, m - (n - r)), min(r, m) + 1)
    if ties == "best":
        h = h[-1:]
    elif ties == "worst":
        h = h[:1]
    before = _precision_sum(_used_levels(items[:cut], relevant[:cut], last), last, ties, harmonic)
    if ties in ("best", "worst"):
        inside = np.array([_precision_sum(_used_levels(items, relevant, last), last, ties, harmonic) - before])
    else:
        inside = _expected_sums(m, h, N, R, m, harmonic)
    logs = -(log_factorial[h] + log_factorial[r - h] + log_factorial[m - h] + log_factorial[n - r - m + h])
    chances = np.exp(logs - logs.max())
    return float((chances * (before + inside) / np.maximum(R + h, 1)).sum() / chances.sum())
