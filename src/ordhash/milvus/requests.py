"""Requests to a Milvus server: retried while it is unreachable or starting; errors become one sentence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from grpc import RpcError, StatusCode
from pymilvus.exceptions import MilvusException

from ordhash.errors import ServerError

__all__ = ["ask", "one_sentence"]

_PAUSE = 0.2  # seconds before a request is made again
# Codes of Milvus' errors: what passes when a server that was started again has come up.
_COMING_UP = {2, 500, 501, 503, 901, 902, 903, 904, 905}
_AWAY = (
    r"UNAVAILABLE|server unavailable|Retry timeout|Fail connecting|node not match|node not found|not ready|not healthy"
)
_NOT_LOADED = {101, 103, 601}

_T = TypeVar("_T")


@contextmanager
def one_sentence(server: str) -> Iterator[None]:
    """Turn the errors of requests into a ServerError.

    Args:
        server: Name of the server in messages.
    """
    try:
        yield
    except (MilvusException, RpcError) as error:
        if _is_away(error):
            raise ServerError(
                f"the Milvus server at {server} cannot be reached or has stopped answering; check that it runs, then "
                "run the same again: what was written stays"
            ) from error
        if _rpc_code(error) in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED):
            raise ServerError(f"the Milvus server at {server} refuses the token; give another one") from error
        raise ServerError(
            f"the Milvus server at {server} refused the request ({_reason(error)}); correct that, then try again"
        ) from error


def ask(request: Callable[[], _T], server: str, timeout: float, *, load: Callable[[], object]) -> _T:
    """Make a request, and retry it while the server is unreachable or starting, until the time-out.

    Args:
        request: Makes it.
        server: Name of the server in messages.
        timeout: Seconds.
        load: Asks the server to load the collection, which a restarted server does only after a while.

    Raises:
        ServerError: It failed.
    """
    until = time.monotonic() + timeout
    while True:
        try:
            with one_sentence(server):
                return request()
        except ServerError as error:
            cause = error.__cause__
            if time.monotonic() >= until:
                raise
            if isinstance(cause, MilvusException) and cause.code in _NOT_LOADED:
                with suppress(MilvusException, RpcError):
                    load()
            elif not _is_away(cause):
                raise
        time.sleep(_PAUSE)


def _is_away(error: BaseException | None) -> bool:
    """Whether to retry: the server is unreachable or starting."""
    code = _rpc_code(error)
    if code is not None:
        return code in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED)
    # Its subclasses say that the client was given what it cannot use.
    if not isinstance(error, MilvusException) or type(error) is not MilvusException:
        return False
    return error.code in _COMING_UP or re.search(_AWAY, str(error)) is not None


def _rpc_code(error: BaseException | None) -> StatusCode | None:
    """The message of gRPC, if that failed."""
    inner, code = error, None
    while inner is not None and code is None:
        if isinstance(inner, RpcError):
            code = inner.code()
        # The client raises errors from themselves.
        inner = inner.__cause__ if inner.__cause__ is not inner else None
    return code


def _reason(error: MilvusException | RpcError) -> str:
    """The message of the server; of a stack trace only the end."""
    said = error.details() if isinstance(error, RpcError) else error.message
    lines = str(said).splitlines() or [type(error).__name__]
    return lines[-1].rpartition(" github.com/")[2]
