"""Readers of folders: images alone, or one sub-folder per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ordhash.data.images import IMAGE_SUFFIXES, ImageSource
from ordhash.data.imageset import ImageSet, label_matrix
from ordhash.data.walking import walk_images
from ordhash.errors import DataError
from ordhash.support import StrPath

__all__ = ["folder_set", "read_folder", "read_photographs"]


def read_folder(folder: str | Path) -> ImageSet:
    """Images below a folder; sub-folders of the first level, if any, name the classes.

    Hidden files and folders are skipped, links to folders are not followed (they can loop). Keys are paths
    relative to ``folder`` with forward slashes. Images directly in a folder that also has class folders carry no
    label and are left out, which the error for an empty folder explains.

    Args:
        folder: The folder.

    Returns:
        Images in the order of their keys; ``labels`` is None if no sub-folder has images.

    Raises:
        DataError: The folder or a sub-folder cannot be read, or it has no images.
    """
    folder = Path(folder)
    _check_is_folder(folder)

    def refuse(place: Path, reason: str) -> None:
        raise DataError(f"{place} cannot be read ({reason}); check its permissions")

    names = [path.relative_to(folder).as_posix() for path in walk_images(folder, refuse)]
    return folder_set(names, str(folder), folder.joinpath)


def folder_set(names: Iterable[str], folder: str, locate: Callable[[str], ImageSource]) -> ImageSet:
    """The images of a folder, with sub-folders as classes, as in [read_folder][ordhash.data.read_folder].

    Args:
        names: Paths of its images relative to it, with forward slashes, in any order.
        folder: Its name in messages.
        locate: Returns the image of a name.

    Raises:
        DataError: It has no images.
    """
    parts = sorted(name.split("/") for name in names)
    if not parts:
        raise DataError(
            f"{folder} holds no image; it must hold images, or one sub-folder per class "
            f"({', '.join(sorted(s[1:] for s in IMAGE_SUFFIXES))})"
        )
    inside = [some for some in parts if len(some) > 1]
    keys = ["/".join(some) for some in inside or parts]
    images = [locate(key) for key in keys]
    if not inside:
        return ImageSet(images, np.array(keys))
    labels, classes = label_matrix([some[:1] for some in inside])
    return ImageSet(images, np.array(keys), labels, classes)


def read_photographs(folder: StrPath) -> ImageSet:
    """All images below a folder, without labels.

    Args:
        folder: The folder; unreadable parts are left out.

    Raises:
        DataError: It is not a folder.
    """
    folder = Path(folder)
    _check_is_folder(folder)
    paths = sorted(walk_images(folder, lambda place, reason: None), key=lambda path: path.relative_to(folder).parts)
    return ImageSet(paths, np.array([path.relative_to(folder).as_posix() for path in paths], dtype=np.str_))


def _check_is_folder(path: Path) -> None:
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}; give a folder of images")
