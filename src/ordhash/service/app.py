"""The application: routes of the API and of the page, and what becomes of errors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from fastapi import Body, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import ordhash
from ordhash.errors import ImageError, InputError, OrdhashError, SyncRunningError
from ordhash.index import Condition
from ordhash.search import Box as Edges
from ordhash.service import messages
from ordhash.service.guard import COOKIE, Guard, Numbers, problem
from ordhash.service.library import Found, Library, Order, UnknownKeyError
from ordhash.service.settings import ServiceSettings
from ordhash.service.work import BusyError, TookTooLongError, Work

__all__ = ["create_app"]

_PAGE = Path(__file__).parent / "page"
_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two looks at whether the collection has changed

_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": messages.Problem, "description": meaning}
    for status, meaning in {
        400: "The request makes no sense.",
        401: "The token is missing or wrong.",
        403: "Not allowed here.",
        404: "There is no such photograph.",
        408: "The request did not arrive in time.",
        409: "A sync is running.",
        413: "The request is too large.",
        422: "A value is not allowed, or an image cannot be used.",
        429: "Too many requests at once; try again.",
        503: "It took too long, or the service is stopping.",
    }.items()
}

Key = Annotated[str, Query(description="Key of a photograph: its path below the folder of the collection.")]
Share = Annotated[float, Query(ge=0, le=1)]


def create_app(library: Library, settings: ServiceSettings | None = None) -> FastAPI:
    """The service as an ASGI application.

    Args:
        library: The collection.
        settings: Whom it lets in, and how much it takes on.

    Example::

        uvicorn.run(create_app(Library("photos.collection")), port=8765)
    """
    settings = settings or ServiceSettings()
    numbers = Numbers()
    limits: dict[str, Any] = {"waiting": settings.waiting, "seconds": settings.seconds}
    # Apart, so that nobody waits for a search behind the pictures of a page that is scrolled.
    searching = Work("search", concurrent=settings.concurrent, **limits)
    showing = Work("picture", concurrent=settings.concurrent, **limits)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_watch(library))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.to_thread(_close, searching, showing, library)

    app = FastAPI(
        title="ordhash",
        summary="Photographs that look alike, by ordinal hash codes.",
        version=ordhash.__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # these pages would fetch scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(Guard, settings=settings, numbers=numbers)
    _handle_errors(app, library)

    @app.get("/v1/health", tags=["service"])
    async def health() -> messages.Health:
        """Whether the service answers."""
        return messages.Health()

    @app.get("/v1/status", tags=["service"], responses=_failures(429, 503))
    async def status() -> messages.Status:
        """What is served, and how far a sync is."""
        return await showing(_status, library, settings)

    @app.get("/v1/failures", tags=["service"], responses=_failures(429, 503))
    async def failures(limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> messages.Failures:
        """Files of the folder that cannot be used, and why."""
        found = await showing(library.failures)
        some = [messages.Failure(key=one.source, reason=one.reason) for one in found[:limit]]
        return messages.Failures(total=len(found), failures=some)

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        numbers.photographs.set(len(library))
        numbers.under_way.labels("search").set(searching.under_way)
        numbers.under_way.labels("picture").set(showing.under_way)
        return Response(generate_latest(numbers.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/images", tags=["photographs"], responses=_failures(422, 429, 503))
    async def images(
        offset: Annotated[int, Query(ge=0, le=2**40)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        order: Order = "name",
        where: Annotated[
            list[str], Query(max_length=16, description="Conditions on the metadata, as in `labels=cat`.")
        ] = [],  # noqa: B006  # FastAPI copies it
    ) -> messages.Images:
        """Photographs of the collection that meet all conditions, some at a time."""
        conditions = [Condition.parse(text) for text in where]
        found, total, generation = await showing(library.images, offset, limit, order, conditions)
        return messages.Images(
            total=total,
            generation=generation,
            images=[messages.Image(key=key, version=version) for key, version in found],
        )

    @app.get("/v1/image", tags=["photographs"], responses=_failures(404, 429, 503))
    async def image(key: Key) -> messages.Photograph:
        """What is known of a photograph."""
        version, metadata = await showing(library.known, key)
        return messages.Photograph(key=key, version=version, metadata=metadata)

    @app.get("/v1/thumbnail", tags=["photographs"], response_class=Response, responses=_picture(404, 422, 429, 503))
    async def thumbnail(key: Key, version: str | None = None) -> Response:
        """A small picture. With the photograph's ``version`` in its address it may be kept for ever."""
        return _jpeg(await showing(library.thumbnail, key), forever=version is not None)

    @app.get("/v1/picture", tags=["photographs"], response_class=Response, responses=_picture(404, 422, 429, 503))
    async def picture(
        key: Key,
        side: Annotated[int, Query(ge=16, le=4096, description="Pixels of the longer side.")] = 1600,
        version: str | None = None,
    ) -> Response:
        """The photograph, upright, scaled down and without its metadata."""
        return _jpeg(await showing(library.picture, key, side), forever=version is not None)

    @app.get("/v1/attention", tags=["photographs"], responses=_failures(404, 422, 429, 503))
    async def attention(key: Key) -> messages.AttentionMap:
        """Where the network looks in a photograph."""
        return _map(*await searching(library.attention, key))

    @app.post("/v1/search", tags=["search"], responses=_failures(404, 408, 413, 422, 429, 503))
    async def search(wanted: messages.SearchRequest) -> messages.SearchAnswer:
        """Photographs that are like some examples, and unlike others."""
        conditions = [Condition(one.column, one.comparison, one.value) for one in wanted.filters]
        first = wanted.examples[0]
        if wanted.distance == "ordinal" and first.key is not None:
            return _answer(await searching(library.search_like, first.key, wanted.top_k, conditions), numbers)
        return _answer(await searching(_search, library, wanted, conditions), numbers)

    @app.post("/v1/search/image", tags=["search"], responses=_failures(408, 413, 422, 429, 503))
    async def search_image(
        image: Annotated[bytes, Body(media_type="application/octet-stream", description="Content of an image file.")],
        top_k: Annotated[int, Query(ge=1, le=1000)] = 50,
        left: Share = 0,
        top: Share = 0,
        right: Share = 1,
        bottom: Share = 1,
    ) -> messages.SearchAnswer:
        """Photographs that are like an image, or like a part of it: ``curl --data-binary @cat.jpg``."""
        box = (left, top, right, bottom)
        example = library.own_example(image, None if box == (0, 0, 1, 1) else box, name="the image")
        return _answer(await searching(library.search, [example], top_k), numbers)

    @app.post(
        "/v1/images", tags=["photographs"], status_code=201, responses=_failures(403, 408, 409, 413, 422, 429, 503)
    )
    async def add(
        image: Annotated[bytes, Body(media_type="application/octet-stream", description="Content of an image file.")],
    ) -> messages.Added:
        """Put a photograph into the folder of the collection, and make it found."""
        _check_changes(settings)
        return messages.Added(key=await searching(library.add, image))

    @app.delete("/v1/images", tags=["photographs"], responses=_failures(403, 404, 409, 429, 503))
    async def delete(key: Key) -> messages.Deleted:
        """Take a photograph out of the collection; its file stays where it is, and later syncs leave it out."""
        _check_changes(settings)
        await searching(library.delete, key)
        return messages.Deleted(key=key)

    @app.post("/v1/sync", tags=["service"], status_code=202, responses=_failures(403, 409, 429, 503))
    async def sync() -> messages.Status:
        """Start to bring the collection into step with its folder; the status tells how far it is."""
        _check_changes(settings)
        await showing(library.start_sync)
        return await showing(_status, library, settings)

    @app.get("/", include_in_schema=False)
    async def page(token: str | None = None) -> Response:
        if token is None:
            return FileResponse(_PAGE / "index.html", headers={"cache-control": "no-cache"})
        if settings.token is None or not hmac.compare_digest(token.encode(), settings.token.encode()):
            raise HTTPException(401, "this is not the token of this service")
        answer = RedirectResponse("/", 303)  # so that the token does not stay in the address
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=365 * 24 * 3600)
        return answer

    app.mount("/page", StaticFiles(directory=_PAGE), name="page")
    return app


async def _watch(library: Library) -> None:
    """Keep the library in step with the collection, and have the first search find everything loaded."""
    work: Callable[[], None] = library.warm_up
    while True:
        try:
            await asyncio.to_thread(work)
        except Exception:  # whatever it is, the next look may go well, and the service answers meanwhile
            _log.exception("looking at the collection failed")
        work = functools.partial(library.refresh, soon=True)
        await asyncio.sleep(_LOOK_SECONDS)


def _close(searching: Work, showing: Work, library: Library) -> None:
    searching.close()
    showing.close()
    library.close()


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _FAILURES[status] for status in (400, 401, *statuses)}


def _picture(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"image/jpeg": {}}, "description": "The picture."}, **_failures(*statuses)}


def _handle_errors(app: FastAPI, library: Library) -> None:
    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> JSONResponse:
        parts = []
        for one in error.errors()[:3]:
            place = ".".join(str(part) for part in one["loc"][1:])
            parts.append(f"{place}: {one['msg']}" if place else str(one["msg"]))
        # A body that is no JSON is another kind of mistake than a value that is not allowed.
        unreadable = any(one["type"] == "json_invalid" for one in error.errors())
        return problem(400 if unreadable else 422, "; ".join(parts) + "; see /v1/openapi.json")

    @app.exception_handler(UnknownKeyError)
    async def unknown(_: Request, error: UnknownKeyError) -> JSONResponse:
        return problem(404, str(error))

    @app.exception_handler(ImageError)
    async def unusable(_: Request, error: ImageError) -> JSONResponse:
        return problem(422, library.told(error))

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> JSONResponse:
        return problem(409 if isinstance(error, SyncRunningError) else 422, library.told(error))

    @app.exception_handler(OrdhashError)
    async def other(_: Request, error: OrdhashError) -> JSONResponse:
        return problem(503, library.told(error))

    @app.exception_handler(OSError)
    async def no_disk(_: Request, error: OSError) -> JSONResponse:
        reason = error.strerror or type(error).__name__
        return problem(503, f"a file of the collection cannot be used ({reason}); check the disk and the permissions")

    @app.exception_handler(BusyError)
    async def busy(_: Request, error: BusyError) -> JSONResponse:
        return problem(429, "too many requests are waiting already; try again in a moment", {"retry-after": "1"})

    @app.exception_handler(TookTooLongError)
    async def too_long(_: Request, error: TookTooLongError) -> JSONResponse:
        return problem(503, "it took too long; try again, or with a smaller image", {"retry-after": "5"})


def _check_changes(settings: ServiceSettings) -> None:
    if not settings.changes:
        raise HTTPException(403, "this service was started to be looked at only; start it without --read-only")


def _search(library: Library, wanted: messages.SearchRequest, conditions: list[Condition]) -> Found:
    examples = []
    for place, one in enumerate(wanted.examples):
        box: Edges | None = None
        if one.box is not None and one.box != messages.Box():
            box = (one.box.left, one.box.top, one.box.right, one.box.bottom)
        if one.key is not None:
            examples.append(library.example(one.key, box=box, wanted=one.wanted))
        else:
            name = one.name or f"example {place + 1}"
            examples.append(library.own_example(_from_base64(one.image, name), box, wanted=one.wanted, name=name))
    return library.search(examples, wanted.top_k, conditions)


def _from_base64(text: str | None, name: str) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except ValueError:
        raise InputError(f"{name} is no base64; encode the content of the file") from None


def _status(library: Library, settings: ServiceSettings) -> messages.Status:
    info, progress = library.encoder.info, library.progress()
    return messages.Status(
        name=library.folder.name,
        version=ordhash.__version__,
        count=len(library),
        unusable=library.n_failures,
        generation=library.generation,
        code_bits=info.spec.code_bits,
        segments=info.spec.n_segments,
        backbone=info.backbone,
        calibrated=info.asymmetric_calibration is not None,
        changes=settings.changes,
        columns=[
            messages.Column(name=name, kind=_kind(kind), values=values) for name, kind, values in library.columns()
        ],
        sync=None
        if progress is None
        else messages.Progress(done=progress.done, total=progress.total, seconds=progress.seconds),
        problem=library.problem,
    )


def _kind(kind: pa.DataType) -> Literal["text", "number", "time", "truth", "other"]:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    if pa.types.is_temporal(kind):
        return "time"
    return "truth" if pa.types.is_boolean(kind) else "other"


def _answer(found: Found, numbers: Numbers) -> messages.SearchAnswer:
    numbers.encode_seconds.observe(found.encode_seconds)
    numbers.search_seconds.observe(found.search_seconds)
    return messages.SearchAnswer(
        results=[
            messages.Result(
                key=match.answer.key,
                version=match.version,
                distance=match.answer.distance,
                likelihood=match.answer.likelihood,
                near_duplicate=match.near_duplicate,
                group=match.group,
                agreeing=list(match.agreeing),
                metadata=match.answer.metadata,
            )
            for match in found.matches
        ],
        attention=[_map(*one) for one in found.attention],
        encode_milliseconds=1000 * found.encode_seconds,
        search_milliseconds=1000 * found.search_seconds,
    )


def _map(attention: npt.NDArray[np.float32], seen: Edges) -> messages.AttentionMap:
    left, top, right, bottom = seen
    box = messages.Box(left=left, top=top, right=right, bottom=bottom)
    return messages.AttentionMap(values=attention.astype(float).round(6).tolist(), box=box)


def _jpeg(content: bytes, *, forever: bool) -> Response:
    keep = "private, max-age=31536000, immutable" if forever else "private, no-cache"
    return Response(content, media_type="image/jpeg", headers={"cache-control": keep})
