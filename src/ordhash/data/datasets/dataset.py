"""A public data set: its parts, and the functions that fetch and read them."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError, first_line

__all__ = ["Dataset", "Parts", "unpack_once"]

Parts = dict[str, ImageSet]


@dataclass(frozen=True)
class Dataset:
    """A public data set.

    Attributes:
        name: Name on the command line, and of its folder below the data root.
        title: Its contents.
        licence: Its terms.
        source: Its origin.
        get: Fetches it into its folder.
        read: Reads its official parts from its folder.
    """

    name: str
    title: str
    licence: str
    source: str
    get: Callable[[Path], None]
    read: Callable[[Path], Parts]


def unpack_once(archive: Path, entries: Sequence[str]) -> None:
    """Unpack folders of a tar archive beside it; after an interruption, the last of them is missing.

    Args:
        archive: The archive.
        entries: Folders inside it; each is unpacked under its last name.

    Raises:
        DataError: It is damaged or lacks a folder.
    """
    folder, partial = archive.parent, archive.parent / "unpacked.partial"
    try:
        _unpack(archive, partial)
        for entry in entries:
            target = folder / Path(entry).name
            shutil.rmtree(target, ignore_errors=True)  # an interrupted call may have moved it
            (partial / entry).replace(target)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{archive} cannot be unpacked ({first_line(error)}); put a whole copy there") from error
    shutil.rmtree(partial)


def _unpack(archive: Path, folder: Path) -> None:
    """Write the plain files of a tar archive under a folder; tarfile's own filters are missing before Python 3.11.4."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if path.is_absolute() or ".." in path.parts:
                raise tarfile.TarError(f"{member.name} leads out of the archive's folder")
            source = tar.extractfile(member) if member.isfile() else None
            if source is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                with source, (folder / path).open("wb") as target:
                    shutil.copyfileobj(source, target)
