"""Public data sets, one file each: where they are from, and readers to their official layouts; see ``DATASETS``."""

from __future__ import annotations

from ordhash.data.datasets import (
    cifar10,
    corel5k,
    fashion_mnist,
    grocery,
    grocery_photos,
    mirflickr25k,
    nuswide21,
    scenery,
)
from ordhash.data.datasets.cifar10 import read_cifar10
from ordhash.data.datasets.corel5k import read_corel5k
from ordhash.data.datasets.dataset import Dataset, Parts
from ordhash.data.datasets.fashion_mnist import read_fashion_mnist
from ordhash.data.datasets.grocery import read_grocery
from ordhash.data.datasets.grocery_photos import read_grocery_photos
from ordhash.data.datasets.mirflickr25k import read_mirflickr25k
from ordhash.data.datasets.nuswide21 import read_nuswide21
from ordhash.data.datasets.scenery import read_scenery

__all__ = [
    "DATASETS",
    "Dataset",
    "Parts",
    "read_cifar10",
    "read_corel5k",
    "read_fashion_mnist",
    "read_grocery",
    "read_grocery_photos",
    "read_mirflickr25k",
    "read_nuswide21",
    "read_scenery",
]

DATASETS: dict[str, Dataset] = {
    module.DATASET.name: module.DATASET
    for module in (cifar10, grocery, grocery_photos, scenery, fashion_mnist, corel5k, mirflickr25k, nuswide21)
}
