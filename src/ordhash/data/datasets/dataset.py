"""What a public data set is: its parts, and who fetches and reads them."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ordhash.data.imageset import ImageSet

__all__ = ["Dataset", "Parts", "unpack"]

Parts = dict[str, ImageSet]


@dataclass(frozen=True)
class Dataset:
    """A public data set.

    Attributes:
        name: Its name on the command line, and of its folder below the data root.
        title: What it holds.
        licence: Under which terms.
        source: Where it comes from.
        get: Fetches it into its folder.
        read: Reads its official parts from its folder.
    """

    name: str
    title: str
    licence: str
    source: str
    get: Callable[[Path], None]
    read: Callable[[Path], Parts]


def unpack(archive: Path, folder: Path) -> None:
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
