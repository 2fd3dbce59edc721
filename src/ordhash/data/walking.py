"""Which files below a folder are photographs: the same rules for folders here and in any other file system."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from ordhash.data.images import IMAGE_SUFFIXES
from ordhash.data.opening import read_file
from ordhash.data.passedover import PassedOver
from ordhash.data.patterns import IGNORE_FILE, Patterns
from ordhash.errors import ImageError, InputError

__all__ = ["CATALOGUE", "Tree", "is_image_name", "is_system_folder", "is_walked", "walk_images", "walk_keys"]

CATALOGUE = "catalogue.sqlite"  # a folder with this file is a collection

# Bins, previews and snapshots of NAS systems, Windows and macOS, in lower case. Those with a dot are hidden anyway.
_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "@tmp", "@sharebin", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot"),
        *("$recycle.bin", "recycler", "system volume information", "__macosx", "ipod photo cache"),
    }
)
_PREVIEWS = (".lrdata", ".lrcat-data")  # of Lightroom
_LIBRARIES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary", ".migratedaplibrary")  # Apple's
_ORIGINALS = frozenset({"originals", "masters"})  # what of a library is not made from the photographs
_NO_MEDIA = ".nomedia"
_IGNORE_BYTES = 1 << 20


class Tree(Protocol):
    """A folder with all that is below it; places are paths in it, empty or ending in ``/``."""

    name: str
    """Its own name."""

    def listing(self, place: str) -> tuple[list[str], list[str]]:
        """Names of the folders and of the files in a place; links to folders are neither.

        Raises:
            OSError: It cannot be read.
        """

    def content(self, key: str, max_bytes: int) -> bytes:
        """Content of a file.

        Raises:
            ImageError: It cannot be read.
        """

    def shown(self, key: str) -> str:
        """Name of a file or a folder in messages."""


def is_system_folder(name: str) -> bool:
    """Whether a system makes a folder of that name by itself."""
    return name.lower() in _SYSTEM_FOLDERS


def is_image_name(path: str) -> bool:
    """Whether a path with forward slashes has the suffix of an image and no hidden part.

    >>> is_image_name("beach/1.JPG"), is_image_name("beach/.1.jpg"), is_image_name("notes.txt")
    (True, False, False)
    """
    return not any(part.startswith(".") for part in path.split("/")) and _is_picture(path)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def walk_keys(tree: Tree, passed: PassedOver, exclude: Sequence[str] = ()) -> Iterator[str]:
    """Image files below a folder, by suffix, in no order, as paths below it with forward slashes.

    Passed over are: hidden files and folders; folders of other programs (bins, previews and snapshots of NAS systems,
    Windows, Lightroom and Apple's libraries); folders with a file ``.nomedia``; collections, which contain thumbnails;
    links to folders (they can loop); and what patterns leave out, ``exclude`` or those in files ``.ordhashignore``. The
    folder itself is read whatever it is called and holds.

    Args:
        tree: The folder.
        passed: Takes what cannot be read. Nothing of that ends the walk.
        exclude: Patterns as in a .gitignore.

    Raises:
        InputError: One of ``exclude`` is not a pattern.
    """
    places = [("", [Patterns(exclude)] if exclude else [])]
    misnamed: set[str] = set()
    while places:
        place, patterns = places.pop()
        try:
            folders, files = tree.listing(place)
        except OSError as error:
            reason = f"the folder cannot be read ({error.strerror or error}); check its permissions"
            passed.failures.append(ImageError(tree.shown(place.rstrip("/")), reason))
            passed.closed.append(place)
            continue
        if place and (CATALOGUE in files or _NO_MEDIA in files):
            continue
        if IGNORE_FILE in files:
            patterns = [*patterns, *_patterns_in(tree, place, passed)]
        parent = (place.rstrip("/").rpartition("/")[2] if place else tree.name).lower()
        for name in folders:
            if not (_is_foreign(parent, name.lower()) or _left_out(patterns, f"{place}{name}/")):
                places.append((f"{place}{name}/", patterns))
        for name in files:
            key = f"{place}{name}"
            if name.startswith(".") or _left_out(patterns, key):
                continue
            if not _is_picture(name):
                passed.count(name)
                continue
            bad = _misnamed(key)
            if bad is None:
                yield key
            elif bad not in misnamed:
                misnamed.add(bad)
                what = "file" if bad == key else "folder"
                passed.failures.append(ImageError(tree.shown(bad), f"the name is not valid Unicode; rename the {what}"))


def walk_images(folder: Path, passed: PassedOver, exclude: Sequence[str] = ()) -> Iterator[Path]:
    """Image files below a folder of this machine, as [walk_keys][ordhash.data.walking.walk_keys] finds them.

    Args:
        folder: The folder.
        passed: Takes what cannot be read.
        exclude: Patterns as in a .gitignore.
    """
    return map(folder.joinpath, walk_keys(_Disk(folder), passed, exclude))


def is_walked(folder: Path, key: str, exclude: Sequence[str] = ()) -> bool:
    """Whether a walk over a folder finds a file, there or not yet.

    Args:
        folder: The folder.
        key: Path of the file below it, with forward slashes.
        exclude: Patterns as in a .gitignore.
    """
    return key in walk_keys(_Way(folder, key), PassedOver(), exclude)


class _Disk:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = folder.name or folder.resolve().name

    def listing(self, place: str) -> tuple[list[str], list[str]]:
        folders: list[str] = []
        files: list[str] = []
        with os.scandir(self._folder / place) as entries:
            for entry in entries:
                try:
                    is_folder = entry.is_dir()
                except OSError:  # a link that cannot be followed: reported when it is opened as a file
                    is_folder = False
                if not is_folder:
                    files.append(entry.name)
                elif not entry.is_symlink():
                    folders.append(entry.name)
        return folders, files

    def content(self, key: str, max_bytes: int) -> bytes:
        return read_file(self._folder / key, self.shown(key), max_bytes)

    def shown(self, key: str) -> str:
        return str(self._folder / key)


class _Way(_Disk):
    """A folder of this machine, and of all that is in it only what decides on one file."""

    def __init__(self, folder: Path, key: str) -> None:
        super().__init__(folder)
        self._key = key

    def listing(self, place: str) -> tuple[list[str], list[str]]:
        name, slash, _ = self._key.removeprefix(place).partition("/")
        deciding = [name for name in (CATALOGUE, _NO_MEDIA, IGNORE_FILE) if (self._folder / place / name).exists()]
        return ([name], deciding) if slash else ([], [name, *deciding])


def _is_foreign(parent: str, name: str) -> bool:
    """Whether a folder is hidden or another program's, by its name and that of the folder it is in, in lower case."""
    if name.startswith(".") or is_system_folder(name) or name.endswith(_PREVIEWS):
        return True
    return parent.endswith(_LIBRARIES) and name not in _ORIGINALS


def _left_out(patterns: Sequence[Patterns], key: str) -> bool:
    """Whether patterns leave a path out; those of the deepest folder come first, as in git."""
    for some in reversed(patterns):
        found = some.leaves_out(key)
        if found is not None:
            return found
    return False


def _patterns_in(tree: Tree, place: str, passed: PassedOver) -> list[Patterns]:
    """The patterns of an ignore file; a line that is not one is reported, and the others hold."""
    key = f"{place}{IGNORE_FILE}"
    try:
        lines = tree.content(key, _IGNORE_BYTES).decode("utf-8-sig", "surrogateescape").splitlines()
    except ImageError as error:
        passed.failures.append(error)
        return []
    found = []
    for line in lines:
        try:
            found.append(Patterns([line], place))
        except InputError as error:
            passed.failures.append(ImageError(tree.shown(key), str(error)))
    return found


def _misnamed(key: str) -> str | None:
    """The first part of a path whose name is not valid Unicode, as a path; None if all are."""
    try:
        key.encode()
    except UnicodeEncodeError as error:
        end = key.find("/", error.start)
        return key if end < 0 else key[:end]
    return None
