"""A sync in a process of its own, which may use all cores and be ended at any time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["SyncProcess"]


class SyncProcess:
    """A sync that is running, or has ended.

    Args:
        folder: Of the photographs.
        model: Its file.
        collection: The collection.
    """

    def __init__(self, folder: Path, model: Path, collection: Path) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop; a pipe could fill up
        command = [sys.executable, "-m", "ordhash.cli", "sync", str(folder)]
        command += ["--model", str(model), "--collection", str(collection)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said
        )

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def error(self) -> str | None:
        """Why it failed; None where it did not, or is not over."""
        if self.running() or not self._process.returncode:
            return None
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        # Files that cannot be used give status 1 too, and are no error.
        return errors[-1] if errors else None

    def stop(self) -> None:
        """End it."""
        if self.running():
            self._process.terminate()
            self._process.wait()
        self._said.close()
