"""A user's own images: the one way into the readers of folders and manifests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ordhash.data.classfolders import ClassFolders
from ordhash.data.folders import read_folder
from ordhash.data.imageset import ImageSet
from ordhash.data.manifests import read_manifest
from ordhash.data.tables import TABLES, is_table_name
from ordhash.errors import DataError

__all__ = ["read_images"]


def read_images(path: str | Path, *, classes: ClassFolders = "auto", exclude: Sequence[str] = ()) -> ImageSet:
    """Images of a folder or of a manifest.

    Args:
        path: The folder or the manifest.
        classes: As [read_folder][ordhash.data.read_folder] takes it.
        exclude: Patterns of files and folders of a folder to leave out, as in a .gitignore.

    Raises:
        DataError: It does not exist, or is neither.
    """
    path = Path(path)
    if path.is_dir():
        return read_folder(path, classes=classes, exclude=exclude)
    if is_table_name(path.name):
        return read_manifest(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of images, or a manifest ({TABLES})")
    raise DataError(f"{path} is neither a folder nor a manifest ({TABLES}); give one of these")
