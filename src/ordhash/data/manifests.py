"""Readers of manifests: tables of images, labels and metadata."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ordhash.codes import LABELS
from ordhash.data.cells import labels_of_column, names_of_column
from ordhash.data.finding import find_file
from ordhash.data.images import ImageSource
from ordhash.data.imageset import ImageSet, label_matrix
from ordhash.data.tables import read_table
from ordhash.errors import DataError
from ordhash.support import plain_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["IMAGE", "manifest_set", "read_manifest"]

IMAGE = "image"
"""Column of a Parquet file with the images themselves."""


def read_manifest(path: str | Path) -> ImageSet:
    """Images of a table: ``path`` (relative to the table), optional ``key``, optional ``labels``, metadata.

    A Parquet file may contain the images instead, in a column ``image`` of file contents (binary, or a struct
    of ``bytes`` and ``path``, of which a row may give the path alone); without a ``key``, rows are then numbered.

    A path with backslashes, or with accents that the file's name has in another form, finds the file too, if only that
    finds it.

    Args:
        path: A CSV file with a header (see [read_table][ordhash.data.tables.read_table] for what is understood) or a
            Parquet file. ``labels``, or ``label``, are separated by ``;``, or a list; a row may have none. Every other
            column is kept as metadata.

    Returns:
        Images in the order of the rows; ``labels`` is None without such a column. A missing file is
        reported on decoding, like any broken image.

    Raises:
        DataError: The table cannot be read, has no row, no ``path`` column, a column that looks like a misspelt one, or
            values that are not names.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            table = read_table(file, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check the path") from error
    return manifest_set(table, str(path), lambda name: find_file(path.parent, name))


def manifest_set(table: pa.Table, name: str, locate: Callable[[str], ImageSource], *, first_row: int = 0) -> ImageSet:
    """The images of a table, as in [read_manifest][ordhash.data.read_manifest].

    Args:
        table: The table, or some rows of it.
        name: Its name in messages.
        locate: Returns the image of a path.
        first_row: Number of the first row, if these are some rows of a table.

    Raises:
        DataError: As read_manifest.
    """
    names = table.column_names
    if len(set(names)) < len(names):
        raise DataError(f"{name} has two columns of one name among {', '.join(names)}; rename one")
    place = IMAGE if IMAGE in names and "path" not in names else "path"
    labelled = "label" if "label" in names and LABELS not in names else LABELS
    _check_columns(names, name, (place, labelled))
    n = table.num_rows
    if n == 0:
        raise DataError(f"{name} has no rows; add one row per image")
    texts: dict[str, list[str]] = {}
    images: list[ImageSource]
    if place == IMAGE:
        images = list(_contents(table, name, locate))
        keys = np.arange(first_row, first_row + n)
    else:
        paths = names_of_column(table, "path", name)
        images = [locate(path) for path in paths]
        texts["path"] = [_key(path, image) for path, image in zip(paths, images, strict=True)]
        keys = np.array(texts["path"])
    if "key" in names:
        texts["key"] = names_of_column(table, "key", name)
        keys = np.array(texts["key"])
    for column, values in texts.items():
        if "" in values:
            row = first_row + values.index("") + 1
            raise DataError(f"{name} has no {column} in row {row}; fill it in or remove the row")
        if any("\0" in value for value in values):
            raise DataError(f"column {column!r} of {name} has a NUL in a value; write texts")
    unique, counts = np.unique(keys, return_counts=True)
    if len(unique) < len(keys):
        raise DataError(f"{name} names {str(unique[counts > 1][0])!r} in several rows; give each image one row")
    labels: npt.NDArray[np.bool_] | None = None
    classes: tuple[str, ...] = ()
    if labelled in names:
        labels, classes = label_matrix(labels_of_column(table, labelled, name))
    metadata = table.drop_columns([column for column in (place, "key", labelled) if column in names])
    for at, column in enumerate(metadata.column_names):
        metadata = metadata.set_column(at, column, plain_column(metadata[column]))
    metadata = metadata.replace_schema_metadata(None)
    return ImageSet(images, keys, labels, classes, metadata if metadata.num_columns else None)


def _check_columns(names: Sequence[str], name: str, sought: Sequence[str]) -> None:
    """Refuse a table without a column of images, or with one that looks like a misspelt column."""
    for wanted in sought:
        if wanted not in names:
            written = {name.strip().lower(): name for name in names}
            close = difflib.get_close_matches(wanted, written, n=1, cutoff=0.7)
            if wanted == "path" or close:
                hint = f"; rename {written[close[0]]!r} to {wanted!r}" if close else ""
                raise DataError(
                    f"{name} has the columns {', '.join(map(repr, names))}; a manifest has 'path', optionally 'labels' "
                    f"(separated by ;) and 'key', and any metadata{hint or '; add a column of that name'}"
                )


def _key(path: str, image: ImageSource) -> str:
    """The key of an image: its path as written, with slashes if backslashes of Windows stand for them."""
    place = image.as_posix() if isinstance(image, Path) else image
    if "\\" not in path or not isinstance(place, str) or place.endswith(path):
        return path
    return path.replace("\\", "/")


def _contents(table: pa.Table, name: str, locate: Callable[[str], ImageSource]) -> Iterator[ImageSource]:
    """Contents of image files in a column, or where they are; without either, what fails later like an empty file."""
    import pyarrow as pa

    column = plain_column(table[IMAGE])
    kind = column.type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or kind == pa.binary_view()):
        raise DataError(
            f"column {IMAGE!r} of {name} is {str(column.type)[:80]}; it must hold the contents of image files (binary, "
            "or a struct with 'bytes'), or be renamed, and a column 'path' say where images are"
        )
    for value in column.to_pylist():
        if isinstance(value, dict):
            path, value = value.get("path"), value["bytes"]
            if value is None and isinstance(path, str) and path:
                value = locate(path)
        yield value or b""
