"""The application: routes, guard, errors, and what runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

import ordhash
from ordhash.service.document import document
from ordhash.service.failures import handle_errors
from ordhash.service.guard import Guard
from ordhash.service.library import Library
from ordhash.service.routes import page, photographs, search, service, static_files
from ordhash.service.served import SharedState
from ordhash.service.settings import ServiceSettings

__all__ = ["create_app"]

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two checks whether the collection has changed


def create_app(library: Library, settings: ServiceSettings | None = None) -> FastAPI:
    """The service as an ASGI application.

    Args:
        library: The collection.
        settings: Who may connect, and limits.

    Example::

        uvicorn.run(create_app(Library("photos.collection")), port=8765)
    """
    shared = SharedState(library, settings or ServiceSettings())

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_watch(library))
        try:
            yield
        finally:
            watching.cancel()
            await shared.close()
            await asyncio.to_thread(library.close)

    app = FastAPI(
        title="ordhash",
        summary="Photographs that look alike, by ordinal hash codes.",
        version=ordhash.__version__,
        openapi_url="/v1/openapi.json",
        separate_input_output_schemas=False,
        docs_url=None,  # these pages would fetch scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.shared = shared
    app.add_middleware(Guard, settings=shared.settings, numbers=shared.numbers)
    handle_errors(app, library)
    for router in (service, photographs, search, page):
        app.include_router(router)
        _answer_head(app, router)
    app.mount("/page", static_files(), name="page")
    drawn = app.openapi
    # Drawing takes as long as everything else here, and few clients ask for the document.
    app.openapi = functools.cache(lambda: document(drawn(), token=shared.settings.token is not None))  # type: ignore[method-assign]
    return app


def _answer_head(app: FastAPI, router: APIRouter) -> None:
    """Answer HEAD wherever GET is; the server leaves out the body."""
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


async def _watch(library: Library) -> None:
    """Keep the library in step with the collection, and load what the first search needs."""
    work: Callable[[], None] = library.warm_up
    while True:
        try:
            await asyncio.to_thread(work)
        except Exception:  # the next check may succeed, and the service answers meanwhile
            _log.exception("checking the collection for changes failed")
        work = functools.partial(library.refresh, soon=True)
        await asyncio.sleep(_LOOK_SECONDS)
