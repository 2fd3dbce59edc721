"""What a reader of a folder passed over: what it could not read, and images in formats that cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ordhash.errors import ImageError

__all__ = ["PassedOver", "not_read"]

_RAW = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef"),
        *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw"),
        ".x3f",
    }
)
_UNREAD = _RAW | frozenset(
    {
        *(".dds", ".eps", ".exr", ".hdr", ".heic", ".heics", ".heif", ".heifs", ".hif", ".icns", ".jng", ".jxl"),
        *(".jxr", ".kra", ".pcx", ".psb", ".psd", ".svg", ".svgz", ".tga", ".wdp", ".xcf"),
    }
)
_VIDEOS = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".insv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv"),
        *(".webm", ".wmv"),
    }
)


@dataclass
class PassedOver:
    """What a reader of a folder passed over.

    Attributes:
        failures: Folders and files that cannot be read, or not be named.
        closed: Paths of those folders, below the one that is read, each ending in ``/`` (empty for the whole folder).
        unread: Number of images in formats that cannot be read, and of videos, by suffix in lower case.
    """

    failures: list[ImageError] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)

    def count(self, name: str) -> None:
        """Count a file that is not read, if it is an image or a video."""
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in _UNREAD or suffix in _VIDEOS:
            self.unread[suffix] += 1


def not_read(unread: Mapping[str, int]) -> str:
    """One sentence on images in formats that cannot be read, and on videos; empty if there are none.

    Args:
        unread: Their number by suffix.

    >>> not_read({".cr3": 2, ".heic": 1, ".mp4": 12})
    '3 images in formats that cannot be read (2 CR3, 1 HEIC), convert them to JPEG; 12 videos'
    """
    images = Counter({suffix: n for suffix, n in unread.items() if suffix not in _VIDEOS})
    videos = sum(unread.values()) - images.total()
    said = []
    if images:
        kinds = ", ".join(f"{n:,} {suffix[1:].upper()}" for suffix, n in images.most_common())
        one, them = ("image in a format", "it") if images.total() == 1 else ("images in formats", "them")
        said.append(f"{images.total():,} {one} that cannot be read ({kinds}), convert {them} to JPEG")
    if videos:
        said.append(f"{videos:,} {'video' if videos == 1 else 'videos'}")
    return "; ".join(said)
