"""Search with images, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from ordhash.collection import fingerprint
from ordhash.data import Images, as_image_set
from ordhash.errors import ImageError, InputError
from ordhash.index import Condition, OrdinalIndex, Where, rows_that_meet
from ordhash.model import Encoded
from ordhash.search.answer import Answer, Answers, answers_in, with_likelihoods, with_pictures
from ordhash.search.target import Target

__all__ = ["search_by_images"]


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
        every = _nearest(index, encoded, top_k=top_k, asymmetric=asymmetric, where=where, parts=parts)
    else:
        every = index.nearest(encoded.codes, top_k=top_k, conditions=conditions, parts=parts)
    answers = []
    for number, (row, found) in enumerate(zip(encoded.rows.tolist(), every, strict=True)):
        unlike = None if encoded.unlike is None else bool(encoded.unlike[number])
        if calibration is not None and not unlike:
            found = with_likelihoods(found, calibration.likelihood([answer.distance for answer in found]))
        if encoded.pixels is not None:
            picture = fingerprint(encoded.pixels[number])
            symbols = encoded.scores[number].argmax(axis=1)
            found = with_pictures(found, target, [] if picture is None else [picture], symbols)
        if likely and calibration is not None:
            limit = -1 if calibration.cutoff is None or unlike else calibration.cutoff
            found = tuple(
                answer for answer in found if answer.near_duplicate or (answer.distance <= limit and not answer.unlike)
            )
        answers.append(Answers(wanted.name(row), found, unlike=unlike))
    return answers, encoded.failures


def _nearest(
    index: OrdinalIndex, encoded: Encoded, *, top_k: int, asymmetric: bool, where: Where | None, parts: bool
) -> list[tuple[Answer, ...]]:
    if asymmetric:
        result = index.search_asymmetric(
            encoded.scores, top_k=top_k, model_id=encoded.model_id, where=where, parts=parts
        )
    else:
        result = index.search(encoded.codes, top_k=top_k, where=where, parts=parts)
    return [answers_in(index, result, query) for query in range(len(result.keys))]
