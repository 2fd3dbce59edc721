"""Looking up images: an encoder and an index give answers that say all that a person wants to know of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ordhash.collection import Collection
from ordhash.data.imageset import Images, as_image_set
from ordhash.encoder import Encoder
from ordhash.errors import ImageError, InputError
from ordhash.fingerprint import fingerprint
from ordhash.index import OrdinalIndex
from ordhash.index.items import Where

__all__ = ["Answer", "Answers", "look_up", "metadata_at"]


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


def look_up(
    images: Images,
    encoder: Encoder,
    index: OrdinalIndex,
    *,
    collection: Collection | None = None,
    top_k: int = 10,
    asymmetric: bool = False,
    likely: bool = False,
    where: Where | None = None,
    progress: bool = False,
) -> tuple[list[Answers], list[ImageError]]:
    """Search with images.

    Args:
        images: As [Encoder.run][ordhash.encoder.Encoder.run] takes them.
        encoder: The model of the index.
        index: Where to search.
        collection: The collection that the index is of, to tell near-duplicates from what looks alike.
        top_k: How many answers for each image.
        asymmetric: Whether to rank by asymmetric distance.
        likely: Whether to leave out what lies beyond the suggested cut-off of the model.
        where: As [OrdinalIndex.search][ordhash.index.OrdinalIndex.search] takes it.
        progress: Whether to show a bar while scans are compiled.

    Returns:
        Answers for every usable image, and why the others cannot be used.

    Raises:
        InputError: The index is of another model, or ``likely`` is asked of a model without calibration.
    """
    calibration = encoder.info.asymmetric_calibration if asymmetric else encoder.info.calibration
    if likely and calibration is None:
        raise InputError(
            f"{encoder.path} does not know how likely its results are: no labelled images were held out when it was "
            "trained; train it again with labels, or ask for all results"
        )
    wanted = as_image_set(images)
    encoded = encoder.run(wanted)
    index.warm_up(len(encoded.rows), progress=progress)
    if asymmetric:
        result = index.search_asymmetric(encoded.scores, top_k=top_k, model_id=encoder.model_id, where=where)
    else:
        result = index.search(encoded.codes, top_k=top_k, where=where)
    answers = []
    for place, row in enumerate(encoded.rows.tolist()):
        keys, distances = result.keys[place].tolist(), result.distances[place]
        likelihoods = [None] * len(keys) if calibration is None else calibration.likelihood(distances).tolist()
        same: list[bool | None] = [None] * len(keys)
        if collection is not None:
            same = [*collection.near_duplicates(fingerprint(encoder.info.form.read(wanted, row)), keys)]
        metadata = metadata_at(index, result.rows[place])
        found = tuple(map(Answer, keys, distances.tolist(), likelihoods, same, metadata))
        if likely and calibration is not None:
            limit = -1 if calibration.cutoff is None else calibration.cutoff
            found = tuple(answer for answer in found if answer.distance <= limit or answer.near_duplicate)
        answers.append(Answers(wanted.name(row), found))
    return answers, encoded.failures


def metadata_at(index: OrdinalIndex, rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Metadata of some rows, as Python values by the name of the column; nothing where the index has none."""
    if index.metadata is None:
        return [{} for _ in rows]
    found = index.metadata.take(pa.array(rows))
    for place, field in enumerate(found.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":  # Python's times have no nanoseconds
            coarser = found.column(place).cast(pa.timestamp("us", field.type.tz), safe=False)
            found = found.set_column(place, field.name, coarser)
    values: list[dict[str, Any]] = found.to_pylist()
    return values
