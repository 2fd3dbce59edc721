"""GroceryStoreDataset (Klasson et al., WACV 2019): photographs of groceries in shops, fine and coarse classes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NoReturn

import numpy as np

from ordhash.data.datasets.dataset import Dataset, Parts, unpack_once
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError

__all__ = ["DATASET", "read_grocery"]

_PARTS = ("train", "val", "test")
# In the folder itself, in that of the archive, and in a clone or download of the official repository.
_PLACES = ("", "grocery", "dataset", "GroceryStoreDataset/dataset", "GroceryStoreDataset-master/dataset")
_NAME, _NUMBER, _COARSE = "Class Name (str)", "Class ID (int)", "Coarse Class Name (str)"


def _get_grocery(folder: Path) -> NoReturn:
    raise DataError(
        f"the grocery data set cannot be fetched from a package registry; put into {folder} your copy of grocery.tar "
        "or what is in it, or the folder dataset/ of https://github.com/marcusklasson/GroceryStoreDataset"
    )


def read_grocery(folder: Path) -> Parts:
    """GroceryStoreDataset (Klasson, Zhang and Kjellström, WACV 2019; MIT), official split.

    Args:
        folder: Holds ``classes.csv``, ``train.txt``, ``val.txt`` and ``test.txt`` (a line is a path, the number of a
            fine class and that of a coarse class) and the photographs, as in ``dataset/`` of the official repository;
            or that folder; or ``grocery.tar``, which is unpacked once.

    Returns:
        ``train`` (2,640 photographs), ``val`` (296, which lack 21 of the 81 classes) and ``test`` (2,485), in their
        official order; keys are the paths of the lists, labels the 81 fine classes in the order of their numbers, and
        metadata ``coarse`` the name of one of 43 coarse classes.

    Raises:
        DataError: A part is missing or damaged, or a listed photograph is missing.
    """
    archive = folder / "grocery.tar"
    place = next((folder / name for name in _PLACES if (folder / name / "classes.csv").exists()), None)
    if place is None and archive.exists():
        unpack_once(archive, ["grocery"])
        place = folder / "grocery"
    if place is None:
        _get_grocery(folder)
    try:
        with (place / "classes.csv").open(encoding="utf-8", newline="") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: int(row[_NUMBER]))
        if [int(row[_NUMBER]) for row in rows] != list(range(len(rows))):
            raise ValueError("classes.csv does not number its classes from 0")
        names = tuple(row[_NAME].strip() for row in rows)
        coarse = tuple(row[_COARSE].strip() for row in rows)
        return {part: _part(place, part, names, coarse) for part in _PARTS}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"the lists in {place} are incomplete or damaged ({error}); put a whole copy there") from error


def _part(place: Path, part: str, names: tuple[str, ...], coarse: tuple[str, ...]) -> ImageSet:
    lines = (place / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    fields = [[field.strip() for field in line.split(",")] for line in lines if line.strip()]
    for row in fields:
        if len(row) != 3 or not 0 <= int(row[1]) < len(names):
            raise ValueError(f"{part}.txt has the line {', '.join(row)!r}, not a path and the numbers of two classes")
    keys = [path.lstrip("/") for path, *_ in fields]
    if len(set(keys)) < len(keys):
        raise ValueError(f"{part}.txt names a photograph twice")
    fine = np.array([int(number) for _, number, _ in fields], dtype=np.intp)
    paths = [place / key for key in keys]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} photographs of {part}.txt are missing (such as {missing[0]}); put a "
            "whole copy there"
        )
    import pyarrow as pa

    metadata = pa.table({"coarse": [coarse[number] for number in fine]})
    return ImageSet(paths, np.array(keys, dtype=np.str_), np.eye(len(names), dtype=bool)[fine], names, metadata)


DATASET = Dataset(
    "grocery",
    "5,421 photographs of groceries, 81 fine and 43 coarse classes",
    "MIT",
    "your own copy, or the official repository",
    _get_grocery,
    read_grocery,
)
