"""A sync in another process, which may use all cores and can be stopped at any time."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from ordhash.collection import Collection
from ordhash.errors import OrdhashError

__all__ = ["SyncProcess"]

_STOP_SECONDS = 1.0

_log = logging.getLogger(__name__)


class SyncProcess:
    """A sync, running or ended.

    Args:
        folder: Folder of the photographs.
        model: Model file.
        collection: The collection.

    Attributes:
        problem: Once it has ended, why it failed, or what it left undone that is not among the collection's failures:
            photographs that are missing but not forgotten, for instance. None if nothing is.
    """

    def __init__(self, folder: Path, model: Path, collection: Collection) -> None:
        self.problem: str | None = None
        self._folder, self._collection = folder, collection
        self._stopped = False
        # Files, since a pipe could fill up.
        self._report, self._said = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - see _follow
        command = [sys.executable, "-m", "ordhash.cli", "sync", str(folder), "--json"]
        command += ["--model", str(model), "--collection", str(collection.path)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._report, stderr=self._said)
        self._following = threading.Thread(target=self._follow, daemon=True)
        self._following.start()

    def running(self) -> bool:
        """Whether it is still running."""
        return self._following.is_alive()

    def stop(self) -> None:
        """Stop it."""
        self._stopped = True
        self._process.terminate()
        self._following.join(_STOP_SECONDS)
        if self.running():
            self._process.kill()  # loses nothing: the next sync continues
            self._following.join()

    def _follow(self) -> None:
        with self._report, self._said:
            status = self._process.wait()
            report, said = _last_json(self._report), _text(self._said)
        if self._stopped:
            return
        if report is not None:  # the last that is printed, so the sync has come to its end
            left = self._left_undone(report)
            more = f"; and {len(left) - 1:,} more of this kind" if len(left) > 1 else ""
            self.problem = f"the last sync started here is not complete: {left[0]}{more}" if left else None
            return
        errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
        if errors:
            self.problem = f"the last sync started here failed: {errors[-1]}"
            return
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        _log.error("a sync ended unexpectedly (%s)\n%s", how, said)
        self.problem = f"the last sync started here ended unexpectedly ({how}); sync again, and it goes on from there"

    def _left_undone(self, report: dict[str, Any]) -> list[str]:
        """What the report of the sync names and the catalogue does not, a sentence each."""
        try:
            listed = {str(self._folder / failure.source) for failure in self._collection.failures()}
        except (OrdhashError, OSError):
            listed = set()
        return [f"{one['image']}: {one['reason']}" for one in report["failures"] if one["image"] not in listed]


def _last_json(file: IO[bytes]) -> dict[str, Any] | None:
    """The JSON object in the last line; None if there is none."""
    try:
        values = json.loads(_text(file).splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
