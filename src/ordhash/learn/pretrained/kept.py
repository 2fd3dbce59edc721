"""Weights that are fetched on first use and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ordhash.errors import DataError, MissingPartError

__all__ = ["check_kept", "fetching", "kept_folder"]


def kept_folder(package: str) -> Path:
    """Where weights of a package are kept: in the user's cache, or below ``XDG_CACHE_HOME`` if that is set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ordhash", package)


@contextmanager
def fetching(name: str, folder: Path, otherwise: str) -> Iterator[None]:
    """Say what to do where weights cannot be fetched.

    Args:
        name: Of the network.
        folder: Where they are to be kept.
        otherwise: What else the user can do, as the end of a sentence.

    Raises:
        MissingPartError: Instead of the errors of fetching and writing.
    """
    try:
        yield
    except (DataError, MissingPartError) as error:
        raise MissingPartError(f"the weights of {name} are not at hand: {error}, or {otherwise}") from error
    except OSError as error:
        raise MissingPartError(
            f"the weights of {name} cannot be kept in {folder} ({error.strerror}); set XDG_CACHE_HOME to a folder that "
            "can be written"
        ) from error


def check_kept(paths: Sequence[Path], sha256: str, package: str) -> None:
    """Refuse files that are not those of the package.

    Args:
        paths: The files, in order.
        sha256: Digest of all their bytes.
        package: Its name and version, for the message.

    Raises:
        DataError: The digest differs.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() if path.exists() else b"")
    if digest.hexdigest() != sha256:
        what = paths[0] if len(paths) == 1 else paths[0].parent
        raise DataError(
            f"{what} is damaged, or not from {package} (its SHA-256 is {digest.hexdigest()[:12]}..., expected is "
            f"{sha256[:12]}...); delete it, and it is fetched again"
        )
