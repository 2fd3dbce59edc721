"""Labels of a collection's photographs, kept in the collection for later trainings.

A label is given to a photograph by its path. Beside it stands what tells the content of the photograph, so that it is
found wherever it is later: files are renamed and moved, and syncs follow them by their contents too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ordhash.codes import composed, joined_labels
from ordhash.data import ImageSet, ImageSource, content_id, read_manifest
from ordhash.errors import ImageError, InputError
from ordhash.learn import labels_of
from ordhash.support import write_csv

__all__ = ["check_names", "keep_labels", "with_kept_labels", "with_labels"]

_FILE = "labels.csv"
_CONTENT = "content"


def with_labels(
    images: ImageSet, labels: ImageSet, places: Sequence[int | None] | None = None
) -> tuple[ImageSet, list[str]]:
    """Photographs with their labels, limited to classes in use, and the labelled keys without a photograph.

    Args:
        images: The photographs.
        labels: The labels.
        places: Row of the photograph of each label; None finds them by their keys.
    """
    given, places = labels_of(labels), _places_by_key(labels, images) if places is None else places
    known = np.array([place is not None for place in places], dtype=bool)
    matrix = np.zeros((len(images), given.shape[1]), dtype=bool)
    # Of several rows for one photograph, all count.
    np.logical_or.at(matrix, [place for place in places if place is not None], given[known])
    found = dataclasses.replace(images, labels=matrix, class_names=labels.class_names).without_empty_classes()
    return found, [str(key) for key in labels.keys[~known]]


def with_kept_labels(images: ImageSet, collection: Path) -> tuple[ImageSet, list[str]]:
    """Photographs with the labels that a collection keeps, and the labelled keys without a photograph.

    A label is of the photograph that has the content now; if none has it, of the one that has the path: it was edited.

    Args:
        images: The photographs, files of the folder.
        collection: Folder of the collection.

    Returns:
        The photographs without labels if there are none, or these no longer cover two classes.
    """
    kept = collection / _FILE
    if not kept.exists():
        return images, []
    labels = read_manifest(kept)
    places = _places_by_key(labels, images)
    if labels.metadata is not None and _CONTENT in labels.metadata.column_names:
        contents = labels.metadata[_CONTENT].to_pylist()
        rows = _rows_by_content(images, {content for content in contents if content})
        for position, content in enumerate(contents):
            same = rows.get(content, [])
            if same and places[position] not in same:
                places[position] = same[0]
    found, lost = with_labels(images, labels, places)
    return found if len(found.class_names) > 1 else images, lost


def keep_labels(labels: ImageSet, images: ImageSet, collection: Path) -> None:
    """Keep labels for later trainings, including those of missing photographs.

    Args:
        labels: The labels.
        images: The photographs, files of the folder.
        collection: Folder of the collection.
    """
    given = labels_of(labels)
    words = [joined_labels(labels.class_names[column] for column in np.flatnonzero(own)) for own in given]
    contents = ["" if row is None else _content_of(images.images[row]) for row in _places_by_key(labels, images)]
    rows = zip(labels.keys.tolist(), words, contents, strict=True)
    write_csv(collection / _FILE, [("path", "labels", _CONTENT), *rows])


def check_names(labels: ImageSet) -> None:
    """Check that labels survive being written to CSV and read back.

    Raises:
        InputError: The name of a class or a key would change.
    """
    for name in labels.class_names:
        if name != name.strip():
            raise InputError(f"a class is called {name!r}; names must not start or end with a blank: rename it")
    for key in labels.keys:
        if not str(key).isprintable():
            raise InputError(
                f"the label of {str(key)!r} cannot be kept in a CSV file: its name is not printable; leave it out"
            )


def _places_by_key(labels: ImageSet, images: ImageSet) -> list[int | None]:
    """Row of the photograph of each label."""
    rows = {str(key): row for row, key in enumerate(images.keys)}
    rows |= {form: row for key, row in rows.items() if (form := composed(key)) not in rows}
    return [_row_of(str(key), rows) for key in labels.keys]


def _row_of(key: str, rows: Mapping[str, int]) -> int | None:
    """Row of a path of a table, which may have backslashes, or accents in another form than the file's name."""
    forms = (form for text in (key, key.replace("\\", "/")) for form in (text, composed(text)))
    return next((rows[form] for form in forms if form in rows), None)


def _rows_by_content(images: ImageSet, contents: set[str]) -> dict[str, list[int]]:
    """Rows of the photographs that have some contents."""
    sizes = {content.partition("-")[0] for content in contents}
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(images.images):
        if _size_of(image) in sizes and (content := _content_of(image)) in contents:
            rows.setdefault(content, []).append(row)
    return rows


def _content_of(image: ImageSource) -> str:
    """Size and digest of a file, so that only files of that size have to be read to find it; empty if it is none."""
    try:
        return f"{_size_of(image)}-{content_id(image).hex()}"
    except ImageError:
        return ""


def _size_of(image: ImageSource) -> str:
    with suppress(OSError):
        return str(Path(str(image)).stat().st_size)
    return ""
