"""Read folders and manifests in other file systems, by the same rules as local ones."""

from __future__ import annotations

from ordhash.data.folders import folder_set
from ordhash.data.imageset import ImageSet
from ordhash.data.manifests import manifest_set
from ordhash.data.tables import is_table_name, read_table
from ordhash.data.walking import CATALOGUE, is_image_name
from ordhash.errors import DataError, first_line
from ordhash.support import Location

__all__ = ["read_location"]


def read_location(location: Location) -> ImageSet:
    """Images of a folder or a manifest in any file system; their sources are paths within it.

    Raises:
        DataError: It does not exist or cannot be read.
    """
    names = location.names(recursive=True)
    if names is not None:
        collections = tuple(f"{name[: -len(CATALOGUE)]}" for name in names if name.endswith(f"/{CATALOGUE}"))
        wanted = [name for name in names if is_image_name(name) and not name.startswith(collections)]
        return folder_set(wanted, str(location), location.inside)
    if not is_table_name(location.path) or not location.is_file():
        raise DataError(f"{location} is neither a folder nor a manifest (.csv, .tsv or .parquet); give one of these")
    try:
        with location.open() as file:
            table = read_table(file, str(location))
    except OSError as error:
        raise DataError(f"{location} cannot be read ({first_line(error)}); check address and permissions") from error
    parent = location.path.rpartition("/")[0]
    return manifest_set(table, str(location), lambda name: name if name.startswith("/") else f"{parent}/{name}")
