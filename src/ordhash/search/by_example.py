"""Search with several examples at once: whole pictures, parts of them, and unwanted ones."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.codes import symbol_probabilities
from ordhash.collection import fingerprint
from ordhash.data import MAX_PIXELS, Fit, ImageSource, open_rgb, prepare, source_name
from ordhash.errors import InputError
from ordhash.index import Condition, OrdinalIndex, rows_that_meet
from ordhash.model import Preprocessing
from ordhash.search.answer import Answers, Box, answers_in, with_likelihoods, with_pictures
from ordhash.search.target import Target

__all__ = ["Example", "combined_scores", "search_by_examples", "seen_part"]

# Weight of the unwanted against the wanted; above 1 an unwanted example would count more than a wanted one.
_UNWANTED = 0.5

# Least probability: a symbol that only the unwanted have is as bad as one that nobody has.
_LEAST = 1e-6


@dataclass(frozen=True)
class Example:
    """An image that results should be like, or unlike.

    Attributes:
        image: The image, upright as it is shown.
        box: The part of it that counts; None is all of it.
        wanted: Whether results should be like it; otherwise unlike it.
        name: Its name in errors.
        max_pixels: As [open_rgb][ordhash.data.open_rgb] takes it.
    """

    image: ImageSource
    box: Box | None = None
    wanted: bool = True
    name: str | None = None
    max_pixels: int = MAX_PIXELS


def search_by_examples(
    examples: Sequence[Example],
    target: Target,
    *,
    top_k: int = 10,
    parts: bool = False,
    conditions: Sequence[Condition] = (),
) -> Answers:
    """Search with several examples at once, by asymmetric distance to their combined scores.

    The likelihood of an answer is the mean of what the model says of it and each wanted example; where one of these is
    unlike anything that the model learned from, so is the query, and no answer has a likelihood. Answers of a
    collection are compared with the wanted examples without a box.

    Args:
        examples: At least one wanted.
        target: What to search; not an engine.
        top_k: How many answers.
        parts: As in [search_by_images][ordhash.search.search_by_images].
        conditions: Conditions on metadata columns, all of which an answer must meet.

    Raises:
        InputError: No example is wanted, a box is not inside its picture, the index is of another model, or a condition
            does not fit its columns.
        ImageError: An example cannot be used.
        OtherModelError: The collection was encoded again by another model.

    Example::

        search_by_examples([Example("cat.jpg"), Example("dog.jpg", wanted=False)], target).found
    """
    encoder, index, started = target.encoder, target.index, time.perf_counter()
    if not isinstance(index, OrdinalIndex):
        raise InputError("other engines have no asymmetric distance; search with single images instead")
    wanted = np.array([example.wanted for example in examples], dtype=np.bool_)
    if not wanted.any():
        raise InputError("no example is wanted; give at least one that results should be like")
    where = rows_that_meet(index, conditions)
    encoding = time.perf_counter()
    # One after the other, and no more of each is kept than the network sees: a few uploads can be very many pixels.
    shown = [_part(example, encoder.info.preprocessing) for example in examples]
    encoded = encoder.run([Image.fromarray(pixels) for pixels, _ in shown])
    encode_seconds = time.perf_counter() - encoding
    if encoded.failures:  # none is known: these pictures are decoded
        raise encoded.failures[0]
    scores = combined_scores(encoded.scores[wanted], encoded.scores[~wanted])
    result = index.search_asymmetric(scores[None], top_k=top_k, model_id=encoder.model_id, where=where, parts=parts)
    found = answers_in(index, result)
    calibration = encoder.info.calibration_of(asymmetric=True, parts=parts)
    unlike = None if encoded.unlike is None else bool(encoded.unlike[wanted].any())
    if calibration is not None and not unlike:
        each = calibration.likelihood(index.distances(encoded.scores[wanted], result.rows[0], parts=parts))
        found = with_likelihoods(found, each.mean(axis=0))
    if target.collection is not None:
        whole = [
            fingerprint(pixels)
            for example, (pixels, _) in zip(examples, shown, strict=True)
            if example.wanted and example.box is None
        ]
        found = with_pictures(found, target, [*filter(None, whole)], scores.argmax(axis=1))
    attention = tuple(zip(encoded.attention, (seen for _, seen in shown), strict=True))
    name = ", ".join(example.name or source_name(example.image) for example in examples)
    seconds = time.perf_counter() - started - encode_seconds
    return Answers(name, found, attention, encode_seconds, seconds, unlike)


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
    if fit != "crop":
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


def _part(example: Example, preprocessing: Preprocessing) -> tuple[npt.NDArray[np.uint8], Box]:
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
        least_side=2 * preprocessing.size if whole else None,
    )
    if not whole:
        width, height = picture.size
        corner = math.floor(left * width), math.floor(top * height)
        picture = picture.crop((*corner, math.ceil(right * width), math.ceil(bottom * height)))
    seen = seen_part(picture.size, preprocessing.fit, example.box)
    return prepare(picture, preprocessing.size, preprocessing.fit), seen
