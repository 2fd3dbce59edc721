"""Whether the images of a collection are where they are expected: the disk may be missing, or the folder has moved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ordhash.collection.catalogue import Catalogue
from ordhash.collection.listing import Listing, list_files
from ordhash.collection.placing import is_collection
from ordhash.collection.rows import Entry
from ordhash.data import CATALOGUE, content_id
from ordhash.errors import DataError, ImageError, InputError

__all__ = ["check_images_there", "check_same_images", "check_some_left", "collection_of_moved", "found_in"]

_SAMPLE = 32  # files whose content is compared


def check_images_there(listing: Listing, folder: Path, held: Iterable[str], *, but: str = "") -> None:
    """Check that a folder has not lost all images of a collection: it is the mount point of a disk, perhaps.

    Args:
        listing: What is in the folder.
        folder: The folder.
        held: Keys of the images of the collection.
        but: What was not looked at, for the message.

    Raises:
        DataError: It has.
    """
    held = list(held)
    if held and not listing.files and not listing.unsure:
        raise DataError(
            f"{folder} holds no images{but}, and the collection {len(held)}; mount the disk if it is missing, or sync "
            "with --forget if the images are gone for good"
        )


def check_some_left(
    folder: Path, collection: Path, entries: Iterable[Entry], patterns: Sequence[str] | None
) -> Listing:
    """As ``check_images_there``, before patterns of what is left out are kept; returns what is in the folder.

    Args:
        folder: The folder.
        collection: Folder of the collection.
        entries: Its images.
        patterns: The patterns; None means those that are kept.
    """
    but = " but what --exclude leaves out" if patterns else ""
    listing = list_files(folder, collection.absolute(), patterns)
    check_images_there(listing, folder, (entry.key for entry in entries), but=but)
    return listing


def check_same_images(catalogue: Catalogue, folder: Path) -> bool:
    """Whether a folder is another one than that of a catalogue, and holds its images.

    Args:
        catalogue: The catalogue.
        folder: The folder, an absolute path.

    Returns:
        Whether the images have moved there; False if the folder is the catalogue's own.

    Raises:
        InputError: It holds fewer than half of them.
    """
    if catalogue.folder.resolve() == folder:
        return False
    entries = catalogue.sound_entries()
    found = found_in(folder, entries, catalogue.path.parent.absolute())
    if 2 * found < len(entries) or (not entries and catalogue.folder.is_dir()):
        raise InputError(
            f"{catalogue.path.parent} is a collection of {catalogue.folder}, and {folder} holds {found:,} of its "
            f"{len(entries):,} images; give the folder that holds them, or another collection"
        )
    return True


def found_in(folder: Path, entries: list[Entry], own: Path) -> int:
    """How many images a folder holds, by name and size, and by the content of some.

    Args:
        folder: The folder.
        entries: The images.
        own: Folder of the collection, which is passed over.
    """
    files = {file.key: file for file in list_files(folder, own).files if file.problem is None}
    found = [entry for entry in entries if entry.key in files and files[entry.key].size == entry.size]
    sample = found[:: max(1, len(found) // _SAMPLE)]
    same = sum(_is_same(files[entry.key].path, entry.content) for entry in sample)
    return len(found) * same // max(1, len(sample))


def collection_of_moved(folder: Path) -> Path | None:
    """A collection beside a folder that was made before the folder was renamed; None where there is none.

    Args:
        folder: The folder of the images.
    """
    for place in sorted(folder.resolve().parent.glob("*.ordhash")):
        try:
            if not is_collection(place):
                continue
            with Catalogue(place / CATALOGUE) as catalogue:
                if not catalogue.folder.exists() and catalogue.n_images:
                    check_same_images(catalogue, folder.resolve())
                    return place
        except (DataError, InputError, OSError):  # another user's may be closed, and so may its photographs
            continue
    return None


def _is_same(path: Path, content: bytes) -> bool:
    try:
        return content_id(path) == content
    except ImageError:
        return False
