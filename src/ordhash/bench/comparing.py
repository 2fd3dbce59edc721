"""Differences between methods, with intervals that pair them by seed and by query.

Two methods meet the same queries and the same seeds, so their difference is known better than either of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.stats

from ordhash.bench.compressed import COMPRESSED
from ordhash.bench.recipe import RAW_FEATURES
from ordhash.bench.results import Comparison, FinishedRun, Ranking, Results, Row
from ordhash.learn.objectives import Classifier

__all__ = ["BOUNDS", "compare", "paired_interval"]

BOUNDS = (RAW_FEATURES, Classifier.name)
"""Methods that others are compared with; they are never called the best."""

Precisions = dict[int, tuple[float, ...]]  # seed -> average precision of every query


def compare(runs: Sequence[FinishedRun], rows: Sequence[Row], known: Results | None = None) -> list[Comparison]:
    """The best hashing method against every other one, on each protocol, at each length and by each distance.

    What is not a matter of chance has a single run, which meets every seed of the others. Of others with different
    seeds those count that both have, and if that is one where either has more, there is no comparison: it would take
    the chance of that seed for a difference.

    Args:
        runs: Finished runs. Those adopted from another machine do not know the precision of every query: nothing is
            compared with them.
        rows: Rows of the tables, in order.
        known: Results of the other machine, whose comparisons hold where all runs are adopted and it compared these
            rows with the same seeds: the best of others may be another one.
    """
    hashing = {row.name for row in rows if row.method not in BOUNDS}
    certain = {row.name for row in rows if row.method in COMPRESSED}
    places: dict[tuple[str, int, str], dict[str, Precisions]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        if run.row in hashing and run.code_bits is not None:
            for distance in ("ordinal", "asymmetric"):
                ranking: Ranking | None = getattr(run.outcome, distance)
                if ranking is not None:
                    places[run.protocol, run.code_bits, distance][run.row][run.seed] = ranking.average_precisions
    found = []
    for (protocol, bits, distance), measured in places.items():
        whole = [bool(precisions) for seeds in measured.values() for precisions in seeds.values()]
        if not any(whole):
            found += [] if known is None else _among(measured, known, (protocol, bits, distance))
        if not all(whole):
            continue
        best = max(measured, key=lambda row: np.mean(list(measured[row].values())))
        for row in measured:
            if row == best:
                continue
            pair = _paired(measured[best], measured[row], certain=bool({best, row} & certain))
            if pair is not None:
                mean, half = paired_interval(*pair)
                found.append(Comparison(protocol, bits, distance, best, row, round(mean, 5), round(half, 5)))
    return found


def _among(measured: dict[str, Precisions], known: Results, column: tuple[str, int, str]) -> list[Comparison]:
    """Known comparisons of a column between rows that are there; none unless they tell all of these apart."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for run in known.runs:
        if (run.protocol, run.code_bits) == column[:2]:
            seeds[run.row].add(run.seed)
    if any(seeds[row] != set(found) for row, found in measured.items()):
        return []
    theirs = [one for one in known.comparisons if (one.protocol, one.code_bits, one.distance) == column]
    theirs = [one for one in theirs if {one.best, one.row} <= set(measured)]
    return theirs if {name for one in theirs for name in (one.best, one.row)} == set(measured) else []


def paired_interval(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Mean difference of two methods, and half the width of its 95 % interval over seeds and queries.

    Seeds and queries are both samples (a two-way layout with random effects), so the variance of the mean is
    (MS_seeds + MS_queries - MS_rest) / (seeds queries), with the mean squares of an analysis of variance, and Student's
    t has the degrees of freedom of Satterthwaite (Biometrics Bulletin 1946). With one seed only queries vary.

    Args:
        one: Average precisions of a method, float64 (seeds, queries), at least two queries.
        other: Those of the other for the same seeds and queries.

    >>> mean, half = paired_interval(np.array([[0.9, 0.7, 0.8]]), np.array([[0.8, 0.5, 0.5]]))
    >>> round(mean, 3), round(half, 3)
    (0.2, 0.248)
    """
    difference = one - other
    seeds, queries = difference.shape
    mean = float(difference.mean())
    of_seeds, of_queries = difference.mean(axis=1, keepdims=True) - mean, difference.mean(axis=0, keepdims=True) - mean
    free = np.array([queries - 1, seeds - 1, (seeds - 1) * (queries - 1)])
    rest = difference - mean - of_seeds - of_queries
    sums = np.array([seeds * (of_queries**2).sum(), queries * (of_seeds**2).sum(), (rest**2).sum()])
    squares = sums / np.maximum(free, 1)
    squares[:2] = np.maximum(squares[:2], squares[2])  # where seeds or queries seem to vary less than nothing
    parts = squares * np.array([1.0, 1.0, -1.0])
    whole = parts.sum()
    if whole <= 0:
        return mean, 0.0
    freedom = whole**2 / (parts[free > 0] ** 2 / free[free > 0]).sum()
    return mean, float(scipy.stats.t.ppf(0.975, freedom) * np.sqrt(whole / (seeds * queries)))


def _paired(
    one: Precisions, other: Precisions, *, certain: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Average precisions (seeds, queries) of both for the seeds that count; None if they cannot be compared."""
    seeds = sorted(set(one) & set(other))
    if certain and 1 in (len(one), len(other)):
        seeds = sorted(set(one) | set(other))
    elif not seeds or (len(seeds) == 1 and max(len(one), len(other)) > 1):
        return None
    first, second = (
        np.array([method.get(seed, next(iter(method.values()))) for seed in seeds]) for method in (one, other)
    )
    return first, second
