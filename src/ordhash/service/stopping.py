"""A server that stops within seconds, whatever is in progress."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import NoReturn

import uvicorn

__all__ = ["ANSWER_SECONDS", "StoppingServer", "end_process"]

ANSWER_SECONDS = 4
"""Time for requests that run when the server is told to stop."""

_CLEANING_SECONDS = 3.0  # then, for the collection and for work that nobody waits for any more
_THREAD_SECONDS = 0.5  # and last, for threads that end by themselves


class StoppingServer(uvicorn.Server):
    """uvicorn's server, which ends the process if it has not stopped some seconds after a signal.

    Python waits for all threads before a process ends, and no thread can be interrupted: not one that decodes a large
    image, nor one that loads what the first search needs. Whatever the service writes survives being killed.
    """

    _number: int = signal.SIGTERM
    _timer: threading.Timer | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, as told by a signal."""
        if self._timer is None:
            self._number = sig
            self._end_in(ANSWER_SECONDS + _CLEANING_SECONDS)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer running requests, and close the collection; from then on nothing is worth waiting for."""
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        await super().shutdown(sockets)
        if self._timer is not None:
            self._timer.cancel()
            self._end_in(_THREAD_SECONDS)

    def _end_in(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        end_process(0 if self._number == signal.SIGINT else 128 + self._number)


def end_process(status: int) -> NoReturn:
    """End this process at once; whatever it has open must be closed.

    Python's own end takes seconds on a busy machine: it takes apart every object of every library.

    Args:
        status: Its exit status.
    """
    for child in multiprocessing.active_children():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(status)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's log is worth showing: not that a stop ends requests that take too long."""
    return not str(record.msg).startswith("Cancel %s running task(s)")
