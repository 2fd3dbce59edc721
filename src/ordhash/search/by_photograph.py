"""Search with a photograph of the collection, by the code that it has: no network runs."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ordhash.codes import OrdinalCodes
from ordhash.collection import Entry
from ordhash.errors import InputError
from ordhash.index import Condition, OrdinalIndex, rows_that_meet
from ordhash.search.answer import Answers, answers_in, with_likelihoods, with_pictures
from ordhash.search.target import Target

__all__ = ["search_by_photograph"]


def search_by_photograph(
    entry: Entry, target: Target, *, top_k: int = 10, parts: bool = False, conditions: Sequence[Condition] = ()
) -> Answers:
    """Search with a photograph of the collection, by ordinal distance to its code.

    Args:
        entry: Of the photograph, as the catalogue holds it.
        target: What to search: a collection.
        top_k: How many answers.
        parts: As in [search_by_images][ordhash.search.search_by_images].
        conditions: Conditions on metadata columns, all of which an answer must meet.

    Raises:
        InputError: The target is not a collection, or a condition does not fit its columns.
        OtherModelError: The collection was encoded again by another model.
    """
    encoder, index, started = target.encoder, target.index, time.perf_counter()
    if target.collection is None or not isinstance(index, OrdinalIndex):
        raise InputError("only collections are searched with photographs of theirs; search with an image instead")
    packed = np.frombuffer(entry.code, dtype=np.uint8)[None]
    code = OrdinalCodes.from_packed(packed, encoder.spec, model_id=encoder.model_id)
    result = index.search(code, top_k=top_k, where=rows_that_meet(index, conditions), parts=parts)
    found = answers_in(index, result)
    calibration = encoder.info.calibration_of(asymmetric=False, parts=parts)
    if calibration is not None and not entry.is_unlike:
        found = with_likelihoods(found, calibration.likelihood(result.distances[0]))
    pictures = [] if entry.fingerprint is None else [entry.fingerprint]
    found = with_pictures(found, target, pictures, code.symbols[0])
    return Answers(entry.key, found, search_seconds=time.perf_counter() - started, unlike=entry.is_unlike)
