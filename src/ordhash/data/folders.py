"""Readers of folders: images alone, or with sub-folders as classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ordhash.data.classfolders import ClassFolders, class_folders
from ordhash.data.images import IMAGE_SUFFIXES, ImageSource
from ordhash.data.imageset import ImageSet, label_matrix
from ordhash.data.passedover import PassedOver, not_read
from ordhash.data.walking import walk_images
from ordhash.errors import DataError
from ordhash.support import StrPath

__all__ = ["check_holds_images", "folder_set", "read_folder", "read_photographs"]


def read_folder(folder: str | Path, *, classes: ClassFolders = "auto", exclude: Sequence[str] = ()) -> ImageSet:
    """Images below a folder; its sub-folders, if any have images, name the classes.

    Keys are paths relative to ``folder`` with forward slashes. An image directly in a folder that also has class
    folders carries no label. Which files are images is decided as by ``ordhash sync``.

    Args:
        folder: The folder.
        classes: Which sub-folders name classes: ``"top"`` those of the first level, ``"leaf"`` those that hold images,
            ``"auto"`` the first unless they only group others.
        exclude: Patterns of files and folders to leave out, as in a .gitignore.

    Returns:
        Images in the order of their keys; ``labels`` is None if no sub-folder has images, and ``passed_over`` says what
        could not be read.

    Raises:
        DataError: The folder cannot be read, or it has no images.
        InputError: One of ``exclude`` is not a pattern.
    """
    folder = _folder(folder)
    passed = PassedOver()
    names = [path.relative_to(folder).as_posix() for path in walk_images(folder, passed, exclude)]
    return folder_set(names, str(folder), folder.joinpath, classes, passed)


def folder_set(
    names: Iterable[str],
    folder: str,
    locate: Callable[[str], ImageSource],
    classes: ClassFolders = "auto",
    passed: PassedOver | None = None,
) -> ImageSet:
    """The images of a folder, with sub-folders as classes, as in [read_folder][ordhash.data.read_folder].

    Args:
        names: Paths of its images relative to it, with forward slashes, in any order.
        folder: Its name in messages.
        locate: Returns the image of a name.
        classes: Which sub-folders name classes.
        passed: What was passed over.

    Raises:
        DataError: It has no images.
    """
    passed = PassedOver() if passed is None else passed
    keys = _in_order(names)
    if not keys:
        what = "it must hold images, or one sub-folder per class"
        raise DataError(f"{_nothing_in(folder, passed)}; {what} ({_suffixes()})")
    images = [locate(key) for key in keys]
    named = class_folders(keys, classes)
    if not any(named):
        return ImageSet(images, np.array(keys), passed_over=passed)
    labels, class_names = label_matrix([[name] if name else [] for name in named])
    return ImageSet(images, np.array(keys), labels, class_names, passed_over=passed)


def read_photographs(folder: StrPath, exclude: Sequence[str] = ()) -> ImageSet:
    """All images below a folder, without labels.

    Args:
        folder: The folder; ``passed_over`` of the result says what could not be read.
        exclude: Patterns of files and folders to leave out, as in a .gitignore.

    Raises:
        DataError: It is not a folder.
        InputError: One of ``exclude`` is not a pattern.
    """
    folder = _folder(folder)
    passed = PassedOver()
    keys = _in_order(path.relative_to(folder).as_posix() for path in walk_images(folder, passed, exclude))
    return ImageSet([folder / key for key in keys], np.array(keys, dtype=np.str_), passed_over=passed)


def check_holds_images(folder: Path, exclude: Sequence[str] = ()) -> None:
    """Check that there are images below a folder, by the names of its files.

    Args:
        folder: The folder.
        exclude: Patterns of files and folders to leave out, as in a .gitignore.

    Raises:
        DataError: There are none.
    """
    passed = PassedOver()
    if next(walk_images(folder, passed, exclude), None) is None:
        raise DataError(f"{_nothing_in(str(folder), passed)}; give a folder of images ({_suffixes()})")


def _folder(folder: StrPath) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; give a folder of images")
    return folder


def _in_order(names: Iterable[str]) -> list[str]:
    return ["/".join(parts) for parts in sorted(name.split("/") for name in names)]


def _nothing_in(folder: str, passed: PassedOver) -> str:
    """What is wrong with a folder in which no image was found."""
    if passed.failures:
        return f"{folder} holds no image that can be used; {passed.failures[0]}"
    return f"{folder} holds no image" + (f", but {not_read(passed.unread)}" if passed.unread else "")


def _suffixes() -> str:
    return ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
