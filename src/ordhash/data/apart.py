"""Decode images from strangers in processes of their own, which end when one takes too much time or memory.

A decoder in a thread cannot be stopped: a file of some kilobytes can keep it busy for minutes, and the process with it.
"""

from __future__ import annotations

import os
import queue
import signal
import struct
import subprocess
import sys
import threading
from typing import IO

from PIL import Image

from ordhash.data.images import open_rgb
from ordhash.errors import ImageError
from ordhash.support import give_memory_back

__all__ = ["Decoders", "answer_requests"]

_REQUEST = struct.Struct(">QQQd")  # bytes of the file, most pixels, least side (0: all), seconds
_ANSWER = struct.Struct(">BII")  # whether it is an image; width and height, or 0 and the bytes of the reason
_NO_MEMORY = "there is not enough memory to decode it; scale it down or remove it"
_NICE = 5  # behind searches


class Decoders:
    """Processes that decode images; safe for threads.

    A process is started when it is needed and serves one image after the other. One that was ended is replaced.

    Args:
        count: Most processes.
        seconds: Time limit for an image.
        max_pixels: Larger images are refused.
        memory: Bytes that decoding may take; by default half a gigabyte and 8 for each pixel.

    Example::

        with Decoders(2, seconds=10, max_pixels=100_000_000) as decoders:
            image = decoders.open_rgb(content, name="upload")
    """

    def __init__(self, count: int, *, seconds: float, max_pixels: int, memory: int | None = None) -> None:
        self._memory = (512 << 20) + 8 * max_pixels if memory is None else memory
        self._seconds = seconds
        self._max_pixels = max_pixels
        self._places = threading.BoundedSemaphore(count)
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def open_rgb(self, content: bytes, *, name: str, least_side: int | None = None) -> Image.Image:
        """Decode an image, as [open_rgb][ordhash.data.open_rgb] does.

        Args:
            content: Of an image file.
            name: Its name in errors.
            least_side: Pixels needed on the shorter side.

        Raises:
            ImageError: It cannot be used, or decoding takes too long or too much memory.
        """
        with self._places:
            process = self._process()
            try:
                answer = self._ask(process, content, least_side)
            except (OSError, EOFError):
                self._end(process)
                raise ImageError(
                    name,
                    f"decoding it took more than {self._seconds:g} seconds or too much memory; scale it down, or "
                    "convert it to a plain JPEG or PNG",
                ) from None
            except BaseException:
                self._end(process)
                raise
            self._idle.put(process)
        if isinstance(answer, str):
            raise ImageError(name, answer)
        return answer

    def start(self) -> None:
        """Start a process, so that the first image need not wait for it."""
        with self._places:
            self._idle.put(self._process())

    def close(self) -> None:
        """End all processes; images that are decoded now fail, and a later one starts a process again."""
        with self._lock:
            processes = list(self._all)
        for process in processes:
            self._end(process)

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _process(self) -> subprocess.Popen[bytes]:
        while True:
            try:
                process = self._idle.get_nowait()
            except queue.Empty:
                break
            if process.poll() is None:
                return process
            self._end(process)
        with self._lock:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "from ordhash.data.apart import answer_requests; answer_requests()",
                    str(self._memory),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                start_new_session=True,  # the terminal's Ctrl-C is for the parent, which ends this
            )
            self._all.add(process)
            return process

    def _ask(self, process: subprocess.Popen[bytes], content: bytes, least_side: int | None) -> Image.Image | str:
        if process.stdin is None or process.stdout is None:
            raise EOFError
        process.stdin.write(_REQUEST.pack(len(content), self._max_pixels, least_side or 0, self._seconds))
        process.stdin.write(content)
        process.stdin.flush()
        good, width, height = _ANSWER.unpack(_read(process.stdout, _ANSWER.size))
        if not good:
            return _read(process.stdout, height).decode()
        return Image.frombytes("RGB", (width, height), _read(process.stdout, 3 * width * height))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._all.discard(process)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:
                pass  # what was not yet written is lost with the process


def _read(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return content


def answer_requests() -> None:
    """Decode what is asked for on stdin until it ends: the work of one process."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    os.nice(_NICE)
    give_memory_back()
    Image.init()
    _limit_memory(int(sys.argv[1]))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it is doing
    while header := requests.read(_REQUEST.size):
        length, max_pixels, least_side, seconds = _REQUEST.unpack(header)
        content = requests.read(length)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            image = open_rgb(content, name="", max_pixels=max_pixels, least_side=least_side or None)
            answer = [_ANSWER.pack(1, *image.size), image.tobytes()]
        except (ImageError, MemoryError) as error:
            text = error.reason if isinstance(error, ImageError) else _NO_MEMORY
            reason = text.encode()
            answer = [_ANSWER.pack(0, 0, len(reason)), reason]
        signal.setitimer(signal.ITIMER_REAL, 0)
        del content
        answers.writelines(answer)
        answers.flush()


def _limit_memory(size: int) -> None:
    """Let this process take so many bytes more."""
    import resource

    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            now = int(file.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = now + size
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))
    except (OSError, ValueError):
        pass  # no such limit on this system
