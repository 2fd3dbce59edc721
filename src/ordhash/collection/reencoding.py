"""Encoding a collection again with another model: in a catalogue beside its own, which answers until all is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ordhash.codes import CodeFacts
from ordhash.collection.catalogue import Catalogue
from ordhash.errors import DataError

__all__ = ["check_nothing_missed", "next_catalogue", "remove_next", "remove_replaced"]

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
    missed = [key for key in held if key not in there]
    if missed:
        raise DataError(
            f"{len(missed):,} images of {after.path.parent} are missing or cannot be read now, the first is "
            f"{missed[0]}; all codes stay as they were: mount the disk or make the images readable, or give --forget "
            "if they are gone for good, and run the same command again"
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
