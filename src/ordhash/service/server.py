"""The server: a socket, the application, and a stop that finishes running requests first."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from ordhash.errors import InputError
from ordhash.service.address import address_for_others
from ordhash.service.app import create_app
from ordhash.service.library import Library
from ordhash.service.protocol import Connection
from ordhash.service.settings import ServiceSettings
from ordhash.service.stopping import ANSWER_SECONDS, StoppingServer
from ordhash.support import give_memory_back

__all__ = ["run"]

_CONNECTIONS = 512  # further ones get status 503


def run(library: Library, settings: ServiceSettings, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; running requests have a few seconds to finish.

    The process ends some seconds after the signal, even if a thread still works.

    Args:
        library: The collection.
        settings: Where to listen, and what is allowed.
        tell: Called with the address, as others reach it, once connections are accepted.

    Raises:
        InputError: The address is in use or not allowed.
        KeyboardInterrupt: SIGINT ended it.
    """
    give_memory_back()
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen at port {settings.port} of {settings.host} ({error.strerror or error}); stop what uses it, "
            "or give another --port (0 takes a free one)"
        ) from error
    config = uvicorn.Config(
        create_app(library, settings),
        log_level="error",  # warnings are about what clients send
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=ANSWER_SECONDS,
        timeout_keep_alive=15,
        http=Connection,
        ws="none",
        h11_max_incomplete_event_size=1 << 16,
        limit_concurrency=_CONNECTIONS,
    )
    bound, port = listener.getsockname()[:2]
    unspecified = bound in ("0.0.0.0", "::")  # also of a host such as 0
    tell(f"http://{address_for_others(bound if unspecified else settings.host)}:{port}")
    with listener:
        try:
            StoppingServer(config).run(sockets=[listener])
        finally:  # a second signal skips what the application does at its end
            library.close()
