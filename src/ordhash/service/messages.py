"""Requests and responses of version 1 of the API."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from ordhash.index import Comparison
from ordhash.search import Box as Edges

__all__ = [
    "Added",
    "AttentionMap",
    "Box",
    "Column",
    "Deleted",
    "ExampleImage",
    "Failure",
    "Failures",
    "Filter",
    "Health",
    "Image",
    "Images",
    "Problem",
    "Progress",
    "Result",
    "SearchAnswer",
    "SearchRequest",
    "Status",
    "Value",
    "attention_map",
    "box_of",
]

Value = str | int | float | bool | datetime.datetime | None


Key = Annotated[str, Field(max_length=4096)]  # as long as a path may be

# Decoded later, one image at a time.
Base64 = Annotated[str, WithJsonSchema({"type": "string", "format": "byte"})]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")


class Problem(_Message):
    """Why a request failed: one sentence that says what was given, what is allowed and what to do."""

    detail: str


class Box(_Message):
    """Part of a picture, as shares of its width and height."""

    left: Annotated[float, Field(ge=0, le=1)] = 0
    top: Annotated[float, Field(ge=0, le=1)] = 0
    right: Annotated[float, Field(ge=0, le=1)] = 1
    bottom: Annotated[float, Field(ge=0, le=1)] = 1

    @model_validator(mode="after")
    def _has_an_area(self) -> Self:
        if not (self.left < self.right and self.top < self.bottom):
            raise ValueError("left must be smaller than right, and top than bottom")
        return self


class ExampleImage(_Message):
    """A photograph of the collection, by its key, or an image that is sent, in base64.

    ``name`` is the name of a sent image in errors.
    """

    key: Key | None = None
    image: Base64 | None = None
    name: Annotated[str | None, Field(max_length=500)] = None
    box: Box | None = None
    wanted: bool = True

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.key is None) == (self.image is None):
            raise ValueError("give either key or image")
        return self


class Filter(_Message):
    """A comparison of a column with a value, written as text; ``~`` asks whether it contains that.

    A time without an offset from UTC is in the time zone of the service.
    """

    column: Annotated[str, Field(max_length=1000)]
    comparison: Comparison = "="
    value: Annotated[str, Field(max_length=10_000)]


class SearchRequest(_Message):
    """A search. Ordinal distance takes one whole photograph of the collection and runs no network.

    With ``parts`` a photograph is as near as its nearest part, if one is nearer than the whole. Without ``agreeing`` an
    answer is shorter.
    """

    examples: Annotated[list[ExampleImage], Field(min_length=1, max_length=16)]
    top_k: Annotated[int, Field(ge=1, le=1000)] = 50
    distance: Literal["asymmetric", "ordinal"] = "asymmetric"
    filters: Annotated[list[Filter], Field(max_length=16)] = []
    parts: bool = False
    agreeing: bool = True

    @model_validator(mode="after")
    def _fits_the_distance(self) -> Self:
        if not any(example.wanted for example in self.examples):
            raise ValueError("give at least one example that is wanted")
        if self.distance == "ordinal":
            first = self.examples[0]
            if len(self.examples) > 1 or first.key is None or first.box is not None:
                raise ValueError("ordinal distance takes one photograph of the collection, without a box")
        return self


class AttentionMap(_Message):
    """Where the network looked: rows from the top, each from the left, adding up to 1.

    ``box`` is the part of the picture that the map covers.
    """

    values: list[list[float]]
    box: Box


def attention_map(attention: npt.NDArray[np.float32], seen: Edges) -> AttentionMap:
    """The message of an attention map.

    Args:
        attention: float32 (h, w), adding up to 1.
        seen: The part of the picture that it covers.
    """
    return AttentionMap(values=attention.astype(float).round(6).tolist(), box=box_of(seen))


def box_of(edges: Edges) -> Box:
    """The message of a part of a picture."""
    left, top, right, bottom = edges
    return Box(left=left, top=top, right=right, bottom=bottom)


class Result(_Message):
    """An image that was found.

    ``likelihood`` is the share of pairs at such a distance that are of the same kind at least, with 95 % confidence, by
    the images held out of the training; null where the model is not calibrated, or the query or the result is unlike
    anything that it learned from. ``unlike`` says whether the result is; null where the model cannot tell. ``group`` is
    the same for results that show the same picture, and ``near_duplicate`` is true for the picture of an example.
    ``agreeing`` tells for every segment of the code whether its symbol is the query's; null if the request did without.
    ``box`` is the part that is so near; null where that is the whole photograph.
    """

    key: str
    version: str
    distance: float
    box: Box | None
    likelihood: float | None
    unlike: bool | None
    near_duplicate: bool
    group: int
    agreeing: list[bool] | None
    metadata: dict[str, Value]


class SearchAnswer(_Message):
    """Results, nearest first; an attention map for every example, none for ordinal distance.

    ``unlike`` says whether the query is unlike anything that the model learned from, so that no result has a
    likelihood; null where the model cannot tell.
    """

    unlike: bool | None
    results: list[Result]
    attention: list[AttentionMap]
    encode_milliseconds: float
    search_milliseconds: float


class Image(_Message):
    """A photograph of the collection; ``version`` changes when its file does."""

    key: str
    version: str


class Photograph(_Message):
    """A photograph of the collection with its metadata."""

    key: str
    version: str
    metadata: dict[str, Value]


class Images(_Message):
    """A page of photographs of the collection, and how many there are."""

    total: int
    generation: int
    images: list[Image]


class Column(_Message):
    """A column for filters; ``values`` are its distinct texts, if they are few."""

    name: str
    kind: Literal["text", "number", "time", "truth", "other"]
    values: list[str] | None


class Progress(_Message):
    """Progress of a running sync; total is 0 while files are being listed."""

    done: int
    total: int
    seconds: float


class Status(_Message):
    """State of the service; ``parts`` says whether photographs can be found by their parts.

    ``problem`` is what is wrong, and what to do: an index that cannot be read, or a sync started here that failed or
    kept photographs that are missing.
    """

    name: str
    version: str
    count: int
    unusable: int
    generation: int
    code_bits: int
    segments: int
    backbone: str
    calibrated: bool
    parts: bool
    changes: bool
    columns: list[Column]
    sync: Progress | None
    problem: str | None


class Failure(_Message):
    """A file of the folder that cannot be used, and why."""

    key: str
    reason: str


class Failures(_Message):
    """Some of the files that cannot be used, and how many there are."""

    total: int
    failures: list[Failure]


class Health(_Message):
    """The service answers."""

    status: Literal["ok"] = "ok"


class Added(_Message):
    """Key of the photograph that was added."""

    key: str


class Deleted(_Message):
    """Key of the photograph that was deleted; its file stays."""

    key: str
