"""Readers of images in other file systems than the machine's, by the rules of the readers of folders and manifests."""

from __future__ import annotations

from pathlib import PurePosixPath

from ordhash.data.imageset import ImageSet
from ordhash.data.readers import CATALOGUE, folder_set, is_image_name, manifest_set, read_table
from ordhash.errors import DataError, first_line
from ordhash.support import Place

__all__ = ["read_place"]


def read_place(place: Place) -> ImageSet:
    """Images of a folder or of a manifest anywhere; their sources are paths within the file system.

    Raises:
        DataError: There is nothing there, or it cannot be read.
    """
    names = place.names(recursive=True)
    if names is not None:
        collections = tuple(f"{name[: -len(CATALOGUE)]}" for name in names if name.endswith(f"/{CATALOGUE}"))
        wanted = [name for name in names if is_image_name(name) and not name.startswith(collections)]
        return folder_set(wanted, str(place), place.inside)
    if PurePosixPath(place.path).suffix.lower() not in (".csv", ".parquet") or not place.is_file():
        raise DataError(f"{place} is neither a folder nor a manifest (.csv or .parquet); give one of these")
    try:
        with place.filesystem.open_input_file(place.path) as file:
            table = read_table(file, str(place))
    except OSError as error:
        raise DataError(f"{place} cannot be read ({first_line(error)}); check address and permissions") from error
    parent = place.path.rpartition("/")[0]
    return manifest_set(table, str(place), lambda name: name if name.startswith("/") else f"{parent}/{name}")
