"""Bodies of requests: an image file as it is, or JSON that becomes a message."""

from __future__ import annotations

import json
from typing import Annotated, Any, NoReturn, TypeVar

from fastapi import Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ordhash.errors import shown

__all__ = ["ImageBody", "JsonBody", "NotJsonError", "image_in_document", "json_in_document", "parsed"]

M = TypeVar("M", bound=BaseModel)

# No request has more values; each one more than needed costs a hundred times its size in objects and errors.
_PARTS = 20_000
_PUNCTUATION = (b"{", b"[", b",")


class NotJsonError(Exception):
    """A body is not JSON, or has far too many values."""


async def _image(request: Request) -> bytes:
    kind = _kind_of(request)
    if kind.startswith("multipart/") or kind.endswith(("/json", "+json")):
        raise HTTPException(
            415,
            f"the body is of type {shown(kind)}; send the image file alone as the body, with the type "
            "application/octet-stream, as `curl --data-binary @cat.jpg` does",
        )
    return await _whole(request)


async def _json(request: Request) -> bytes:
    kind = _kind_of(request)
    if not kind.endswith(("/json", "+json")):
        raise HTTPException(
            415,
            f"the body is of type {shown(kind)}; send JSON with the header Content-Type: application/json, or an image "
            "file to /v1/search/image",
        )
    return await _whole(request)


ImageBody = Annotated[bytes, Depends(_image)]
"""Type of the parameter by which a route gets an image file."""

JsonBody = Annotated[bytes, Depends(_json)]
"""Type of the parameter by which a route gets JSON; [parsed][ordhash.service.reading.parsed] makes a message of it."""


def parsed(body: bytes, message: type[M]) -> M:
    """A message from JSON; to be called in a thread, since a large body takes a while.

    Args:
        body: The JSON, in UTF-8.
        message: What it should be.

    Raises:
        NotJsonError: It is no JSON.
        RequestValidationError: It is not this message.
    """
    if sum(map(body.count, _PUNCTUATION)) > _PARTS:
        raise NotJsonError(f"the JSON has more than {_PARTS:,} values; leave out what is not needed")
    try:
        values = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise NotJsonError("the body is not UTF-8; send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotJsonError(f"the body is not JSON: {error.msg} at character {error.pos:,}") from None
    except RecursionError:
        raise NotJsonError("the JSON is nested too deeply") from None
    except ValueError:  # of more digits than Python reads
        raise NotJsonError("a number in the JSON has too many digits") from None
    try:
        return message.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found[:3]]) from None


def json_in_document(message: type[BaseModel]) -> dict[str, Any]:
    """A body of JSON for the OpenAPI document.

    Args:
        message: What the JSON is.
    """
    return _body_in_document({"application/json": {"$ref": f"#/components/schemas/{message.__name__}"}})


def image_in_document() -> dict[str, Any]:
    """A body that is an image file for the OpenAPI document."""
    binary = {"type": "string", "format": "binary", "description": "Content of an image file."}
    return _body_in_document({"application/octet-stream": binary, "image/*": binary})


def _body_in_document(schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": one} for kind, one in schemas.items()}}}


def _kind_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _whole(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:  # nobody is there to read this
        raise HTTPException(400, "the request ended before its body was whole") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotJsonError(f"the field {shown(twice)} is given twice; give it once")
    return values


def _no_number(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is not JSON; give a number")
