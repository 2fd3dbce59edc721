"""Encoding a collection again with another model: in a catalogue beside its own, which answers until all is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ordhash.codes import CodeFacts
from ordhash.collection.absences import Absences
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.moves import check_same_images, check_some_left
from ordhash.errors import DataError

__all__ = ["check_all_there", "check_nothing_missed", "next_catalogue", "remove_next", "remove_replaced"]

_NEXT = "reencoding.sqlite"


@contextmanager
def next_catalogue(collection: Path, facts: CodeFacts, folder: Path) -> Iterator[Catalogue]:
    """The catalogue that will replace that of a collection; it continues one that was interrupted.

    Args:
        collection: Folder of the collection.
        facts: Shape and model of the new codes.
        folder: The folder of the images.
    """
    path = collection / _NEXT
    if path.exists() and not _continues(path, facts, folder):
        remove_next(collection)
    with Catalogue(path, facts, folder) as catalogue:
        yield catalogue


def _continues(path: Path, facts: CodeFacts, folder: Path) -> bool:
    try:
        with Catalogue(path) as catalogue:
            return catalogue.facts.model_id == facts.model_id and catalogue.folder == folder and not catalogue.damages()
    except DataError:
        return False


def check_nothing_missed(held: Iterable[str], after: Catalogue, gone: set[str]) -> None:
    """Check that every image is in the new catalogue, unless it is gone or cannot be used.

    Args:
        held: Keys of the images of the collection.
        after: The new catalogue.
        gone: Keys of images that are no longer in the folder.

    Raises:
        DataError: Files could not be read this time.
    """
    there = {entry.key for entry in after.entries()} | {failure.key for failure in after.failures()} | gone
    _check_missed(after.path.parent, [key for key in held if key not in there])


def check_all_there(catalogue: Catalogue, folder: Path, patterns: Sequence[str] | None, *, forget: bool) -> None:
    """The same, as far as it is known before a model is learned, which takes hours.

    Args:
        catalogue: The catalogue of the collection.
        folder: Where its images are now.
        patterns: Of what is left out; None means those that are kept.
        forget: Whether images that are missing will be forgotten; then some must be left all the same.

    Raises:
        InputError: The images are those of another folder.
        DataError: Images are missing, perhaps with a disk.
    """
    check_same_images(catalogue, folder)
    held = {entry.key: entry for entry in catalogue.entries()}
    listing = check_some_left(folder, catalogue.path.parent, held.values(), patterns)
    if forget:
        return
    there = {file.key for file in listing.files}
    is_gone = Absences(folder, catalogue.path.parent, listing, held).is_gone
    _check_missed(catalogue.path.parent, [key for key in held if key not in there and not is_gone(key)])


def _check_missed(collection: Path, missed: list[str]) -> None:
    if missed:
        raise DataError(
            f"{len(missed):,} images of {collection} are missing or cannot be read now, the first is {missed[0]}; all "
            "codes stay as they were: mount the disk or make the images readable, or run `ordhash sync`, which follows "
            "moved images and, with --forget, gives up those that are gone for good; then run the same command again"
        )


def remove_replaced(collection: Path, model_id: str | None) -> None:
    """Remove a catalogue that has replaced the collection's, of a process that was killed between the two.

    Args:
        collection: Folder of the collection.
        model_id: The model of its catalogue.
    """
    replaced = False
    with suppress(DataError), Catalogue(collection / _NEXT) as catalogue:  # there is none, as a rule
        replaced = catalogue.facts.model_id == model_id
    if replaced:
        remove_next(collection)


def remove_next(collection: Path) -> None:
    """Remove a catalogue that has replaced the collection's, or never will."""
    for suffix in ("-journal", ""):
        (collection / f"{_NEXT}{suffix}").unlink(missing_ok=True)
