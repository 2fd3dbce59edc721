"""A server that stops within seconds, whatever is in progress."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from types import FrameType

import uvicorn

__all__ = ["ANSWER_SECONDS", "StoppingServer"]

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
        await super().shutdown(sockets)
        if self._timer is not None:
            self._timer.cancel()
            self._end_in(_THREAD_SECONDS)

    def _end_in(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(0 if self._number == signal.SIGINT else 128 + self._number)
