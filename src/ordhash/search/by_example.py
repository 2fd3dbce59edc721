"""Searching with several examples at once, with parts of pictures, and with examples of what is not wanted."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.codes import symbol_probabilities
from ordhash.collection import fingerprint
from ordhash.data import MAX_PIXELS, Fit, ImageSource, open_rgb, prepare
from ordhash.errors import InputError
from ordhash.index import OrdinalIndex, Where
from ordhash.model import Encoder, ImageInput
from ordhash.search.by_image import Answer, metadata_at

__all__ = ["Box", "Example", "Likeness", "combined_scores", "look_up_examples", "seen_part"]

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of a picture, as shares of its width and height."""

# Of what is not wanted, against what is: above 1 an unwanted example would count more than a wanted one.
_UNWANTED = 0.5

# A symbol that only the unwanted have is as bad as any that nobody has.
_LEAST = 1e-6


@dataclass(frozen=True)
class Example:
    """An image that shows what is wanted, or what is not.

    Attributes:
        image: The image, upright as it is shown.
        box: The part of it that counts; None is all of it.
        wanted: Whether results should be like it, or unlike it.
        name: How an error names it.
        max_pixels: As [open_rgb][ordhash.data.open_rgb] takes it.
    """

    image: ImageSource
    box: Box | None = None
    wanted: bool = True
    name: str | None = None
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True, eq=False)
class Likeness:
    """What was found for some examples together, nearest first.

    Attributes:
        found: The answers; whether they are near-duplicates is not looked up.
        scores: What was searched with, float32 (n_segments, arity): its winners are the symbols that count.
        attention: A map (h, w) of every example, of what the network saw of it.
        seen: Which part of its picture that is, for every example.
        fingerprints: Of the wanted examples without a box, to look up near-duplicates with.
        encode_seconds: What decoding and the network took.
    """

    found: tuple[Answer, ...]
    scores: npt.NDArray[np.float32]
    attention: npt.NDArray[np.float32]
    seen: tuple[Box, ...]
    fingerprints: tuple[bytes, ...]
    encode_seconds: float


def look_up_examples(
    examples: Sequence[Example],
    encoder: Encoder,
    index: OrdinalIndex,
    *,
    top_k: int = 10,
    where: Where | None = None,
) -> Likeness:
    """Search with several examples at once, by asymmetric distance to their combined scores.

    The likelihood of an answer is the mean of what the model says of it and each wanted example.

    Args:
        examples: At least one wanted.
        encoder: The model of the index.
        index: Where to search.
        top_k: How many answers.
        where: As [OrdinalIndex.search][ordhash.index.OrdinalIndex.search] takes it.

    Raises:
        InputError: No example is wanted, a box is no part of a picture, or the index is of another model.
        ImageError: An example cannot be used.
    """
    wanted = np.array([example.wanted for example in examples], dtype=np.bool_)
    if not wanted.any():
        raise InputError("no example says what is wanted; give at least one that results should be like")
    started = time.perf_counter()
    form = encoder.info.form
    # One after the other, and no more of each is kept than the network sees: a few uploads can be very many pixels.
    parts = [_part(example, form) for example in examples]
    encoded = encoder.run(np.stack([pixels for pixels, _ in parts]))
    encode_seconds = time.perf_counter() - started
    if encoded.failures:  # none is known: these pictures are decoded
        raise encoded.failures[0]
    scores = combined_scores(encoded.scores[wanted], encoded.scores[~wanted])
    result = index.search_asymmetric(scores[None], top_k=top_k, model_id=encoder.model_id, where=where)
    keys, rows = result.keys[0].tolist(), result.rows[0]
    likelihoods: list[float | None] = [None] * len(rows)
    calibration = encoder.info.asymmetric_calibration
    if calibration is not None and len(rows):
        each = calibration.likelihood(_distances_to(encoded.scores[wanted], index, rows))
        likelihoods = [*each.mean(axis=0).tolist()]
    unknown = [None] * len(rows)
    found = map(Answer, keys, result.distances[0].tolist(), likelihoods, unknown, metadata_at(index, rows))
    whole = [
        fingerprint(pixels)
        for example, (pixels, _) in zip(examples, parts, strict=True)
        if example.wanted and example.box is None
    ]
    seen = tuple(part for _, part in parts)
    return Likeness(tuple(found), scores, encoded.attention, seen, tuple(filter(None, whole)), encode_seconds)


def seen_part(size: tuple[int, int], fit: Fit, box: Box | None = None) -> Box:
    """Which part of a picture a network sees.

    Args:
        size: Width and height of the picture, or of the part of it that counts.
        fit: What the network is shown of that.
        box: The part that counts; None is all of it.

    >>> seen_part((400, 200), "crop"), seen_part((400, 200), "squash", (0.5, 0, 1, 1))
    ((0.25, 0.0, 0.75, 1.0), (0.5, 0, 1, 1))
    """
    left, top, right, bottom = box or (0.0, 0.0, 1.0, 1.0)
    if fit == "squash":
        return left, top, right, bottom
    across, down = (min(size) / side for side in size)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    half_x, half_y = across * (right - left) / 2, down * (bottom - top) / 2
    return middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y


def combined_scores(
    wanted: npt.NDArray[np.floating[Any]], unwanted: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float32]:
    """Scores of a query that is like some images and unlike others, after Rocchio's relevance feedback (1971).

    In every segment the probabilities of a symbol are averaged over the wanted, and half their average over the
    unwanted is taken off; the result is the logarithm of what is left, at least a millionth. One wanted image alone
    has the distances that its own scores have.

    Args:
        wanted: float (w, n_segments, arity), at least one.
        unwanted: float (u, n_segments, arity), perhaps none.

    Returns:
        float32 (n_segments, arity).

    >>> scores = np.log([[[0.6, 0.3, 0.1]], [[0.2, 0.7, 0.1]]])
    >>> np.exp(combined_scores(scores, scores[:0])).round(2)
    array([[0.4, 0.5, 0.1]], dtype=float32)
    >>> np.exp(combined_scores(scores[:1], scores[1:])).round(2)
    array([[0.5 , 0.  , 0.05]], dtype=float32)
    """
    mean = symbol_probabilities(wanted).mean(axis=0)
    if len(unwanted):
        mean = mean - _UNWANTED * symbol_probabilities(unwanted).mean(axis=0)
    return np.asarray(np.log(np.maximum(mean, _LEAST)), dtype=np.float32)


def _part(example: Example, form: ImageInput) -> tuple[npt.NDArray[np.uint8], Box]:
    """The part of an example's picture that counts, as the network sees it, and which part of the picture that is."""
    whole, box = example.box is None, example.box or (0.0, 0.0, 1.0, 1.0)
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InputError(
            f"the box is {example.box}; allowed are left, top, right and bottom with 0 <= left < right <= 1 and "
            "0 <= top < bottom <= 1, shares of width and height"
        )
    picture = open_rgb(
        example.image,
        name=example.name,
        max_pixels=example.max_pixels,
        least_side=2 * form.size if whole else None,
    )
    if not whole:
        width, height = picture.size
        corner = math.floor(left * width), math.floor(top * height)
        picture = picture.crop((*corner, math.ceil(right * width), math.ceil(bottom * height)))
    return prepare(picture, form.size, form.fit), seen_part(picture.size, form.fit, example.box)


def _distances_to(
    scores: npt.NDArray[np.float32], index: OrdinalIndex, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Asymmetric distances of some queries to some rows, (len(scores), len(rows))."""
    among = np.zeros(index.n_rows, dtype=np.bool_)
    among[rows] = True
    result = index.search_asymmetric(scores, top_k=len(rows), where=among)
    places = np.argsort(result.rows, axis=1)  # both in the order of rows
    by_row = np.take_along_axis(result.distances, places, axis=1)
    distances = np.empty_like(by_row)
    distances[:, np.argsort(rows)] = by_row
    return distances
