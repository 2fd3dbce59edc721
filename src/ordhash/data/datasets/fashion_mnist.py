"""Fashion-MNIST (Xiao et al., 2017): 70,000 grey pictures of clothes."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ordhash.data.datasets.dataset import Dataset, Parts
from ordhash.data.imageset import ImageSet
from ordhash.data.packages import take_from_debian
from ordhash.errors import DataError

__all__ = ["DATASET", "read_fashion_mnist"]

_FASHION_CLASSES = (
    "T-shirt or top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_FASHION_FILES = {
    part: (f"{stem}-images-idx3-ubyte.gz", f"{stem}-labels-idx1-ubyte.gz")
    for part, stem in (("train", "train"), ("test", "t10k"))
}


def _get_fashion_mnist(folder: Path) -> None:
    names = [name for pair in _FASHION_FILES.values() for name in pair]
    take_from_debian(
        "dataset-fashion-mnist", {f"usr/share/datasets/fashion-mnist/{name}": name for name in names}, folder
    )


def read_fashion_mnist(folder: Path) -> Parts:
    """Fashion-MNIST from its four official IDX files; ``train`` (60,000 images 28 x 28) and ``test`` (10,000).

    Raises:
        DataError: A file is missing or damaged.
    """
    parts = {}
    for part, (image_file, label_file) in _FASHION_FILES.items():
        pixels, labels = _read_idx(folder / image_file), _read_idx(folder / label_file)
        if pixels.ndim != 3 or labels.shape != pixels.shape[:1] or (labels >= 10).any():
            raise DataError(
                f"{image_file} and {label_file} in {folder} hold {pixels.shape} and {labels.shape} values, not one "
                "label an image; delete both and fetch them again"
            )
        parts[part] = ImageSet(
            np.repeat(pixels[..., None], 3, axis=3),
            np.array([f"{part}/{i:05d}" for i in range(len(labels))]),
            np.eye(10, dtype=bool)[labels],
            _FASHION_CLASSES,
        )
    return parts


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    if not path.exists():
        raise DataError(
            f"{path} is missing; run `ordhash data get fashion-mnist`, or put the four official files there"
        )
    try:
        raw = gzip.decompress(path.read_bytes())
        dimensions = raw[3]
        shape = tuple(np.frombuffer(raw, ">i4", count=dimensions, offset=4))
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, zlib.error, IndexError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and fetch it again") from error


DATASET = Dataset(
    "fashion-mnist",
    "70,000 grey pictures 28 x 28 of 10 kinds of clothes",
    "MIT",
    "Debian package dataset-fashion-mnist, or the official files",
    _get_fashion_mnist,
    read_fashion_mnist,
)
