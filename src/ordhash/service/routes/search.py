"""Routes of searches: by examples, or by an image alone."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Body, Query

from ordhash.errors import InputError
from ordhash.index import Condition
from ordhash.search import Answers, Box
from ordhash.service import messages
from ordhash.service.guard import Numbers
from ordhash.service.library import Library
from ordhash.service.served import Served, failures
from ordhash.service.view import version_of

__all__ = ["search"]

search = APIRouter(tags=["search"])

Share = Annotated[float, Query(ge=0, le=1)]


@search.post("/v1/search", responses=failures(404, 408, 413, 422, 429, 503))
async def by_examples(served: Served, wanted: messages.SearchRequest) -> messages.SearchAnswer:
    """Photographs that are like some examples, and unlike others."""
    library = served.library
    conditions = [Condition(one.column, one.comparison, one.value) for one in wanted.filters]
    first = wanted.examples[0]
    if wanted.distance == "ordinal" and first.key is not None:
        found = await served.searching(library.search_like, first.key, wanted.top_k, conditions)
    else:
        found = await served.searching(_search, library, wanted, conditions)
    return _message(found, served.numbers)


@search.post("/v1/search/image", responses=failures(408, 413, 422, 429, 503))
async def by_image(
    served: Served,
    image: Annotated[bytes, Body(media_type="application/octet-stream", description="Content of an image file.")],
    top_k: Annotated[int, Query(ge=1, le=1000)] = 50,
    left: Share = 0,
    top: Share = 0,
    right: Share = 1,
    bottom: Share = 1,
) -> messages.SearchAnswer:
    """Photographs that are like an image, or like a part of it: ``curl --data-binary @cat.jpg``."""
    box = (left, top, right, bottom)
    example = served.library.own_example(image, None if box == (0, 0, 1, 1) else box, name="the image")
    return _message(await served.searching(served.library.search, [example], top_k), served.numbers)


def _search(library: Library, wanted: messages.SearchRequest, conditions: list[Condition]) -> Answers:
    examples = []
    for number, one in enumerate(wanted.examples, start=1):
        box: Box | None = None
        if one.box is not None and one.box != messages.Box():
            box = (one.box.left, one.box.top, one.box.right, one.box.bottom)
        if one.key is not None:
            examples.append(library.example(one.key, box=box, wanted=one.wanted))
        else:
            name = one.name or f"example {number}"
            examples.append(library.own_example(_from_base64(one.image, name), box, wanted=one.wanted, name=name))
    return library.search(examples, wanted.top_k, conditions)


def _from_base64(text: str | None, name: str) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except ValueError:
        raise InputError(f"{name} is not base64; encode the content of the file") from None


def _message(answers: Answers, numbers: Numbers) -> messages.SearchAnswer:
    numbers.encode_seconds.observe(answers.encode_seconds)
    numbers.search_seconds.observe(answers.search_seconds)
    return messages.SearchAnswer(
        results=[
            messages.Result(
                key=answer.key,
                version=version_of(answer.metadata["modified"]),
                distance=answer.distance,
                likelihood=answer.likelihood,
                near_duplicate=bool(answer.near_duplicate),
                group=answer.group or 0,
                agreeing=list(answer.agreeing or ()),
                metadata=answer.metadata,
            )
            for answer in answers.found
        ],
        attention=[messages.attention_map(*one) for one in answers.attention],
        encode_milliseconds=1000 * answers.encode_seconds,
        search_milliseconds=1000 * answers.search_seconds,
    )
