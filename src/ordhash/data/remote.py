"""Read folders and manifests in other file systems, by the same rules as local ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ordhash.data.classfolders import ClassFolders
from ordhash.data.finding import find_file
from ordhash.data.folders import folder_set, read_folder
from ordhash.data.imageset import ImageSet
from ordhash.data.manifests import manifest_set
from ordhash.data.passedover import PassedOver
from ordhash.data.tables import TABLES, is_table_name, read_table
from ordhash.data.walking import Tree, walk_images, walk_keys
from ordhash.errors import DataError, ImageError, first_line
from ordhash.support import Location

__all__ = ["holds_images", "read_location"]


def read_location(location: Location, *, classes: ClassFolders = "auto", exclude: Sequence[str] = ()) -> ImageSet:
    """Images of a folder or a manifest in any file system; their sources are paths within it.

    Args:
        location: The folder or the manifest.
        classes: As [read_folder][ordhash.data.read_folder] takes it.
        exclude: Patterns of files and folders of a folder to leave out, as in a .gitignore.

    Raises:
        DataError: It does not exist or cannot be read.
    """
    if location.is_local and Path(location.path).is_dir():
        return read_folder(location.path, classes=classes, exclude=exclude)
    tree = _tree(location)
    if tree is not None:
        passed = PassedOver()
        return folder_set(walk_keys(tree, passed, exclude), str(location), location.inside, classes, passed)
    if not is_table_name(location.path) or not location.is_file():
        raise DataError(f"{location} is neither a folder nor a manifest ({TABLES}); give one of these")
    try:
        with location.open() as file:
            table = read_table(file, str(location))
    except OSError as error:
        raise DataError(f"{location} cannot be read ({first_line(error)}); check address and permissions") from error
    if location.is_local:
        return manifest_set(table, str(location), lambda name: str(find_file(Path(location.path).parent, name)))
    return manifest_set(table, str(location), location.beside)


def holds_images(location: Location) -> bool:
    """Whether a folder in any file system holds images, by the names of its files."""
    if location.is_local:
        return any(True for _ in walk_images(Path(location.path), PassedOver()))
    tree = _tree(location)
    return tree is not None and any(True for _ in walk_keys(tree, PassedOver()))


def _tree(location: Location) -> Tree | None:
    """A folder in another file system; None if there is none."""
    if not location.is_listed_at_once:
        return _Folder(location) if location.is_folder() else None
    names = location.names(recursive=True)
    return None if names is None else _Listed(location, names)


class _Folder:
    """A folder of which every folder below is listed when it is needed, and may not be readable."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self.name = location.path.rstrip("/").rpartition("/")[2]

    def listing(self, place: str) -> tuple[list[str], list[str]]:
        return self._location.listing(place)

    def content(self, key: str, max_bytes: int) -> bytes:
        try:
            with self._location.below(key).open() as file:
                return bytes(file.read(max_bytes))
        except OSError as error:
            raise ImageError(self.shown(key), f"the file cannot be read ({first_line(error)})") from error

    def shown(self, key: str) -> str:
        return str(self._location.below(key)) if key else str(self._location)


class _Listed(_Folder):
    """A folder of which all files are listed already."""

    def __init__(self, location: Location, names: Sequence[str]) -> None:
        super().__init__(location)
        self._folders: dict[str, set[str]] = {"": set()}
        self._files: dict[str, list[str]] = {}
        for name in names:
            *parents, file = name.split("/")
            place = ""
            for parent in parents:
                self._folders.setdefault(place, set()).add(parent)
                place = f"{place}{parent}/"
            self._files.setdefault(place, []).append(file)

    def listing(self, place: str) -> tuple[list[str], list[str]]:
        return sorted(self._folders.get(place, ())), self._files.get(place, [])
