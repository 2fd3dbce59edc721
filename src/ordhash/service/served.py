"""What the routes of one application share: the collection, its settings, and the threads that work for it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request

from ordhash.service import messages
from ordhash.service.guard import Numbers
from ordhash.service.library import Library
from ordhash.service.settings import ServiceSettings
from ordhash.service.work import Work

__all__ = ["Served", "SharedState", "failures", "may_change", "may_fetch"]

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
        415: "The body is of another type.",
        416: "The file has no such part.",
        421: "The service has another name.",
        422: "A value is not allowed, or an image cannot be used.",
        429: "Too many requests at once; try again.",
        500: "An error of the service.",
        503: "It took too long, or the service is stopping.",
    }.items()
}

# Of every route: who asks, from where, how much is sent, and whether the service can answer at all.
_ALWAYS = (400, 401, 403, 413, 421, 422, 429, 500, 503)


class SharedState:
    """State of an application, which every route gets.

    Args:
        library: The collection.
        settings: Who may connect, and limits.
    """

    def __init__(self, library: Library, settings: ServiceSettings) -> None:
        self.library = library
        self.settings = settings
        self.numbers = Numbers()
        limits: dict[str, Any] = {
            "concurrent": settings.concurrent,
            "waiting": settings.waiting,
            "seconds": settings.seconds,
        }
        # Apart, so that a search never waits behind the pictures of a page that is scrolled.
        self.searching = Work(**limits)
        self.showing = Work(**limits)
        # A change reloads the index, which may take long. What has begun is waited for, or it would count as failed.
        self.changing = Work(**limits | {"concurrent": 1}, finish=True)
        # And uploads that are hard to decode hold up other uploads at most.
        self.decoding = Work(**limits | {"concurrent": 2 * settings.concurrent})

    async def close(self) -> None:
        """Wait a moment for running calls, of all kinds at once; drop those that wait."""
        kinds = (self.searching, self.showing, self.changing, self.decoding)
        await asyncio.gather(*(kind.close() for kind in kinds))


async def _shared_state(request: Request) -> SharedState:
    state: SharedState = request.app.state.shared
    return state


Served = Annotated[SharedState, Depends(_shared_state)]
"""Type of the parameter by which a route gets the shared state."""


async def may_change(served: Served) -> None:
    """Refuse changes on a read-only service; a dependency of the routes that change something.

    Raises:
        HTTPException: 403.
    """
    if not served.settings.changes:
        raise HTTPException(403, "this service is read-only; start it without --read-only")


async def may_fetch(served: Served) -> None:
    """Refuse original files unless they are offered; a dependency of their route.

    Raises:
        HTTPException: 403.
    """
    if not served.settings.originals:
        raise HTTPException(403, "this service does not give out original files; start it with --originals")


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Failures of a route for the OpenAPI document, with those that every route has.

    Args:
        statuses: Of the failures.
    """
    return {status: _FAILURES[status] for status in sorted({*_ALWAYS, *statuses})}
