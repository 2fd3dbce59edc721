"""Where a new collection may be made: in a folder of its own, with photographs in another."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ordhash.collection.excluding import kept_patterns
from ordhash.data import CATALOGUE, check_holds_images, is_system_folder, is_unicode
from ordhash.errors import DataError, InputError
from ordhash.support import StrPath

__all__ = ["check_path", "folder_to_sync", "is_collection"]

# What a collection may leave behind when its catalogue is deleted, models that are put there, and files of systems.
_OWN = (
    f"{CATALOGUE}*", "reencoding.sqlite*", "sync.json", "mounts.json", "*.index", "*.onnx", "exclude", "*.csv", "lock",
    "learning.lock", "learning", "thumbnails", ".*", "lost+found", "Thumbs.db", "desktop.ini",
)  # fmt: skip


def is_collection(folder: Path) -> bool:
    """Whether a folder is a collection: it has a catalogue, which is not empty, as a full disk may have left it.

    Raises:
        DataError: The system does not say, for instance since it is another user's.
    """
    catalogue = folder / CATALOGUE
    try:
        return catalogue.is_file() and catalogue.stat().st_size > 0
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}); check its permissions, or give another"
        ) from error


def folder_to_sync(folder: StrPath, collection: Path, patterns: Sequence[str] | None = None) -> Path:
    """The folder of the images, an absolute path.

    Args:
        folder: It exists; for a new collection it holds images.
        collection: Folder of the collection; a new one has it for itself.
        patterns: Of what is left out; None means those that are kept.

    Raises:
        InputError: The folder of a new collection is that of the images or contains it, or holds other files; or the
            path of the images is not valid Unicode.
        DataError: There is no folder of images, or it holds none for a new collection.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder of the images")
    check_path(folder.resolve())
    if is_collection(collection):
        return folder.resolve()
    if folder.resolve().is_relative_to(collection.resolve()):
        raise InputError(
            f"the collection {collection} would hold the photographs of {folder}; name another folder with --collection"
        )
    strange = _others_in(collection)
    if strange is not None:
        raise InputError(
            f"{collection} is not a collection and holds other files, such as {strange}; name a new folder with "
            "--collection"
        )
    check_holds_images(folder, kept_patterns(collection) if patterns is None else patterns)
    return folder.resolve()


def check_path(path: Path) -> None:
    """Check that a catalogue can hold a path.

    Args:
        path: Of the images or of their model.

    Raises:
        InputError: It is not valid Unicode.
    """
    if not is_unicode(str(path)):
        raise InputError(
            f"{str(path)!r} is not valid Unicode, so no collection can hold it; rename that folder or file"
        )


def _others_in(collection: Path) -> str | None:
    """Name of a file or folder that no collection has."""
    names = sorted(path.name for path in collection.iterdir()) if collection.is_dir() else []
    strange = (name for name in names if not is_system_folder(name) and not any(fnmatchcase(name, own) for own in _OWN))
    return next(strange, None)
