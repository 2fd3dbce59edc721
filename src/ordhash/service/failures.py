"""What becomes of errors: a status and one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from ordhash.errors import ImageError, InputError, OrdhashError, SyncRunningError, shown
from ordhash.service.guard import problem
from ordhash.service.library import Library, UnknownKeyError
from ordhash.service.reading import NotJsonError
from ordhash.service.work import BusyError, TookTooLongError

__all__ = ["handle_errors"]


def handle_errors(app: FastAPI, library: Library) -> None:
    """Make an application answer errors with [Problem][ordhash.service.messages.Problem].

    Args:
        app: The application.
        library: Knows which paths an answer must not show.
    """

    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> JSONResponse:
        parts = [_sentence(one) for one in error.errors()[:3]]
        return problem(422, "; ".join(parts) + "; see /v1/openapi.json")

    @app.exception_handler(NotJsonError)
    async def unreadable(_: Request, error: NotJsonError) -> JSONResponse:
        return problem(400, str(error))

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
        return problem(503, f"a file of the collection cannot be used ({reason}); check disk and permissions")

    @app.exception_handler(BusyError)
    async def busy(_: Request, error: BusyError) -> JSONResponse:
        return problem(429, "too many requests are waiting; try again in a moment", {"retry-after": "1"})

    @app.exception_handler(TookTooLongError)
    async def too_long(_: Request, error: TookTooLongError) -> JSONResponse:
        return problem(503, "it took too long; try again, or with a smaller image", {"retry-after": "5"})

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return problem(500, "this is an error of the service; its own output says more")


def _sentence(error: dict[str, Any]) -> str:
    place: Sequence[str | int] = error["loc"][1:]
    named = ".".join(part if re.fullmatch(r"\w{1,50}", part) else shown(part) for part in map(str, place))
    reason = error["msg"].removeprefix("Value error, ")
    return f"{named}: {reason}" if named else reason
