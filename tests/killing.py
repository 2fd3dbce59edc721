"""A server of processes that work on a collection and are killed on the way, for tests.

It forks for every task, so a kill costs tenths of a second. A task is a line of JSON, `{"do": NAME, "arguments": [...],
"events": N or null, "seconds": S or null}`. The process is killed before its Nth event
(opening, renaming, removing, locking a file and the like) or after so many seconds; the answer is a line as well, 0 if
the task came to its end and the number of the signal otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from ordhash.errors import MissingPartError

EVENTS = ("open", "os.", "sqlite3.", "fcntl.", "shutil.")


class Killing:
    """The server, as its users see it."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Killing:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()

    def run(self, do: str, *arguments: object, events: int | None = None, seconds: float | None = None) -> bool:
        """Let a process do something; returns whether it was killed."""
        task = {"do": do, "arguments": [str(argument) for argument in arguments], "events": events, "seconds": seconds}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(task) + "\n")
        said = self._server.stdout.readline()
        assert said, f"the server itself has ended, with {self._server.wait(30)}"
        answer = int(said)
        assert answer in (0, signal.SIGKILL), f"{do} ended with {answer}"
        return answer != 0


def sync(collection: str, folder: str, model: str) -> None:
    from ordhash import Encoder
    from ordhash.collection import Collection

    Collection(collection).sync(folder, Encoder(model), reencode=True, forget=True)


def add(collection: str, photo: str, name: str) -> None:
    from ordhash import Encoder
    from ordhash.collection import Collection

    held = Collection(collection)
    held.add(Path(photo).read_bytes(), Encoder(held.model()), name=name)


def delete(collection: str, *keys: str) -> None:
    from ordhash.collection import Collection

    Collection(collection).delete(keys)


def index(collection: str) -> None:
    from ordhash.collection import Collection

    for path in Path(collection).glob("*.index"):
        path.unlink()
    Collection(collection).index()


def learn(collection: str, folder: str, cache: str) -> None:
    from ordhash.collection import Collection
    from ordhash.learn import DOHConfig
    from ordhash.ownmodel import LearningPlan, sync_without_model

    tiny = DOHConfig(code_bits=16, weights=None, image_size=64, hidden=8, local_hidden=8)
    plan = LearningPlan(least_images=1000, cache=Path(cache))
    sync_without_model(Collection(collection), folder, config=tiny, relearn=True, plan=plan)


def _work(task: dict[str, Any]) -> None:
    left = task["events"]
    if left is not None:

        def count(event: str, _: object) -> None:
            nonlocal left
            if event.startswith(EVENTS):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
    globals()[task["do"]](*task["arguments"])


def _serve() -> None:
    import onnxruntime  # noqa: F401 - once, not in every process
    import pyarrow  # noqa: F401

    from ordhash import Encoder  # noqa: F401
    from ordhash.collection import sync as chunked

    with contextlib.suppress(MissingPartError, ImportError):
        import ordhash.learn.shallow
        import ordhash.ownmodel  # noqa: F401

    chunked._CHUNK_FILES = 3  # many transactions
    for line in sys.stdin:
        task = json.loads(line)
        process = os.fork()
        if process == 0:
            status = 1
            try:
                _work(task)
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        end = None if task["seconds"] is None else time.monotonic() + task["seconds"]
        while True:
            done, status = os.waitpid(process, 0 if end is None else os.WNOHANG)
            if done:
                break
            if time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
                end = None
            time.sleep(0.002)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)


if __name__ == "__main__":
    _serve()
