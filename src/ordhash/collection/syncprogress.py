"""Progress of a sync, told to other processes by a file beside the catalogue."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ordhash.support import replace_file

__all__ = ["LOCK", "SyncProgress", "forget_progress", "progress_in", "progress_teller"]

LOCK = "lock"  # of the only writer
_PROGRESS = "sync.json"


@dataclass(frozen=True)
class SyncProgress:
    """Progress of a sync that is running now, perhaps in another process.

    Attributes:
        done: New and changed files that are done.
        total: All new and changed files; 0 while the folder is being listed.
        seconds: Since the start.
    """

    done: int = 0
    total: int = 0
    seconds: float = 0.0


def progress_in(folder: Path) -> SyncProgress | None:
    """Progress of the running sync of the collection in a folder; None where none is running."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except (FileNotFoundError, PermissionError):  # who may not write may not see the lock
        return None
    else:
        return None
    try:
        told = json.loads((folder / _PROGRESS).read_bytes())
    except FileNotFoundError:  # the lock is not held by a sync
        return None
    except (OSError, ValueError):
        return SyncProgress()
    return SyncProgress(told["done"], told["total"], time.time() - told["started"])


def progress_teller(folder: Path) -> Callable[[int, int], None]:
    """Function that a sync calls with the files done and all files; ``progress_in`` reads what it writes."""
    started = time.time()

    def tell(done: int, total: int) -> None:
        values = json.dumps({"done": done, "total": total, "started": started}).encode()
        with contextlib.suppress(OSError):  # on a full disk the sync reports that better
            replace_file(folder / _PROGRESS, lambda file: file.write(values))

    return tell


def forget_progress(folder: Path) -> None:
    """Remove what a sync has told: it is over, or was killed."""
    (folder / _PROGRESS).unlink(missing_ok=True)
