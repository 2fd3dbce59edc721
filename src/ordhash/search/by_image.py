"""Looking up images: an encoder and an index give answers that say all that a person wants to know of a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ordhash.codes import OrdinalCodes
from ordhash.collection import Collection, fingerprint
from ordhash.data import Images, as_image_set
from ordhash.errors import ImageError, InputError
from ordhash.index import Condition, OrdinalIndex, Where, rows_that_meet
from ordhash.model import Encoded, Encoder

__all__ = ["Answer", "Answers", "Hits", "Nearest", "look_up", "metadata_at", "values_of"]


@dataclass(frozen=True)
class Answer:
    """An image that was found.

    Attributes:
        key: The user's key.
        distance: Ordinal distance, or asymmetric distance where that was asked for.
        likelihood: Share of pairs at that distance that were of the same kind, on the validation images of the model;
            None where the model is not calibrated.
        near_duplicate: Whether it shows the same picture as the query, not only one that looks alike; None where that
            is not known: fingerprints are kept by collections.
        metadata: Its columns.
    """

    key: Any
    distance: float
    likelihood: float | None
    near_duplicate: bool | None
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What was found for one image, nearest first.

    Attributes:
        query: Name of the image.
        found: The answers.
    """

    query: str
    found: tuple[Answer, ...]


@dataclass(frozen=True)
class Hits:
    """What an index found for one query, nearest first.

    Attributes:
        keys: The user's keys.
        distances: Their distances, (k,).
        metadata: Their columns.
    """

    keys: list[Any]
    distances: npt.NDArray[Any]
    metadata: list[dict[str, Any]]


class Nearest(Protocol):
    """An index that another engine keeps, and which searches by ordinal distance."""

    def nearest(self, codes: OrdinalCodes, *, top_k: int, conditions: Sequence[Condition]) -> list[Hits]:
        """The nearest items of every query that meet all conditions."""


def look_up(
    images: Images,
    encoder: Encoder,
    index: OrdinalIndex | Nearest,
    *,
    collection: Collection | None = None,
    top_k: int = 10,
    asymmetric: bool = False,
    likely: bool = False,
    conditions: Sequence[Condition] = (),
    progress: bool = False,
) -> tuple[list[Answers], list[ImageError]]:
    """Search with images.

    Args:
        images: As [Encoder.run][ordhash.model.Encoder.run] takes them.
        encoder: The model of the index.
        index: Where to search; one of another engine ranks by ordinal distance alone.
        collection: The collection that the index is of, to tell near-duplicates from what looks alike.
        top_k: How many answers for each image.
        asymmetric: Whether to rank by asymmetric distance.
        likely: Whether to leave out what lies beyond the suggested cut-off of the model.
        conditions: Conditions on metadata columns, all of which an answer must meet.
        progress: Whether to show a bar while scans are compiled.

    Returns:
        Answers for every usable image, and why the others cannot be used.

    Raises:
        InputError: The index is of another model, a condition does not go with its columns, ``likely`` is asked of a
            model without calibration, or asymmetric distance of an index that has none.
    """
    calibration = encoder.info.asymmetric_calibration if asymmetric else encoder.info.calibration
    if likely and calibration is None:
        raise InputError(
            f"{encoder.path} does not know how likely its results are: no labelled images were held out when it was "
            "trained; train it again with labels, or ask for all results"
        )
    where = rows_that_meet(index, conditions) if isinstance(index, OrdinalIndex) else None
    if asymmetric and not isinstance(index, OrdinalIndex):
        raise InputError("another engine knows no asymmetric distance; leave it out, or search the collection here")
    wanted = as_image_set(images)
    encoded = encoder.run(wanted)
    if isinstance(index, OrdinalIndex):
        index.warm_up(len(encoded.rows), progress=progress)
        every = _hits(index, encoded, top_k=top_k, asymmetric=asymmetric, where=where)
    else:
        every = index.nearest(encoded.codes, top_k=top_k, conditions=conditions)
    answers = []
    for row, hits in zip(encoded.rows.tolist(), every, strict=True):
        keys, distances = hits.keys, hits.distances
        likelihoods = [None] * len(keys) if calibration is None else calibration.likelihood(distances).tolist()
        same: list[bool | None] = [None] * len(keys)
        if collection is not None:
            same = [*collection.near_duplicates(fingerprint(encoder.info.form.read(wanted, row)), keys)]
        found = tuple(map(Answer, keys, distances.tolist(), likelihoods, same, hits.metadata))
        if likely and calibration is not None:
            limit = -1 if calibration.cutoff is None else calibration.cutoff
            found = tuple(answer for answer in found if answer.distance <= limit or answer.near_duplicate)
        answers.append(Answers(wanted.name(row), found))
    return answers, encoded.failures


def _hits(index: OrdinalIndex, encoded: Encoded, *, top_k: int, asymmetric: bool, where: Where | None) -> list[Hits]:
    if asymmetric:
        result = index.search_asymmetric(encoded.scores, top_k=top_k, model_id=encoded.model_id, where=where)
    else:
        result = index.search(encoded.codes, top_k=top_k, where=where)
    return [
        Hits(keys.tolist(), distances, metadata_at(index, rows))
        for keys, distances, rows in zip(result.keys, result.distances, result.rows, strict=True)
    ]


def metadata_at(index: OrdinalIndex, rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Metadata of some rows, as Python values by the name of the column; nothing where the index has none."""
    if index.metadata is None:
        return [{} for _ in rows]
    return values_of(index.metadata.take(pa.array(rows)))


def values_of(metadata: pa.Table) -> list[dict[str, Any]]:
    """The rows of metadata columns as Python values by the name of the column.

    >>> values_of(pa.table({"size": [1, None]}))
    [{'size': 1}, {'size': None}]
    """
    for place, field in enumerate(metadata.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":  # Python's times have no nanoseconds
            coarser = metadata.column(place).cast(pa.timestamp("us", field.type.tz), safe=False)
            metadata = metadata.set_column(place, field.name, coarser)
    values: list[dict[str, Any]] = metadata.to_pylist()
    return values
