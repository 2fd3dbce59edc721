"""Add one photograph to the folder of a collection."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PurePosixPath

from ordhash.collection.catalogue import Catalogue
from ordhash.collection.deletions import Deletions
from ordhash.collection.excluding import kept_patterns
from ordhash.collection.keptindex import followed_by_index
from ordhash.collection.listing import PhotoFile, state_of
from ordhash.collection.sync import SyncReport, is_as_it_was, take_files
from ordhash.data import content_id, file_suffix, is_image_name, is_walked, open_rgb
from ordhash.errors import DataError, ImageError, InputError
from ordhash.model import Encoder
from ordhash.support import replace_file

__all__ = ["ADDED", "add_photograph", "safe_stem"]

ADDED = "added"
_LONGEST = 180  # bytes of a name: with suffix, number and what replace_file adds, fewer than the 255 of a file system
_SAME_FORMAT = {"jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "tif": "tiff"}
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}  # on Windows


def add_photograph(
    catalogue: Catalogue, encoder: Encoder, photograph: bytes, *, name: str | None, max_pixels: int
) -> str:
    """Write a photograph into the folder of a catalogue, below ``added``, and encode it; returns its key.

    A photograph that the folder holds already is not stored again, and one that was deleted from the collection is
    restored. After an error neither folder nor catalogue has changed.

    Args:
        catalogue: Of the encoder's model.
        encoder: The model.
        photograph: Content of an image file.
        name: What its file was called; None names it by its content.
        max_pixels: As [open_rgb][ordhash.data.open_rgb] takes it.

    Raises:
        ImageError: It cannot be used.
        InputError: A sync would leave it out, because of a pattern for instance.
        DataError: The folder is missing, ``added`` is a link or a file, or the catalogue cannot be written.
    """
    content = content_id(photograph)
    there = catalogue.with_content(content)
    if there is not None and is_as_it_was(catalogue.folder / there.key, there):
        return there.key
    deleted = [file for file in catalogue.deleted() if file.content == content]
    place = _place_for_added(catalogue.folder)
    open_rgb(photograph, name="the photograph", max_pixels=max_pixels)
    file = next((file for one in deleted if (file := _still_there(catalogue.folder, one.key, content))), None)
    new = None
    if file is None:
        suffix = file_suffix(photograph)
        new = _free_name(place, content.hex() if name is None else safe_stem(name) or content.hex(), suffix, name or "")
        if not is_walked(catalogue.folder, f"{ADDED}/{new.name}", kept_patterns(catalogue.path.parent)):
            raise InputError(
                f"the photograph would be left out by the next sync, by a pattern or a file in {place}; allow it there"
            )
        place.mkdir(exist_ok=True)
        replace_file(new, lambda opened: opened.write(photograph))
        file = PhotoFile(f"{ADDED}/{new.name}", new, *state_of(new.stat()))
    try:
        with followed_by_index(catalogue, [file.key]):
            report = SyncReport()
            take_files(catalogue, encoder, [file], {}, Deletions([], {}, lambda key: False), report)
            if report.failures:
                raise ImageError("the photograph", report.failures[0].reason)
            catalogue.note_deleted(outdated=deleted)
    except BaseException:
        if new is not None:  # or each further try would leave one more file
            new.unlink(missing_ok=True)
        raise
    return file.key


def safe_stem(name: str) -> str:
    r"""Name of a file without folders and suffix, as any file system takes it; empty if nothing is left.

    >>> safe_stem("C:\\\\Photos\\\\beach: 1.JPG"), safe_stem("../../etc/.passwd"), safe_stem("nul.png")
    ('beach_ 1', 'passwd', '_nul')
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    shown = "".join("_" if letter in '<>:"|?*' else letter for letter in last if letter.isprintable())
    stem = shown.lstrip(". ")
    suffix = PurePosixPath(stem).suffix
    if is_image_name(f"x{suffix}"):
        stem = stem.removesuffix(suffix)
    stem = stem.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
    return f"_{stem}" if stem.partition(".")[0].strip().lower() in _RESERVED else stem


def _free_name(place: Path, stem: str, suffix: str, given: str) -> Path:
    """A path that nothing has yet; it keeps the given suffix if that is one of the format."""
    own = PurePosixPath(given).suffix.removeprefix(".")
    if _SAME_FORMAT.get(own.lower(), own.lower()) == suffix:
        suffix = own
    path, number = place / f"{stem}.{suffix}", 1
    while os.path.lexists(path):
        number += 1
        path = place / f"{stem}-{number}.{suffix}"
    return path


def _place_for_added(folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}, the folder of the collection, is missing; mount its disk")
    place = folder / ADDED
    if place.is_symlink():  # syncs follow no links: what is written through it would be forgotten
        raise DataError(f"{place} is a link, and photographs are added to a folder; replace it by a folder")
    if place.exists() and not place.is_dir():
        raise DataError(f"{place} is a file, and photographs are added to a folder of that name; rename the file")
    return place


def _still_there(folder: Path, key: str, content: bytes) -> PhotoFile | None:
    """The file of a deleted photograph, if it still has its content."""
    path = folder / key
    try:
        state = state_of(path.stat())
        return PhotoFile(key, path, *state) if content_id(path) == content else None
    except (OSError, ImageError):
        return None
