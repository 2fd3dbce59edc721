"""The body of a request, as it arrives: so many bytes at most, and so much time."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

__all__ = ["Body", "length_of", "too_large"]

_REST_SECONDS = 2.0
_REST_BYTES = 64 << 20


class Body:
    """The body of a request.

    Args:
        scope: The request.
        receive: Its messages.
        most: Bytes.
        seconds: For all of it.
    """

    def __init__(self, scope: Scope, receive: Receive, *, most: int, seconds: float) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._most = most
        self._left = most
        self._deadline = asyncio.get_running_loop().time() + seconds
        self.whole = "transfer-encoding" not in headers and length_of(headers) == 0
        """Whether nothing of it is missing."""

    async def receive(self) -> Message:
        """The next message of the request, as ASGI has it.

        Raises:
            HTTPException: 408 or 413.
        """
        if self.whole:  # only the disconnect is left, which may come at any time
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._next()
        except TimeoutError:
            raise HTTPException(408, "the request body did not arrive in time; send it again") from None
        if self._left < 0:  # a body without a length, or longer than that
            raise HTTPException(413, too_large(self._most))
        return message

    async def drop(self) -> None:
        """Take what is left and drop it, for a moment: many clients read the answer only when they have sent all."""
        self._left = _REST_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REST_SECONDS):
                while not self.whole and self._left >= 0:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        self.whole = not message.get("more_body", False)  # nor does more come after a disconnect
        return message


def length_of(headers: Headers) -> int | None:
    """Announced length of a body in bytes, 0 without one; None for what is no length.

    Args:
        headers: Of the request.

    >>> length_of(Headers({"content-length": "12"})), length_of(Headers({"content-length": "-1"}))
    (12, None)
    """
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


def too_large(most: int) -> str:
    """Why a request is refused.

    Args:
        most: Bytes.
    """
    return f"the request is too large; at most {most:,} bytes are allowed: scale the image down"
