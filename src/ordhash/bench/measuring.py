"""Compute the metrics of a run from its stored codes and scores."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.bench.compressed import compressed_distances
from ordhash.bench.learning import Learned
from ordhash.bench.prepared import Prepared
from ordhash.bench.results import Outcome, Ranking
from ordhash.codes import CodeSpec, OrdinalCodes, PartCodes, Searched
from ordhash.data.protocols import Protocol
from ordhash.evaluation import cosine_distances, rank_quality
from ordhash.learn import DOHConfig
from ordhash.support import replace_file

__all__ = ["keep", "measure", "measure_compressed", "measure_raw_features"]


def keep(path: Path, learned: Learned, *, seconds: float) -> None:
    """Store the input of the metrics: packed codes of the database, scores of the queries, and facts of the run.

    Args:
        path: The file, ``.npz``.
        learned: The run.
        seconds: Time so far.
    """
    spec, parts = learned.database.spec, learned.parts
    arrays: dict[str, npt.NDArray[Any]] = {
        "database": learned.database.packed(),
        "scores": learned.scores,
        "spec": np.array([spec.code_bits, spec.arity]),
        "facts": np.array(json.dumps(dataclasses.replace(learned.facts, seconds=seconds).to_json())),
    }
    if parts is not None:
        arrays |= {"parts": parts.codes.packed(), "owners": parts.owners, "boxes": parts.boxes}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def measure(path: Path, protocol: Protocol) -> Outcome:
    """Facts of a run and the quality of both distances.

    Args:
        path: File written by ``keep``.
        protocol: Its protocol.
    """
    with np.load(path) as kept:
        spec = CodeSpec(*(int(value) for value in kept["spec"]))
        database, scores = OrdinalCodes.from_packed(kept["database"], spec), kept["scores"]
        facts = json.loads(str(kept["facts"])) if "facts" in kept else {}  # older files have none
        parts = None
        if "parts" in kept:
            parts = PartCodes(OrdinalCodes.from_packed(kept["parts"], spec), kept["owners"], kept["boxes"])
    queries = OrdinalCodes.from_scores(scores)
    searched = Searched(database, parts)
    ordinal = rank_quality(lambda rows: searched.ordinal(queries[rows]), protocol, radii=(0, 1, 2))
    asymmetric = rank_quality(lambda rows: searched.asymmetric(scores[rows]), protocol)
    return dataclasses.replace(
        Outcome.from_json(facts),
        distinct_codes=len(np.unique(database.packed(), axis=0)),
        parts_each=None if parts is None else len(parts) / len(database),
        ordinal=Ranking.of(ordinal),
        asymmetric=Ranking.of(asymmetric),
    )


def measure_raw_features(prepared: Prepared) -> Outcome:
    """Quality of ranking by the cosine of the backbone's last features, a bound to compare codes with.

    Args:
        prepared: The protocol.
    """
    queries, database = (part.averages()[:, : prepared.last_channels] for part in (prepared.query, prepared.database))
    found = rank_quality(lambda rows: cosine_distances(queries[rows], database), prepared.protocol)
    return Outcome(floats=queries.shape[1], ordinal=Ranking.of(found))


def measure_compressed(prepared: Prepared, name: str, config: DOHConfig) -> Outcome:
    """Quality of ranking by the same features, compressed; learned from the training images, without their labels.

    Args:
        prepared: The protocol.
        name: Of the compression.
        config: Gives the length.
    """
    train, queries, database = (
        part.averages()[:, : prepared.last_channels] for part in (prepared.train, prepared.query, prepared.database)
    )
    distances = compressed_distances(name, config, train, queries, database)
    return Outcome(asymmetric=Ranking.of(rank_quality(distances, prepared.protocol)))
