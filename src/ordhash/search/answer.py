"""The one kind of answer that every search gives, and the functions that make it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes, PartCodes
from ordhash.collection import Entry, first_alike
from ordhash.index import OrdinalIndex, SearchResult
from ordhash.search.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Answer",
    "Answers",
    "Box",
    "answers_in",
    "answers_of",
    "metadata_at",
    "values_of",
    "with_likelihoods",
    "with_pictures",
]

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of a picture, as shares of its width and height."""

_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Answer:
    """An image that a search found.

    Attributes:
        key: Its key in the index.
        distance: Ordinal distance, or asymmetric distance where that was asked for.
        metadata: Its columns.
        likelihood: Share of pairs at that distance that are of the same kind at least, with 95 % confidence, by the
            images held out of the training; None where the model is not calibrated, or the query or this image is
            unlike anything that it learned from.
        near_duplicate: Whether it shows the same picture as the query; None where that is not known: only collections
            keep fingerprints.
        group: The same number for answers that show the same picture; None as above.
        agreeing: For every segment, whether its symbol is the query's; None as above.
        unlike: Whether it is unlike anything that the model learned from; None where that is not known: only
            collections keep it.
        box: The part of it that is so near; None where the whole image is, or parts were not searched.
    """

    key: Any
    distance: float
    metadata: dict[str, Any]
    likelihood: float | None = None
    near_duplicate: bool | None = None
    group: int | None = None
    agreeing: tuple[bool, ...] | None = None
    unlike: bool | None = None
    box: Box | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a search found, nearest first.

    Attributes:
        query: Name of what was searched with.
        found: The answers.
        attention: For every example a map (h, w) of where the network looked, and the part of the picture that the map
            covers; empty where no network ran or nobody asked.
        encode_seconds: Time of decoding and of the network.
        search_seconds: Time of the rest.
        unlike: Whether the query is unlike anything that the model learned from; None where the model cannot tell. Then
            no answer has a likelihood.
    """

    query: str
    found: tuple[Answer, ...]
    attention: tuple[tuple[npt.NDArray[np.float32], Box], ...] = ()
    encode_seconds: float = 0.0
    search_seconds: float = 0.0
    unlike: bool | None = None


def answers_of(
    keys: Sequence[Any], distances: npt.NDArray[Any], metadata: Sequence[dict[str, Any]]
) -> tuple[Answer, ...]:
    """Answers to one query, as an index gives them.

    Args:
        keys: k keys, nearest first.
        distances: Their distances, (k,).
        metadata: Their columns.

    >>> answers_of(["cat.jpg"], np.array([2]), [{}])[0].distance
    2
    """
    return tuple(map(Answer, keys, distances.tolist(), metadata))


def answers_in(index: OrdinalIndex, result: SearchResult, query: int = 0) -> tuple[Answer, ...]:
    """Answers to one of the queries of a search.

    Args:
        index: What was searched.
        result: What it found.
        query: Which query.
    """
    rows = result.rows[query]
    found = answers_of(result.keys[query].tolist(), result.distances[query], metadata_at(index, rows))
    if result.boxes is None:
        return found
    parts = [None if box == _WHOLE else box for box in map(tuple, result.boxes[query].tolist())]
    return tuple(dataclasses.replace(answer, box=box) for answer, box in zip(found, parts, strict=True))


def with_likelihoods(answers: Sequence[Answer], likelihoods: npt.NDArray[np.floating[Any]]) -> tuple[Answer, ...]:
    """Answers with the likelihood of each.

    Args:
        answers: k answers.
        likelihoods: (k,).
    """
    pairs = zip(answers, likelihoods.tolist(), strict=True)
    return tuple(dataclasses.replace(answer, likelihood=likelihood) for answer, likelihood in pairs)


def with_pictures(
    answers: Sequence[Answer],
    target: Target,
    fingerprints: Sequence[bytes],
    symbols: npt.NDArray[np.integer[Any]],
) -> tuple[Answer, ...]:
    """Answers with what the target's collection knows of their pictures; those deleted meanwhile are left out.

    Args:
        answers: Nearest first.
        target: What was searched; without a collection the answers stay as they are.
        fingerprints: Of the query's pictures.
        symbols: Of the query, (n_segments,).

    Raises:
        OtherModelError: The collection was encoded again by another model.
    """
    if target.collection is None:
        return tuple(answers)
    entries = target.collection.entries([answer.key for answer in answers], model_id=target.encoder.model_id)
    there = [(answer, entry) for answer, entry in zip(answers, entries, strict=True) if entry is not None]
    if not there:
        return ()
    packed = np.frombuffer(b"".join(_code_found(*pair, target.encoder.spec) for pair in there), dtype=np.uint8)
    agreeing = OrdinalCodes.from_packed(packed.reshape(len(there), -1), target.encoder.spec).symbols == symbols
    own = [entry.fingerprint for _, entry in there]
    same = [place is not None for place in first_alike(own, fingerprints)]
    groups: list[int] = []
    for place, earlier in enumerate(first_alike(own)):
        groups.append(place if earlier is None else groups[earlier])
    return tuple(
        dataclasses.replace(
            answer,
            likelihood=None if entry.is_unlike else answer.likelihood,
            near_duplicate=near_duplicate,
            group=group,
            agreeing=tuple(row),
            unlike=entry.is_unlike,
        )
        for (answer, entry), near_duplicate, group, row in zip(there, same, groups, agreeing.tolist(), strict=True)
    )


def _code_found(answer: Answer, entry: Entry, spec: CodeSpec) -> bytes:
    """The packed code that is so near: of the whole image, or of the part in the answer's box."""
    if answer.box is None or entry.parts is None:
        return entry.code
    parts = PartCodes.from_packed([entry.parts], spec)
    here = np.flatnonzero(np.abs(parts.shares - answer.box).max(axis=1) < 1 / 510)
    return parts.codes[here[:1]].packed().tobytes() if len(here) else entry.code


def metadata_at(index: OrdinalIndex, rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Metadata of some rows, as Python values by the name of the column; empty where the index has none.

    Args:
        index: The index.
        rows: Of the items, (k,).
    """
    if index.metadata is None:
        return [{} for _ in rows]
    return values_of(index.metadata.take(rows))


def values_of(metadata: pa.Table) -> list[dict[str, Any]]:
    """Rows of metadata as Python values by the name of the column.

    Args:
        metadata: A table of k rows.

    >>> import pyarrow as pa
    >>> values_of(pa.table({"size": [1, None]}))
    [{'size': 1}, {'size': None}]
    """
    import pyarrow as pa

    for place, field in enumerate(metadata.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":  # Python's times have no nanoseconds
            coarser = metadata.column(place).cast(pa.timestamp("us", field.type.tz), safe=False)
            metadata = metadata.set_column(place, field.name, coarser)
    columns = [_values(column) for column in metadata.columns]
    names = metadata.column_names
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Values of a column; as texts where Python has none that are as large or as fine, such as days after 9999."""
    import pyarrow as pa

    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        try:
            values = column.cast(pa.string()).to_pylist()
        except pa.ArrowException:  # within lists and other values of several parts
            values = ["<value out of range>" if value.is_valid else None for value in column]
    return values
