"""Routes of searches: by examples, or by an image alone."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from ordhash.errors import InputError
from ordhash.index import Condition
from ordhash.search import Answers, Box, Example
from ordhash.service import messages
from ordhash.service.guard import Numbers
from ordhash.service.library import Library
from ordhash.service.reading import ImageBody, JsonBody, image_in_document, json_in_document, parsed
from ordhash.service.routes.parameters import Where
from ordhash.service.served import Served, SharedState, failures
from ordhash.service.view import version_of

__all__ = ["search"]

search = APIRouter(tags=["search"])

Share = Annotated[float, Query(ge=0, le=1)]


@search.post(
    "/v1/search",
    operation_id="search",
    response_model=messages.SearchAnswer,
    responses=failures(404, 408, 415),
    openapi_extra=json_in_document(messages.SearchRequest),
)
async def by_examples(served: Served, body: JsonBody) -> Response:
    """Photographs that are like some examples, and unlike others."""
    # Where there is something to decode, apart: a search must not wait behind images that are hard to decode.
    work = served.decoding if b'"image"' in body else served.searching
    wanted, examples = await work(_read, served.library, body)
    return await served.searching(_by_examples, served, wanted, examples)


# Each parameter of its address is one of the function.
@search.post(
    "/v1/search/image",
    operation_id="search_by_image",
    response_model=messages.SearchAnswer,
    responses=failures(408, 415),
    openapi_extra=image_in_document(),
)
async def by_image(
    served: Served,
    image: ImageBody,
    top_k: Annotated[int, Query(ge=1, le=1000)] = 50,
    left: Share = 0,
    top: Share = 0,
    right: Share = 1,
    bottom: Share = 1,
    where: Where = [],  # noqa: B006  # FastAPI copies it
    parts: Annotated[bool, Query(description="Whether photographs are found by their parts too.")] = False,
    agreeing: Annotated[bool, Query(description="Whether results say which segments agree.")] = True,
) -> Response:
    """Photographs that are like an image, or like a part of it: ``curl --data-binary @cat.jpg``."""
    box = (left, top, right, bottom)
    example = served.library.own_example(image, None if box == (0, 0, 1, 1) else box, name="the image")
    example = await served.decoding(served.library.uploads.decoded, example)
    return await served.searching(_by_image, served, example, top_k, where, parts, agreeing)


# These run in threads, from the bytes of the request to those of the answer: both may be large.


def _read(library: Library, body: bytes) -> tuple[messages.SearchRequest, list[Example]]:
    wanted = parsed(body, messages.SearchRequest)
    return wanted, [library.uploads.decoded(example) for example in _examples(library, wanted)]


def _by_examples(served: SharedState, wanted: messages.SearchRequest, examples: list[Example]) -> Response:
    library = served.library
    conditions = [Condition(one.column, one.comparison, one.value) for one in wanted.filters]
    first = wanted.examples[0]
    if wanted.distance == "ordinal" and first.key is not None:
        found = library.search_like(first.key, wanted.top_k, conditions, parts=wanted.parts)
    else:
        found = library.search(examples, wanted.top_k, conditions, parts=wanted.parts)
    return _response(found, served.numbers, agreeing=wanted.agreeing)


def _by_image(
    served: SharedState, example: Example, top_k: int, where: list[str], parts: bool, agreeing: bool
) -> Response:
    found = served.library.search([example], top_k, [Condition.parse(text) for text in where], parts=parts)
    return _response(found, served.numbers, agreeing=agreeing)


def _examples(library: Library, wanted: messages.SearchRequest) -> list[Example]:
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
    return examples


def _from_base64(text: str | None, name: str) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except ValueError:
        raise InputError(f"{name} is not base64; encode the content of the file") from None


def _response(answers: Answers, numbers: Numbers, *, agreeing: bool) -> Response:
    numbers.encode_seconds.observe(answers.encode_seconds)
    numbers.search_seconds.observe(answers.search_seconds)
    message = messages.SearchAnswer(
        unlike=answers.unlike,
        results=[
            messages.Result(
                key=answer.key,
                version=version_of(answer.metadata["modified"]),
                distance=answer.distance,
                box=None if answer.box is None else messages.box_of(answer.box),
                likelihood=answer.likelihood,
                unlike=answer.unlike,
                near_duplicate=bool(answer.near_duplicate),
                group=answer.group or 0,
                agreeing=list(answer.agreeing or ()) if agreeing else None,
                metadata=answer.metadata,
            )
            for answer in answers.found
        ],
        attention=[messages.attention_map(*one) for one in answers.attention],
        encode_milliseconds=1000 * answers.encode_seconds,
        search_milliseconds=1000 * answers.search_seconds,
    )
    return Response(message.model_dump_json(), media_type="application/json")
