"""Which files below a folder are photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from ordhash.data.images import IMAGE_SUFFIXES

__all__ = ["CATALOGUE", "is_image_name", "walk_images"]

CATALOGUE = "catalogue.sqlite"  # a folder with this file is a collection


def is_image_name(path: str) -> bool:
    """Whether a path with forward slashes has the suffix of an image and no hidden part.

    >>> is_image_name("beach/1.JPG"), is_image_name("beach/.1.jpg"), is_image_name("notes.txt")
    (True, False, False)
    """
    return not any(part.startswith(".") for part in path.split("/")) and _is_picture(path)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def walk_images(folder: Path, unreadable: Callable[[Path, str], None]) -> Iterator[Path]:
    """Image files below a folder, by suffix, in no order.

    Hidden files and folders are skipped, and so are collections, which contain thumbnails.
    Links to folders are not followed (they can loop).

    Args:
        folder: The folder.
        unreadable: Called for a folder that cannot be read, with the reason.
    """

    def report(error: OSError) -> None:
        unreadable(Path(error.filename), str(error.strerror))

    for parent, folders, names in os.walk(folder, onerror=report, followlinks=False):
        folders[:] = [name for name in folders if not (name.startswith(".") or Path(parent, name, CATALOGUE).exists())]
        for name in names:
            if not name.startswith(".") and _is_picture(name):
                yield Path(parent, name)
