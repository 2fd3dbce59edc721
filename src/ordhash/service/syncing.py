"""A sync in another process, which may use all cores and can be stopped at any time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["SyncProcess"]

_STOP_SECONDS = 1.0


class SyncProcess:
    """A sync, running or ended.

    Args:
        folder: Folder of the photographs.
        model: Model file.
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
        """Whether it is still running."""
        return self._process.poll() is None

    def error(self) -> str | None:
        """Why it failed; None if it did not, or is still running."""
        if self.running() or not self._process.returncode:
            return None
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        # Status 1 without an error line: some files cannot be used.
        return errors[-1] if errors else None

    def stop(self) -> None:
        """Stop it."""
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()  # loses nothing: the next sync continues
                self._process.wait()
        self._said.close()
