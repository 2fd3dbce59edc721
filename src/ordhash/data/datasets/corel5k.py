"""Corel-5K (Duygulu et al., ECCV 2002): photographs with words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ordhash.data.datasets.dataset import Dataset, Parts, unpack_once
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError

__all__ = ["DATASET", "read_corel5k"]


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
        unpack_once(archive, ["corel5k/images", "corel5k/labels"])
    if not (folder / "labels").exists():
        _get_corel5k(folder)
    try:
        words = tuple((folder / "labels" / "words").read_text().split())
        return {part: _corel5k_part(folder, file, words) for part, file in _COREL5K_LISTS.items()}
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{folder / 'labels'} is incomplete or damaged ({error}); put a whole copy there") from error


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


DATASET = Dataset(
    "corel5k",
    "4,999 photographs 192 x 128, one to five of 374 words each",
    "research only, no redistribution",
    "your own copy",
    _get_corel5k,
    read_corel5k,
)
