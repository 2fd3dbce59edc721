"""Where a new collection may be made: in a folder of its own, with photographs in another."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ordhash.collection.excluding import kept_patterns
from ordhash.data import CATALOGUE, check_holds_images
from ordhash.errors import InputError

__all__ = ["check_worth_making", "is_collection"]

# What a collection may leave behind when its catalogue is deleted, and what systems put into folders by themselves.
_OWN = (
    f"{CATALOGUE}*", "*.index", "model-*.onnx", "exclude", "labels.csv", "corrected.csv", "mounts.json", "lock",
    "learning.lock", "learning", "thumbnails", ".*", "lost+found", "Thumbs.db", "desktop.ini",
)  # fmt: skip


def is_collection(folder: Path) -> bool:
    """Whether a folder is a collection: it has a catalogue, which is not empty, as a full disk may have left it."""
    catalogue = folder / CATALOGUE
    return catalogue.is_file() and catalogue.stat().st_size > 0


def check_worth_making(collection: Path, folder: Path, patterns: Sequence[str] | None = None) -> None:
    """Check that a new collection has a place and its folder images, before anything is written.

    Args:
        collection: Its folder; nothing is checked if there is a collection.
        folder: The folder of the images.
        patterns: Of what is left out; None means those that are kept.

    Raises:
        InputError: The folder of the collection is that of the images or contains it, or holds other files.
        DataError: The folder of the images holds none.
    """
    if is_collection(collection):
        return
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


def _others_in(collection: Path) -> str | None:
    """Name of a file or folder that no collection has."""
    names = sorted(path.name for path in collection.iterdir()) if collection.is_dir() else []
    return next((name for name in names if not any(fnmatchcase(name, own) for own in _OWN)), None)
