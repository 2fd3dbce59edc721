"""Routes of photographs: to list, show, add and delete them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from ordhash.index import Condition
from ordhash.service import messages
from ordhash.service.library import Order
from ordhash.service.originals import OriginalFile
from ordhash.service.reading import ImageBody, image_in_document
from ordhash.service.routes.parameters import Key, Version, Where
from ordhash.service.served import Served, failures, may_change, may_fetch

__all__ = ["photographs"]

photographs = APIRouter(tags=["photographs"])


def _picture(*statuses: int) -> dict[int | str, dict[str, Any]]:
    picture = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"content": picture, "description": "The picture."}, **failures(*statuses)}


_FILE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_ORIGINAL: dict[int | str, dict[str, Any]] = {
    **failures(404, 416),
    200: {"content": _FILE, "description": "The file."},
    206: {"content": {**_FILE, "multipart/byteranges": {}}, "description": "The parts of the header Range."},
}


@photographs.get("/v1/images", operation_id="list_images", responses=failures())
async def images(
    served: Served,
    offset: Annotated[int, Query(ge=0, le=2**40)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    order: Order = "name",
    where: Where = [],  # noqa: B006  # FastAPI copies it
) -> messages.Images:
    """Photographs of the collection that meet all conditions, a page at a time."""
    conditions = [Condition.parse(text) for text in where]
    found, total, generation = await served.showing(served.library.images, offset, limit, order, conditions)
    return messages.Images(
        total=total,
        generation=generation,
        images=[messages.Image(key=key, version=version) for key, version in found],
    )


@photographs.get("/v1/image", operation_id="image", responses=failures(404))
async def image(served: Served, key: Key) -> messages.Photograph:
    """Metadata of a photograph."""
    version, metadata = await served.showing(served.library.known, key)
    return messages.Photograph(key=key, version=version, metadata=metadata)


@photographs.get("/v1/thumbnail", operation_id="thumbnail", response_class=Response, responses=_picture(404))
async def thumbnail(served: Served, key: Key, version: Version = None) -> Response:
    """A small picture of a photograph."""
    return _jpeg(await served.showing(served.library.thumbnail, key), forever=version is not None)


@photographs.get("/v1/picture", operation_id="picture", response_class=Response, responses=_picture(404))
async def picture(
    served: Served,
    key: Key,
    side: Annotated[int, Query(ge=16, le=4096, description="Pixels of the longer side.")] = 1600,
    version: Version = None,
) -> Response:
    """The photograph, upright, scaled down and without its metadata."""
    return _jpeg(await served.showing(served.library.picture, key, side), forever=version is not None)


@photographs.get("/v1/original", operation_id="original", response_class=Response, responses=_ORIGINAL)
async def original(served: Served, key: Key, _: Annotated[None, Depends(may_fetch)]) -> OriginalFile:
    """The file of a photograph as it is, or parts of it; only if the service was started with ``--originals``."""
    path, kind = await served.showing(served.library.original, key)
    return OriginalFile(path, media_type=kind, filename=path.name)


@photographs.get("/v1/attention", operation_id="attention", responses=failures(404))
async def attention(served: Served, key: Key) -> messages.AttentionMap:
    """Where the network looks in a photograph."""
    return messages.attention_map(*await served.searching(served.library.attention, key))


@photographs.post(
    "/v1/images",
    operation_id="add_image",
    status_code=201,
    responses=failures(408, 409, 415),
    openapi_extra=image_in_document(),
    dependencies=[Depends(may_change)],
)
async def add(
    served: Served,
    image: ImageBody,
    name: Annotated[
        str | None,
        Query(max_length=4096, description="What the file was called; its new one is called so as far as possible."),
    ] = None,
) -> messages.Added:
    """Put a photograph into the folder of the collection and into its index."""
    await served.decoding(served.library.uploads.check, image)
    return messages.Added(key=await served.changing(served.library.add, image, name))


@photographs.delete(
    "/v1/images", operation_id="delete_image", responses=failures(404, 409), dependencies=[Depends(may_change)]
)
async def delete(served: Served, key: Key) -> messages.Deleted:
    """Delete a photograph from the collection; its file stays, and later syncs leave it out."""
    await served.changing(served.library.delete, key)
    return messages.Deleted(key=key)


def _jpeg(content: bytes, *, forever: bool) -> Response:
    keep = {"cache-control": "private, max-age=31536000, immutable"} if forever else None
    return Response(content, media_type="image/jpeg", headers=keep)
