"""MIRFLICKR-25K (Huiskes and Lew, MIR 2008): 25,000 photographs with concepts."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from ordhash.data.datasets.dataset import Dataset, Parts
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError

__all__ = ["CONCEPTS", "DATASET", "N_IMAGES", "RELEVANT_CONCEPTS", "read_mirflickr25k"]

CONCEPTS = (
    *("animals", "baby", "bird", "car", "clouds", "dog", "female", "flower", "food", "indoor", "lake", "male"),
    *("night", "people", "plant_life", "portrait", "river", "sea", "sky", "structures", "sunset", "transport"),
    *("tree", "water"),
)
"""The 24 potential concepts, annotated if visible at all."""

RELEVANT_CONCEPTS = tuple(
    f"{concept}_r1"
    for concept in (
        *("baby", "bird", "car", "clouds", "dog", "female", "flower", "male", "night", "people", "portrait"),
        *("river", "sea", "tree"),
    )
)
"""The 14 concepts with stricter annotations: images in which they matter."""

N_IMAGES = 25_000
_IMAGE_FOLDERS = ("mirflickr", "mirflickr25k", "images", "mirflickr25k/mirflickr", "mirflickr25k/images")
_LABEL_FOLDERS = (
    "mirflickr25k_annotations_v080",
    "annotations",
    "mirflickr/annotations",
    "mirflickr25k/mirflickr25k_annotations_v080",
    "mirflickr25k/annotations",
)


def _get_mirflickr25k(folder: Path) -> NoReturn:
    raise DataError(
        "MIRFLICKR-25K cannot be fetched from a package registry; unpack mirflickr25k.zip and "
        f"mirflickr25k_annotations_v080.zip of https://press.liacs.nl/mirflickr/ in {folder}, so that it holds "
        "mirflickr/im1.jpg and mirflickr25k_annotations_v080/animals.txt"
    )


def read_mirflickr25k(folder: Path) -> Parts:
    """MIRFLICKR-25K (Huiskes and Lew, "The MIR Flickr retrieval evaluation", MIR 2008) with its 38 annotations.

    Args:
        folder: Holds ``mirflickr/im1.jpg`` to ``im25000.jpg`` (or ``images/``), and in
            ``mirflickr25k_annotations_v080/`` (or ``annotations/``) one text file a concept, with the numbers of its
            images, one a line. Other files there, such as ``README.txt``, are ignored.

    Returns:
        ``all``: the images that carry a label, in the order of their numbers; keys ``im1`` to ``im25000``, labels the
        24 ``CONCEPTS`` and then the 14 ``RELEVANT_CONCEPTS``.

    Raises:
        DataError: Images or annotations are missing, or an annotation numbers an unknown image.
    """
    pictures = next((folder / name for name in _IMAGE_FOLDERS if (folder / name / "im1.jpg").exists()), None)
    lists = next((folder / name for name in _LABEL_FOLDERS if (folder / name / "animals.txt").exists()), None)
    if pictures is None or lists is None:
        _get_mirflickr25k(folder)
    there = {path.name for path in pictures.iterdir()}
    missing = [number for number in range(1, N_IMAGES + 1) if f"im{number}.jpg" not in there]
    if missing:
        raise DataError(
            f"{len(missing)} of the {N_IMAGES:,} images are not in {pictures} (such as im{missing[0]}.jpg); unpack "
            "mirflickr25k.zip again"
        )
    names = (*CONCEPTS, *RELEVANT_CONCEPTS)
    labels = np.stack([_images_of(lists / f"{name}.txt") for name in names], axis=1)
    rows = np.flatnonzero(labels.any(axis=1))
    return {
        "all": ImageSet(
            [pictures / f"im{row + 1}.jpg" for row in rows],
            np.array([f"im{row + 1}" for row in rows], dtype=np.str_),
            labels[rows],
            names,
        )
    }


def _images_of(path: Path) -> npt.NDArray[np.bool_]:
    """Which images carry the concept of a file, bool (25,000,)."""
    try:
        numbers = np.array([int(line) for line in path.read_text().split()], dtype=np.int64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is missing or damaged ({error}); unpack the annotations again") from error
    wrong = numbers[(numbers < 1) | (numbers > N_IMAGES)]
    if len(wrong):
        raise DataError(
            f"{path} names image {wrong[0]}; images count from 1 to {N_IMAGES:,}; unpack the annotations again"
        )
    labels = np.zeros(N_IMAGES, dtype=bool)
    labels[numbers - 1] = True
    return labels


DATASET = Dataset(
    "mirflickr25k",
    "25,000 photographs of Flickr, 24 concepts and 14 stricter ones",
    "Creative Commons, one licence an image",
    "your own copy of the official archives",
    _get_mirflickr25k,
    read_mirflickr25k,
)
