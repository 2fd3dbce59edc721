"""Search with images, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ordhash.collection import fingerprint
from ordhash.data import Images, as_image_set
from ordhash.errors import ImageError, InputError
from ordhash.index import Condition, OrdinalIndex, rows_that_meet
from ordhash.model import Calibration, Encoded
from ordhash.search.answer import Answer, Answers, answers_in, with_likelihoods, with_pictures
from ordhash.search.target import Target

__all__ = ["search_by_images"]

_MOST = 2048  # are looked at to fill up what was left out; other engines give no more


def search_by_images(
    images: Images,
    target: Target,
    *,
    top_k: int = 10,
    asymmetric: bool = False,
    likely: bool = False,
    parts: bool = False,
    conditions: Sequence[Condition] = (),
    progress: bool = False,
) -> tuple[list[Answers], list[ImageError]]:
    """Search with images, each a query.

    Args:
        images: As [Encoder.run][ordhash.model.Encoder.run] takes them.
        target: What to search.
        top_k: Answers to each image.
        asymmetric: Whether to rank by asymmetric distance.
        likely: Whether to leave out what lies beyond the suggested cut-off of the model, and what has no likelihood
            because it or the query is unlike anything that the model learned from; never the same picture.
        parts: Whether an image is as near as its nearest part, which its answer then names.
        conditions: Conditions on metadata columns, all of which an answer must meet.
        progress: Whether to show a bar while scans are compiled.

    Returns:
        Answers to every usable image, and why the others cannot be used.

    Raises:
        InputError: The index is of another model, a condition does not fit its columns, ``likely`` is asked of a model
            without calibration, or asymmetric distance of an engine, or parts of an index that has none.

    Example::

        target = Target(Encoder("model.onnx"), OrdinalIndex.load("photos.index"))
        answers, failures = search_by_images(["cat.jpg"], target)
        answers[0].found[0].key
    """
    encoder, index = target.encoder, target.index
    calibration = encoder.info.calibration_of(asymmetric=asymmetric, parts=parts)
    if likely and calibration is None:
        if parts and encoder.info.calibration is not None:
            raise InputError(f"{encoder.path} is not calibrated for parts; search without them, or ask for all results")
        raise InputError(
            f"{encoder.path} is not calibrated, since no labelled images were held out of its training; train it again "
            "with labels, or ask for all results"
        )
    where = rows_that_meet(index, conditions) if isinstance(index, OrdinalIndex) else None
    if asymmetric and not isinstance(index, OrdinalIndex):
        raise InputError("other engines have no asymmetric distance; leave it out, or search the collection here")
    wanted = as_image_set(images)
    encoded = encoder.run(wanted, pixels=target.collection is not None)
    if isinstance(index, OrdinalIndex):
        index.warm_up(len(encoded.rows), progress=progress)
    all_codes = encoded.codes

    def nearest(queries: slice, count: int) -> list[tuple[Answer, ...]]:
        codes, scores = all_codes[queries], encoded.scores[queries]
        if not isinstance(index, OrdinalIndex):
            return list(index.nearest(codes, top_k=count, conditions=conditions, parts=parts))
        if asymmetric:
            result = index.search_asymmetric(scores, top_k=count, model_id=encoded.model_id, where=where, parts=parts)
        else:
            result = index.search(codes, top_k=count, where=where, parts=parts)
        return [answers_in(index, result, query) for query in range(len(result.keys))]

    answers = []
    for number, (row, found) in enumerate(zip(encoded.rows.tolist(), nearest(slice(None), top_k), strict=True)):
        unlike = None if encoded.unlike is None else bool(encoded.unlike[number])
        limit = math.inf
        if likely and calibration is not None:
            limit = -1 if calibration.cutoff is None or unlike else calibration.cutoff
        count = top_k
        while True:
            kept = _kept(found, number, encoded, target, None if unlike else calibration, limit)
            # What is left out may have pushed others out: many are equally near.
            wanting = len(kept) < top_k and len(found) == count <= _MOST / 4 and found[-1].distance <= limit
            if not wanting:
                break
            count *= 4
            (found,) = nearest(slice(number, number + 1), count)
        answers.append(Answers(wanted.name(row), kept[:top_k], unlike=unlike))
    return answers, encoded.failures


def _kept(
    found: tuple[Answer, ...],
    number: int,
    encoded: Encoded,
    target: Target,
    calibration: Calibration | None,
    limit: float,
) -> tuple[Answer, ...]:
    """What was found by a query, with likelihoods and pictures, without what is gone or beyond a limit."""
    if calibration is not None:
        found = with_likelihoods(found, calibration.likelihood([answer.distance for answer in found]))
    if encoded.pixels is not None:
        picture = fingerprint(encoded.pixels[number])
        symbols = encoded.scores[number].argmax(axis=1)
        found = with_pictures(found, target, [] if picture is None else [picture], symbols)
    if limit == math.inf:
        return found
    return tuple(
        answer for answer in found if answer.near_duplicate or (answer.distance <= limit and not answer.unlike)
    )
