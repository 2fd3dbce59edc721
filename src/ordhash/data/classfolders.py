"""Which folder names the class of an image, and which folders are parts of a data set instead of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

__all__ = ["ClassFolders", "class_folders", "parts_of_a_set"]

ClassFolders: TypeAlias = Literal["auto", "top", "leaf"]
"""Folders that name classes: those of the first level, those that hold the images, or whichever looks right."""

_PART = re.compile(r"(train|training|val|valid|validation|dev|test|testing)([-_ ]?(set|data|images|split|\d+))?", re.I)
_DATE_OR_NUMBER = re.compile(r"[\d\W_]+")


def parts_of_a_set(keys: Sequence[str]) -> list[str]:
    """Folders of the first level that are parts of a data set, such as train and val; empty where they are classes.

    Args:
        keys: Paths of images below a folder, with forward slashes.

    >>> parts_of_a_set(["train/cat/1.jpg", "val/cat/2.jpg"]), parts_of_a_set(["train/1.jpg", "car/2.jpg"])
    (['train', 'val'], [])
    """
    tops = sorted({key.split("/")[0] for key in keys if "/" in key})
    parts = [top for top in tops if _PART.fullmatch(top)]
    return parts if len(parts) > 1 or parts == tops else []


def class_folders(keys: Sequence[str], how: ClassFolders = "auto") -> list[str]:
    """The class of every image, as the path of a folder; empty for an image in no class folder.

    ``"auto"`` takes the folders of the first level if one of them holds images itself, or if the folders below them are
    only called by dates, numbers or the parts of a data set. Otherwise the first level groups classes, and it takes
    the folders that hold the images. Parts of a data set are no classes: ``train/cat`` and ``val/cat`` are ``cat``.

    Args:
        keys: Paths of images below a folder, with forward slashes.
        how: Which folders name the classes.

    >>> class_folders(["cat/1.jpg", "dog/2.jpg"]), class_folders(["fruit/apple/1.jpg", "fruit/pear/2.jpg"])
    (['cat', 'dog'], ['fruit/apple', 'fruit/pear'])
    >>> class_folders(["cat/2020/1.jpg", "dog/2021/2.jpg"]), class_folders(["train/cat/1.jpg", "val/cat/2.jpg"])
    (['cat', 'dog'], ['cat', 'cat'])
    """
    paths = [key.split("/")[:-1] for key in keys]
    parts = set(parts_of_a_set(keys))
    paths = [path[1:] if path and path[0] in parts else path for path in paths]
    if how == "top" or (how == "auto" and not _is_grouped(paths)):
        return [path[0] if path else "" for path in paths]
    holding = {tuple(path) for path in paths if path}
    return ["/".join(_first_in(path, holding)) for path in paths]


def _is_grouped(paths: Sequence[Sequence[str]]) -> bool:
    """Whether the folders of the first level group classes, instead of being some."""
    inside = [path for path in paths if path]
    if any(len(path) == 1 for path in inside):
        return False
    below = {path[1] for path in inside}
    return not all(_DATE_OR_NUMBER.fullmatch(name) or _PART.fullmatch(name) for name in below)


def _first_in(path: Sequence[str], holding: set[tuple[str, ...]]) -> Sequence[str]:
    """The shortest beginning of a path that holds images itself."""
    return next((path[:n] for n in range(1, len(path)) if tuple(path[:n]) in holding), path)
