"""The page: its file, its scripts and styles, and the cookie that keeps its token."""

from __future__ import annotations

import hmac
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from ordhash.service.guard import COOKIE
from ordhash.service.served import Served

__all__ = ["page", "static_files"]

_FOLDER = Path(__file__).parents[1] / "page"

page = APIRouter(include_in_schema=False)


@page.get("/")
async def index(served: Served, token: str | None = None) -> Response:
    """The page; with a token in its address, the cookie that the page asks with from then on."""
    if token is None:
        return FileResponse(_FOLDER / "index.html")
    known = served.settings.token
    if known is None or not hmac.compare_digest(token.encode(), known.encode()):
        raise HTTPException(401, "this is not the token of this service")
    answer = RedirectResponse("/", 303)  # so that the token does not stay in the address
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=365 * 24 * 3600)
    return answer


def static_files() -> StaticFiles:
    """Scripts and styles of the page, as an application to mount."""
    return StaticFiles(directory=_FOLDER)
