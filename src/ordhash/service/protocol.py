"""Connections: uvicorn's HTTP/1.1 with a time limit on whatever a client may leave unfinished."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ordhash.service.guard import problem

__all__ = ["Connection"]

_REQUEST_SECONDS = 15.0  # from the opening of a connection, or the first byte of a request, to the end of its headers
_READER_SECONDS = 30.0  # in which a client must take some 50 kB of an answer
_CLOSE = {"connection": "close", "retry-after": "1"}
_CLOSING_SECONDS = 5.0  # in which it must take what is left when the connection is closed


class Connection(H11Protocol):
    """A connection that ends when its client sends no whole request, or takes no answer, for too long.

    uvicorn waits for both without end, and a closed connection stays until the client has read everything.
    """

    _timers: dict[str, asyncio.TimerHandle]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._answer, self.app = self.app, self._within_limit

    async def _within_limit(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or refuse with the body that all failures have if there are too many connections."""
        answer = self._answer
        if self._most is not None and len(self.connections) >= self._most:
            answer = problem(503, "too many connections are open; try again in a moment", _CLOSE)
        await answer(scope, receive, send)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a request."""
        super().connection_made(transport)
        self._timers = {}
        self._end_in(_REQUEST_SECONDS, "request")

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        for waiting in list(self._timers):
            self._go_on(waiting)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the headers, if something is missing."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._end_in(_REQUEST_SECONDS, "request")
        else:
            self._go_on("request")

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._end_in(_READER_SECONDS, "reader")

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._go_on("reader")

    def on_response_complete(self) -> None:
        """After an answer: the next request, or the end."""
        super().on_response_complete()
        self._close_soon()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came."""
        super().timeout_keep_alive_handler()
        self._close_soon()

    def shutdown(self) -> None:
        """The server stops."""
        super().shutdown()
        self._close_soon()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, with the body that all failures have."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # in the body, after the answer
            self.transport.close()
            return
        body = json.dumps(
            {"detail": "this is not a request of HTTP/1.1, or its headers are longer than 64 kB"}
        ).encode()
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"connection", b"close")]
        events: list[Any] = [h11.Response(status_code=400, headers=headers, reason=b"Bad Request")]
        for event in (*events, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._close_soon()

    def _close_soon(self) -> None:
        if self.transport.is_closing():
            self._end_in(_CLOSING_SECONDS, "closing")

    def _end_in(self, seconds: float, waiting: str) -> None:
        if waiting not in self._timers:
            self._timers[waiting] = self.loop.call_later(seconds, self.transport.abort)

    def _go_on(self, waiting: str) -> None:
        timer = self._timers.pop(waiting, None)
        if timer is not None:
            timer.cancel()
