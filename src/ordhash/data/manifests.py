"""Readers of manifests: tables (CSV or Parquet) of images, labels and metadata."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from ordhash.data.images import ImageSource
from ordhash.data.imageset import ImageSet, label_matrix
from ordhash.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["IMAGE", "MANIFEST_SUFFIXES", "manifest_set", "read_manifest", "read_table"]

IMAGE = "image"
"""Column of a Parquet file with the images themselves."""

MANIFEST_SUFFIXES = (".csv", ".parquet")
"""Suffixes of manifests."""


def read_manifest(path: str | Path) -> ImageSet:
    """Images of a table: ``path`` (relative to the table), optional ``key``, optional ``labels``, metadata.

    A Parquet file may contain the images instead, in a column ``image`` of file contents (binary, or a struct
    of ``bytes`` and ``path``); without a ``key``, rows are then numbered.

    Args:
        path: A CSV file (UTF-8, with a header) or a Parquet file. ``labels`` are separated by ``;``; a row may have
            none. Every other column is kept as metadata.

    Returns:
        Images in the order of the rows; ``labels`` is None without such a column. A missing file is
        reported on decoding, like any broken image.

    Raises:
        DataError: The table cannot be read, has no row, no ``path`` column, or a column that looks like a misspelt one.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            table = read_table(file, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check the path") from error
    return manifest_set(table, str(path), path.parent.joinpath)


def read_table(file: BinaryIO, name: str) -> pa.Table:
    """The table of an open manifest.

    Args:
        file: The file.
        name: Its name; the suffix tells CSV from Parquet.

    Raises:
        DataError: It cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    suffix = PurePosixPath(name).suffix.lower()
    try:
        return _read_csv(file) if suffix == ".csv" else pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{name} cannot be read as a {suffix[1:]} table ({error}); repair it") from error


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
    for wanted in (place, "labels"):
        if wanted not in names:
            written = {name.strip().lower(): name for name in names}
            close = difflib.get_close_matches(wanted, written, n=1, cutoff=0.7)
            if wanted == "path" or close:
                hint = f"; rename {written[close[0]]!r} to {wanted!r}" if close else ""
                raise DataError(
                    f"{name} has the columns {', '.join(map(repr, names))}; a manifest has 'path', optionally 'labels' "
                    f"(separated by ;) and 'key', and any metadata{hint or '; add a column of that name'}"
                )
    if table.num_rows == 0:
        raise DataError(f"{name} has no rows; add one row per image")
    texts: dict[str, list[str]] = {}
    images: list[ImageSource]
    if place == IMAGE:
        images = list(_contents(table, name))
        keys = np.arange(first_row, first_row + table.num_rows)
    else:
        texts["path"] = _texts(table, "path")
        images = [locate(path) for path in texts["path"]]
        keys = np.array(texts["path"])
    if "key" in names:
        texts["key"] = _texts(table, "key")
        keys = np.array(texts["key"])
    for column, values in texts.items():
        if "" in values:
            row = first_row + values.index("") + 1
            raise DataError(f"{name} has no {column} in row {row}; fill it in or remove the row")
    unique, counts = np.unique(keys, return_counts=True)
    if len(unique) < len(keys):
        raise DataError(f"{name} names {str(unique[counts > 1][0])!r} in several rows; give each image one row")
    labels: npt.NDArray[np.bool_] | None = None
    classes: tuple[str, ...] = ()
    if "labels" in names:
        cells = [cell.split(";") for cell in _texts(table, "labels")]
        labels, classes = label_matrix([[part.strip() for part in cell if part.strip()] for cell in cells])
    metadata = table.drop_columns([column for column in (place, "key", "labels") if column in names])
    return ImageSet(images, keys, labels, classes, metadata if metadata.num_columns else None)


def _contents(table: pa.Table, name: str) -> Iterator[bytes]:
    """Contents of image files in a column; a missing one is empty, and fails later like an empty file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[IMAGE]
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = pc.struct_field(column, "bytes")
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise DataError(
            f"column {IMAGE!r} of {name} is {column.type}; it must hold the contents of image files (binary, or a "
            "struct with 'bytes'), or be renamed, and a column 'path' say where images are"
        )
    return (value or b"" for value in column.to_pylist())


def _read_csv(file: BinaryIO) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    # By Arrow's guess, a key 007 would become the number 7 and a label NA would become a missing value.
    as_written = pa_csv.ConvertOptions(column_types={name: pa.string() for name in ("path", "key", "labels")})
    return pa_csv.read_csv(file, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=as_written)


def _texts(table: pa.Table, name: str) -> list[str]:
    return [str(value) if value is not None else "" for value in table.column(name).to_pylist()]
