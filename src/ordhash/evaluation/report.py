"""How good a model is: one protocol and one encoder give a Report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import ordhash
from ordhash.codes import Searched
from ordhash.data.protocols import Protocol
from ordhash.errors import DataError
from ordhash.evaluation import metrics
from ordhash.evaluation.tie_aware import (
    Convention,
    Ties,
    average_precisions,
    check_conventions,
    check_relevant,
    founds_at,
    interpolated_precision,
    precisions_at,
)
from ordhash.evaluation.tie_levels import check_distances, in_row_order, levels_of_queries
from ordhash.model import Encoder
from ordhash.support import progress_bar, unit_rows

__all__ = ["Quality", "Report", "cosine_distances", "evaluate", "rank_quality"]

_QUERIES_AT_ONCE = 100
_PRECISION_AT = (1, 10, 100, 1000)
_RADII = (0, 1, 2)

DistancesOf = Callable[[slice], npt.NDArray[Any]]


@dataclass(frozen=True)
class Quality:
    """Quality of one ranking: means over the queries, each the expectation over all orders of ties.

    ``map`` follows the order of ties and the convention of average precision that were chosen.

    Attributes:
        map: Mean average precision, at the protocol's cutoff.
        map_best: The same with relevant items first among equals: what a lucky sort would report.
        map_worst: The same with relevant items last.
        precision_at: Share of relevant items among the k nearest, for some k.
        precision_within: Share of relevant items within an ordinal radius; empty for distances that are not ordinal.
        recall: Levels of the precision-recall curve.
        precision: Interpolated precision at these levels.
        found_at: Share of the queries that have a relevant item among the k nearest (recall@k), for some k.
        by_group: ``map`` of every group of the protocol, by its name.
        ndcg: Normalised discounted cumulative gain at the protocol's cutoff; None for relevance in one grade.
        average_precisions: Average precision of every query, whose mean is ``map``.
    """

    map: float
    map_best: float
    map_worst: float
    precision_at: dict[int, float]
    precision_within: dict[int, float]
    recall: tuple[float, ...] = field(repr=False)
    precision: tuple[float, ...] = field(repr=False)
    ndcg: float | None = None
    found_at: dict[int, float] = field(default_factory=dict)
    by_group: dict[str, float] = field(default_factory=dict)
    average_precisions: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Report:
    """Result of an evaluation.

    Attributes:
        protocol: Name of the protocol.
        protocol_hash: Its hash.
        model_id: Digest of the model file.
        method: Method that made the codes.
        code_bits: Length of a code.
        arity: K.
        cutoff: Positions that count for mAP; None is all.
        n_queries: Number of queries.
        n_database: Number of images in the database.
        left_out: Images that could not be used.
        distinct_codes: Different codes of images in the database.
        ordinal: Ranking by ordinal distance.
        asymmetric: Ranking by asymmetric distance (the query keeps its scores).
        ties: Order of equal distances that ``map`` is for.
        convention: What average precision is divided by.
        note: What the protocol says of this copy of its data.
        parts: Parts of an image of the database in the mean; None if parts were left out.
        version: Version of this package.
    """

    protocol: str
    protocol_hash: str
    model_id: str
    method: dict[str, Any]
    code_bits: int
    arity: int
    cutoff: int | None
    n_queries: int
    n_database: int
    left_out: tuple[str, ...]
    distinct_codes: int
    ordinal: Quality
    asymmetric: Quality
    ties: Ties = "expected"
    convention: Convention = "normal"
    note: str = ""
    parts: float | None = None
    version: str = ordhash.__version__

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without those of single queries."""
        values = dataclasses.asdict(self)
        for ranking in ("ordinal", "asymmetric"):
            del values[ranking]["average_precisions"]
        return values


def evaluate(
    encoder: Encoder,
    protocol: Protocol,
    *,
    parts: bool = False,
    ties: Ties = "expected",
    convention: Convention = "normal",
    progress: bool = False,
) -> Report:
    """Search every query of a protocol in its database, by both distances.

    Images that cannot be read are left out and named in the report.

    Args:
        encoder: A model.
        protocol: Queries, database and relevance.
        parts: Whether an image of the database is as near as its nearest part.
        ties: As in [average_precision][ordhash.evaluation.average_precision].
        convention: As there.
        progress: Whether to show a bar.

    Raises:
        InputError: Unknown ties or convention.
        DataError: No query or no database image can be used, or a query lost its last relevant image to broken files.
    """
    check_conventions(ties, convention)  # before the work, not after it
    query, database = encoder.run(protocol.query), encoder.run(protocol.database, parts=parts)
    if len(query.rows) == 0 or len(database.rows) == 0:
        raise DataError(f"protocol {protocol.name}: no query or no database image can be used; check the files")
    if query.failures or database.failures:
        protocol = dataclasses.replace(
            protocol, query=protocol.query.subset(query.rows), database=protocol.database.subset(database.rows)
        )
    codes, queries, of_parts = database.codes, query.codes, database.parts
    searched = Searched(codes, of_parts)
    return Report(
        protocol=protocol.name,
        protocol_hash=protocol.hash(),
        model_id=encoder.model_id,
        method=encoder.info.method,
        code_bits=encoder.spec.code_bits,
        arity=encoder.spec.arity,
        cutoff=protocol.cutoff,
        n_queries=len(queries),
        n_database=len(codes),
        left_out=tuple(str(failure) for failure in (*query.failures, *database.failures)),
        distinct_codes=len(np.unique(codes.packed(), axis=0)),
        ordinal=rank_quality(
            lambda rows: searched.ordinal(queries[rows]),
            protocol,
            radii=_RADII,
            ties=ties,
            convention=convention,
            progress=progress,
        ),
        asymmetric=rank_quality(
            lambda rows: searched.asymmetric(query.scores[rows]),
            protocol,
            ties=ties,
            convention=convention,
            progress=progress,
        ),
        ties=ties,
        convention=convention,
        note=protocol.note,
        parts=None if of_parts is None else len(of_parts) / len(codes),
    )


def rank_quality(
    distances_of: DistancesOf,
    protocol: Protocol,
    *,
    radii: tuple[int, ...] = (),
    ties: Ties = "expected",
    convention: Convention = "normal",
    progress: bool = False,
) -> Quality:
    """Quality of a ranking by any distance.

    Args:
        distances_of: Distances (len(rows), n_database) of the queries at some rows.
        protocol: Queries, database and relevance.
        radii: Radii for the precision within a radius.
        ties: As in [average_precision][ordhash.evaluation.average_precision]: what ``map`` is for.
        convention: As there: for ``map``, ``map_best`` and ``map_worst``.
        progress: Whether to show a bar.
    """
    n, n_database = len(protocol.query), len(protocol.database)
    within_reach = [k for k in _PRECISION_AT if k <= n_database]
    groups = protocol.group_masks()
    of_groups: dict[str, list[float]] = {name: [] for name in groups}
    sums: dict[str, float] = {}
    each: list[float] = []
    curve = np.zeros(101)

    def add(name: str, values: npt.NDArray[np.float64]) -> None:
        sums[name] = sums.get(name, 0.0) + float(values.sum())

    with progress_bar("Ranking", n, show=progress) as advance:
        for start in range(0, n, _QUERIES_AT_ONCE):
            rows = slice(start, min(start + _QUERIES_AT_ONCE, n))
            distances, relevance = check_distances(distances_of(rows)), protocol.relevance(rows)
            for radius in radii:
                add(f"within {radius}", metrics.precision_within(distances, relevance, radius))
            check_relevant(relevance)
            queries = levels_of_queries(distances, relevance)  # counted once, for all that follows
            last = min(protocol.cutoff or n_database, n_database)
            best, worst, expected = average_precisions(queries, last, ["best", "worst", "expected"], convention)
            if ties == "expected":
                mean = expected
            else:
                asked = in_row_order(distances, relevance) if ties == "row" else queries
                (mean,) = average_precisions(asked, last, [ties], convention)
            each += mean.tolist()
            add("map_best", best)
            add("map_worst", worst)
            if protocol.coarse is not None:
                add("ndcg", metrics.ndcg(distances, protocol.gains(rows), cutoff=protocol.cutoff))
            for k, shares in zip(within_reach, precisions_at(queries, within_reach), strict=True):
                add(f"at {k}", shares)
            for k, found in zip(within_reach, founds_at(queries, within_reach), strict=True):
                add(f"found {k}", found)
            curve += interpolated_precision(queries, len(curve))
            for name, (with_queries, among) in groups.items():
                part = np.ix_(with_queries[rows], among)
                of_groups[name] += _precisions(distances[part], relevance[part], protocol.cutoff, ties, convention)
            advance(len(distances))
    return Quality(
        map=math.fsum(each) / n,
        map_best=sums["map_best"] / n,
        map_worst=sums["map_worst"] / n,
        precision_at={k: sums[f"at {k}"] / n for k in within_reach},
        found_at={k: sums[f"found {k}"] / n for k in within_reach},
        by_group={name: math.fsum(values) / len(values) for name, values in of_groups.items() if values},
        precision_within={radius: sums[f"within {radius}"] / n for radius in radii},
        recall=tuple((np.arange(len(curve)) / (len(curve) - 1)).tolist()),
        precision=tuple((curve / n).tolist()),
        ndcg=sums["ndcg"] / n if "ndcg" in sums else None,
        average_precisions=tuple(each),
    )


def _precisions(
    distances: npt.NDArray[Any],
    relevance: npt.NDArray[np.bool_],
    cutoff: int | None,
    ties: Ties,
    convention: Convention,
) -> list[float]:
    """Average precision of the queries that can find something."""
    findable = relevance.any(axis=1)
    if not findable.any():
        return []
    found = metrics.average_precision(
        distances[findable], relevance[findable], cutoff=cutoff, ties=ties, convention=convention
    )
    return [float(value) for value in found]


def cosine_distances(
    queries: npt.NDArray[np.floating[Any]], database: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float32]:
    """1 - cosine of the angle between feature vectors: the ranking that codes are measured against.

    Args:
        queries: float (q, D).
        database: float (n, D).

    Returns:
        float32 (q, n).

    >>> cosine_distances(np.eye(2), np.array([[3.0, 0.0]])).tolist()
    [[0.0], [1.0]]
    """
    return np.asarray(1 - unit_rows(queries) @ unit_rows(database).T, dtype=np.float32)
