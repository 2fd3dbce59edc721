"""NUS-WIDE (Chua et al., CIVR 2009), its 21 most frequent concepts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from ordhash.data.datasets.dataset import Dataset, Parts
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError

__all__ = ["DATASET", "read_nuswide21"]

_CONCEPTS, _FREQUENT = 81, 21
_IMAGE_FOLDERS = ("Flickr", "images", "image")


def _get_nuswide21(folder: Path) -> NoReturn:
    raise DataError(
        f"NUS-WIDE cannot be fetched from a package registry; put into {folder} the official "
        f"ImageList/Imagelist.txt and Groundtruth/AllLabels/Labels_<concept>.txt ({_CONCEPTS} files), and your copy "
        "of the images as Flickr/<word>/<file>.jpg or images/<file>.jpg"
    )


def read_nuswide21(folder: Path) -> Parts:
    r"""NUS-WIDE (Chua et al., "NUS-WIDE: a real-world web image database", CIVR 2009), 21 of its 81 concepts.

    The images were links to Flickr, many of which have died, so copies differ. Missing images are left out and
    counted. The concepts are the 21 most frequent ones of the whole list, equal counts by name, so they do not depend
    on the copy.

    Args:
        folder: Holds ``ImageList/Imagelist.txt`` (a line is ``actor\0001_2124494179.jpg``),
            ``Groundtruth/AllLabels/Labels_<concept>.txt`` of all 81 concepts (a line is 0 or 1, one for each image of
            the list), and the images as ``Flickr/actor/0001_2124494179.jpg`` (or in ``images/``, with or without the
            folders inside). The official division into training and test images is not read: no protocol uses it.

    Returns:
        ``all``: the images that carry one of the 21 concepts and are there, in the order of the list; keys are the
        lines of the list with forward slashes. ``missing``: those that carry one but are missing.

    Raises:
        DataError: A list is missing or does not fit the others, or no image is there.
    """
    pictures = next((folder / name for name in _IMAGE_FOLDERS if (folder / name).is_dir()), None)
    lists = next((path for path in (folder / "ImageList").glob("*.txt") if path.name.lower() == "imagelist.txt"), None)
    truth = sorted((folder / "Groundtruth" / "AllLabels").glob("Labels_*.txt"))
    if pictures is None or lists is None or not truth:
        _get_nuswide21(folder)
    if len(truth) != _CONCEPTS:
        raise DataError(f"{truth[0].parent} holds {len(truth)} files Labels_*.txt, not {_CONCEPTS}; unpack it again")
    try:
        lines = lists.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{lists} cannot be read ({error}); unpack it again") from error
    keys = np.array([line.strip().replace("\\", "/") for line in lines if line.strip()], dtype=np.str_)
    if len(np.unique(keys)) < len(keys):
        raise DataError(f"{lists} names an image twice; unpack it again")
    names = [path.stem.removeprefix("Labels_") for path in truth]
    columns = [_read_labels(path, len(keys)) for path in truth]
    frequent = sorted(range(_CONCEPTS), key=lambda concept: (-columns[concept].sum(), names[concept]))[:_FREQUENT]
    kept = sorted(frequent)
    labels = np.stack([columns[concept] for concept in kept], axis=1)
    classes = tuple(names[concept] for concept in kept)
    there = _files_below(pictures)
    parts: dict[str, tuple[list[Path], list[int]]] = {"all": ([], []), "missing": ([], [])}
    for row in np.flatnonzero(labels.any(axis=1)).tolist():
        key = str(keys[row])
        found = next((name for name in (key, key.rpartition("/")[2]) if name in there), None)
        paths, rows = parts["missing" if found is None else "all"]
        paths.append(pictures / (found or key))
        rows.append(row)
    if not parts["all"][0]:
        raise DataError(
            f"none of the {len(parts['missing'][0]):,} images with one of the {_FREQUENT} concepts exists (such as "
            f"{parts['missing'][0][0]}); put them into {pictures}, named as in {lists.name}"
        )
    return {part: ImageSet(paths, keys[rows], labels[rows], classes) for part, (paths, rows) in parts.items()}


def _read_labels(path: Path, count: int) -> npt.NDArray[np.bool_]:
    """Labels of all images for one concept, bool (count,)."""
    try:
        # Line ends of both kinds; otherwise one character an image.
        values = np.frombuffer(path.read_bytes().translate(None, b" \t\r\n"), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); unpack it again") from error
    if not np.isin(values, (ord("0"), ord("1"))).all():
        raise DataError(f"{path} holds other values than 0 and 1; unpack it again")
    if len(values) != count:
        raise DataError(f"{path} holds {len(values):,} values for the {count:,} images of the list; unpack both again")
    return np.asarray(values == ord("1"))


def _files_below(folder: Path) -> set[str]:
    """Paths of all files, relative to the folder and with forward slashes."""
    return {Path(parent, name).relative_to(folder).as_posix() for parent, _, names in os.walk(folder) for name in names}


DATASET = Dataset(
    "nuswide21",
    "NUS-WIDE, the photographs with one of its 21 most frequent concepts",
    "none stated; the images belong to their photographers",
    "your own copy: the official lists, and the images that you have",
    _get_nuswide21,
    read_nuswide21,
)
