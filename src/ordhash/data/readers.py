"""Readers of a user's own images: a folder, a folder with one sub-folder per class, a CSV or Parquet manifest."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ordhash.data.imageset import ImageSet, label_matrix
from ordhash.errors import DataError
from ordhash.files import StrPath

__all__ = [
    "CATALOGUE",
    "IMAGE_SUFFIXES",
    "read_folder",
    "read_images",
    "read_manifest",
    "read_photographs",
    "walk_images",
]

CATALOGUE = "catalogue.sqlite"  # what a folder that is a collection holds
IMAGE_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".gif", ".heic", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx"),
        *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
"""File names that are taken for pictures. A picture in a format that cannot be read is reported, not passed over."""

_MANIFEST_SUFFIXES = (".csv", ".parquet")


def read_images(path: str | Path) -> ImageSet:
    """Images of a folder or of a manifest.

    Raises:
        DataError: There is nothing there, or it is neither.
    """
    path = Path(path)
    if path.is_dir():
        return read_folder(path)
    if path.suffix.lower() in _MANIFEST_SUFFIXES:
        return read_manifest(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of images, or a manifest (.csv or .parquet)")
    raise DataError(f"{path} is neither a folder nor a manifest (.csv or .parquet); give one of these")


def read_folder(folder: str | Path) -> ImageSet:
    """Images below a folder; where there are sub-folders, the first level of them names the classes.

    Hidden files and folders are passed over, links to folders are not followed (they can loop). Keys are paths
    relative to ``folder`` with forward slashes. Images directly in a folder that also has class folders carry no
    label and are left out, which the error for an empty folder explains.

    Args:
        folder: The folder.

    Returns:
        Images in the order of their keys; ``labels`` is None where the folder has no sub-folder with images.

    Raises:
        DataError: The folder or one below it cannot be read, or there is no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give a folder of images")

    def refuse(place: Path, reason: str) -> None:
        raise DataError(f"{place} cannot be read ({reason}); check its permissions")

    paths = sorted(walk_images(folder, refuse), key=lambda path: path.relative_to(folder).parts)
    inside = [path for path in paths if len(path.relative_to(folder).parts) > 1]
    if not paths:
        raise DataError(
            f"{folder} holds no image; it must hold images, or one sub-folder per class "
            f"({', '.join(sorted(s[1:] for s in IMAGE_SUFFIXES))})"
        )
    chosen = inside or paths
    keys = np.array([path.relative_to(folder).as_posix() for path in chosen])
    if not inside:
        return ImageSet(chosen, keys)
    labels, classes = label_matrix([[path.relative_to(folder).parts[0]] for path in chosen])
    return ImageSet(chosen, keys, labels, classes)


def read_photographs(folder: StrPath) -> ImageSet:
    """All images below a folder, whatever their sub-folders are called: without labels.

    Args:
        folder: The folder; what of it cannot be read is left out.

    Raises:
        DataError: It is no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give a folder of images")
    paths = sorted(walk_images(folder, lambda place, reason: None), key=lambda path: path.relative_to(folder).parts)
    return ImageSet(paths, np.array([path.relative_to(folder).as_posix() for path in paths], dtype=np.str_))


def walk_images(folder: Path, unreadable: Callable[[Path, str], None]) -> Iterator[Path]:
    """Files below a folder that are named as pictures, in no order.

    Hidden files and folders are passed over, and so are collections in it, which keep small pictures of their own.
    Links to folders are not followed (they can loop).

    Args:
        folder: The folder.
        unreadable: Called for a folder that cannot be read, with the reason.
    """

    def report(error: OSError) -> None:
        unreadable(Path(error.filename), str(error.strerror))

    for parent, folders, names in os.walk(folder, onerror=report, followlinks=False):
        folders[:] = [name for name in folders if not (name.startswith(".") or Path(parent, name, CATALOGUE).exists())]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(parent, name)


def read_manifest(path: str | Path) -> ImageSet:
    """Images of a table: ``path`` (relative to the table), optional ``key``, optional ``labels``, metadata.

    Args:
        path: A CSV file (UTF-8, with a header) or a Parquet file. ``labels`` are separated by ``;``; a row may have
            none. Every other column is kept as metadata.

    Returns:
        Images in the order of the rows; ``labels`` is None where there is no such column. A file that is missing is
        reported when it is decoded, like any other broken image.

    Raises:
        DataError: The table cannot be read, has no row, no ``path`` column, or a column that looks like a misspelt one.
    """
    path = Path(path)
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else pa.parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as a {path.suffix[1:].lower()} table ({error}); repair it") from error
    names = table.column_names
    if len(set(names)) < len(names):
        raise DataError(f"{path} has two columns of one name among {', '.join(names)}; rename one")
    for wanted in ("path", "labels"):
        if wanted not in names:
            written = {name.strip().lower(): name for name in names}
            close = difflib.get_close_matches(wanted, written, n=1, cutoff=0.7)
            if wanted == "path" or close:
                hint = f"; rename {written[close[0]]!r} to {wanted!r}" if close else ""
                raise DataError(
                    f"{path} has the columns {', '.join(map(repr, names))}; a manifest has 'path', optionally 'labels' "
                    f"(separated by ;) and 'key', and any metadata{hint or '; add a column of that name'}"
                )
    if table.num_rows == 0:
        raise DataError(f"{path} has no row; add one row per image")
    given = _texts(table, "path")
    texts = {"path": given, "key": _texts(table, "key") if "key" in names else given}
    for name, values in texts.items():
        if "" in values:
            raise DataError(f"{path} has no {name} in row {values.index('') + 1}; fill it in or remove the row")
    keys = np.array(texts["key"])
    unique, counts = np.unique(keys, return_counts=True)
    if len(unique) < len(keys):
        raise DataError(f"{path} names {str(unique[counts > 1][0])!r} in several rows; give each image one row")
    labels: npt.NDArray[np.bool_] | None = None
    classes: tuple[str, ...] = ()
    if "labels" in names:
        cells = [cell.split(";") for cell in _texts(table, "labels")]
        labels, classes = label_matrix([[part.strip() for part in cell if part.strip()] for cell in cells])
    metadata = table.drop_columns([name for name in ("path", "key", "labels") if name in names])
    images = [path.parent / name for name in given]
    return ImageSet(images, keys, labels, classes, metadata if metadata.num_columns else None)


def _read_csv(path: Path) -> pa.Table:
    # Left to Arrow's guess, a key 007 would become the number 7 and a label NA would be taken for nothing.
    as_written = pa.csv.ConvertOptions(column_types={name: pa.string() for name in ("path", "key", "labels")})
    return pa.csv.read_csv(path, parse_options=pa.csv.ParseOptions(newlines_in_values=True), convert_options=as_written)


def _texts(table: pa.Table, name: str) -> list[str]:
    return [str(value) if value is not None else "" for value in table.column(name).to_pylist()]
