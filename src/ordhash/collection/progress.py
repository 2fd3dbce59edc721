"""How far a sync is, told to other processes by a file beside the catalogue."""

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
    """How far a sync is that is running now, perhaps in another process.

    Attributes:
        done: Files that are done, of those that are new or changed.
        total: How many these are; 0 as long as the folder is being listed.
        seconds: Since it began.
    """

    done: int = 0
    total: int = 0
    seconds: float = 0.0


def progress_in(folder: Path) -> SyncProgress | None:
    """How far the sync of the collection in a folder is that is running now; None where there is none."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except FileNotFoundError:
        return None
    else:
        return None
    try:
        told = json.loads((folder / _PROGRESS).read_bytes())
    except FileNotFoundError:  # whoever holds the lock is no sync
        return None
    except (OSError, ValueError):
        return SyncProgress()
    return SyncProgress(told["done"], told["total"], time.time() - told["started"])


def progress_teller(folder: Path) -> Callable[[int, int], None]:
    """What a sync calls with the files that are done and all of them, for whoever asks ``progress_in``."""
    started = time.time()

    def tell(done: int, total: int) -> None:
        values = json.dumps({"done": done, "total": total, "started": started}).encode()
        with contextlib.suppress(OSError):  # on a full disk the sync has better sentences of its own
            replace_file(folder / _PROGRESS, lambda file: file.write(values))

    return tell


def forget_progress(folder: Path) -> None:
    """Take back what a sync has told: it is over, or was killed."""
    (folder / _PROGRESS).unlink(missing_ok=True)
