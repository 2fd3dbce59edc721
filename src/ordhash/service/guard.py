"""Middleware: who may connect, from where, how much may be sent; and counters of all that."""

from __future__ import annotations

import asyncio
import hmac
import time
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ordhash.errors import shown
from ordhash.service.body import Body, length_of, too_large
from ordhash.service.settings import ServiceSettings

__all__ = ["COOKIE", "Guard", "Numbers", "problem"]

COOKIE = "ordhash_token"

# Open without a token: the health check, and the page itself, which holds no photographs and asks for the token.
_OPEN = ("/v1/health", "/")

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # Unless a route says otherwise. Scripts of another version than the page would not fit it.
    "cache-control": "private, no-cache",
}

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST"})

_SENTENCE = 1000  # characters at most

_BODIES = 16  # times the largest body may be in transit at once

_STOPPING = "the service is stopping; try again later (a change may have been made all the same)"
_TOO_MANY_BYTES = "too many bytes are being sent at once; try again in a moment"

_NAMES_OF_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


class Numbers:
    """Counters for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ordhash_requests_total", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "ordhash_request_seconds",
            "Seconds from a request's headers to the end of its answer.",
            ["method", "route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.encode_seconds = Histogram(
            "ordhash_encode_seconds", "Seconds of decoding and the network, a search.", registry=self.registry
        )
        self.search_seconds = Histogram(
            "ordhash_search_seconds",
            "Seconds of comparing codes and looking up results, a search.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1),
            registry=self.registry,
        )
        self.photographs = Gauge("ordhash_photographs", "Photographs in the collection.", registry=self.registry)
        self.under_way = Gauge(
            "ordhash_work_under_way", "Calls that run or wait for a thread.", ["kind"], registry=self.registry
        )


class Guard:
    """ASGI middleware.

    Args:
        app: The application behind it.
        settings: What is allowed.
        numbers: Counters of requests.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, numbers: Numbers) -> None:
        self._app = app
        self._settings = settings
        self._numbers = numbers
        self._bodies = 0  # bytes of bodies in transit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        body = Body(scope, receive, most=self._settings.upload_bytes, seconds=self._settings.seconds)
        answer = _Answer(send, body)
        refusal = self._refusal(scope)
        room = self._room_for(scope) if refusal is None else 0
        if self._bodies + room > _BODIES * self._settings.upload_bytes:
            refusal, room = problem(429, _TOO_MANY_BYTES, {"retry-after": "1"}), 0
        self._bodies += room
        try:
            await (refusal or self._app)(scope, body.receive, answer)
        except asyncio.CancelledError:  # the server stops, and waits no longer
            body.whole = True
            if not answer.started:
                await problem(503, _STOPPING)(scope, receive, answer)
        finally:
            self._bodies -= room
            # The route, if any: an unknown path must not become a label.
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._numbers.requests.labels(method, route, answer.status).inc()
            self._numbers.seconds.labels(method, route).observe(time.perf_counter() - started)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = _name_of(headers.get("host", ""))
        # A page of the web can resolve its own name to this machine, or post to it; the Host and Origin headers give it
        # away. It does not know the token, so with a token any name will do, that of a proxy too.
        if self._settings.token is None and host not in (*_NAMES_OF_THIS_MACHINE, self._settings.host):
            return problem(421, f"this service listens at {self._settings.host}, not at {shown(host)}")
        origin = headers.get("origin")
        if origin is not None and _place_of(origin) != headers.get("host"):
            return problem(403, "this request comes from another site; open the page of this service")
        if not self._is_known(scope, headers):
            return problem(
                401,
                "the token is missing or wrong; open the address that the service printed, or send the header "
                "Authorization: Bearer TOKEN",
                {"www-authenticate": "Bearer"},
            )
        length = length_of(headers)
        if length is None:
            return problem(400, "the header Content-Length is not a number; send the length of the body")
        if length > self._settings.upload_bytes:
            return problem(413, too_large(self._settings.upload_bytes))
        return None

    def _is_known(self, scope: Scope, headers: Headers) -> bool:
        token = self._settings.token
        if token is None or _is_open(scope):
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            # The standard library's parser stops at the first malformed cookie, which may be another program's.
            given = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())

    def _room_for(self, scope: Scope) -> int:
        """Bytes of memory that the body of an allowed request may take."""
        if _is_open(scope):  # for everybody, so no body is read, nor may one that is announced take others' room
            return 0
        headers = Headers(scope=scope)
        announced = self._settings.upload_bytes if "transfer-encoding" in headers else length_of(headers) or 0
        return min(announced, self._settings.upload_bytes)


class _Answer:
    """``send`` that adds headers, and closes the connection if the request was not read to its end.

    Args:
        send: The server's.
        body: Of the request.
    """

    def __init__(self, send: Send, body: Body) -> None:
        self._send = send
        self._body = body
        self.started = False
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if not self._body.whole:  # or the server reads on, without end
                headers["connection"] = "close"
        elif not message.get("more_body", False) and not self._body.whole:
            await self._send({**message, "more_body": True})
            await self._body.drop()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Response for a failed request; its body is a [Problem][ordhash.service.messages.Problem].

    Args:
        status: HTTP status.
        sentence: What was given, what is allowed, what to do. The middle of a very long one is left out.
        headers: More headers.
    """
    if len(sentence) > _SENTENCE:
        sentence = f"{sentence[: _SENTENCE // 2]} [...] {sentence[-_SENTENCE // 2 :]}"
    # A lone half of a surrogate pair, which JSON can spell, is no text to send.
    return JSONResponse({"detail": sentence.encode(errors="replace").decode()}, status, headers)


def _is_open(scope: Scope) -> bool:
    return scope["path"] in _OPEN or scope["path"].startswith("/page/")


def _place_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
