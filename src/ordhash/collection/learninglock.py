"""The place and the lock for learning a model of a collection, which goes on beside searches and syncs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ordhash.errors import InputError, SyncRunningError
from ordhash.support import locked

__all__ = ["locked_for_learning"]

_WORK, _LOCK = "learning", "learning.lock"


@contextmanager
def locked_for_learning(collection: Path, *, wait: bool) -> Iterator[Path]:
    """Lock the learning of a model; yields a folder for intermediate files.

    Args:
        collection: Folder of the collection.
        wait: Whether to wait for another process that is learning a model.

    Raises:
        InputError: The folder cannot be written to.
        SyncRunningError: Another process is learning a model.
    """
    work = collection / _WORK
    try:
        work.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{collection} cannot be written ({error.strerror}); name another with --collection"
        ) from error

    def busy(process: str) -> SyncRunningError:
        return SyncRunningError(f"process {process} is learning a model for {collection}; wait for it, or give --wait")

    with locked(collection / _LOCK, busy, wait=wait, mode=0o600):
        yield work
        with suppress(OSError):  # not empty: the next training resumes from it
            work.rmdir()
