"""Which photographs may be backgrounds: those that show none of the classes.

A background that shows a class teaches the network to overlook it. In a folder of photographs without labels some may,
so those that are as near to a training image as images of one class are to each other are left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ordhash.data import ImageSet
from ordhash.errors import ImageError, InputError
from ordhash.model import FeatureMaps
from ordhash.support import spread_rows, unit_rows

__all__ = ["MOST_BACKGROUNDS", "some_of", "unlike_training"]

MOST_BACKGROUNDS = 4096
"""Backgrounds that are compared and used; of more, every second, third, ... is taken."""

_NEAR = 0.9  # share of the training images that are as near to another one of their class
_LEAST_COMPARED, _MOST_COMPARED = 10, 4096  # training images


def some_of(backgrounds: ImageSet) -> ImageSet:
    """At most ``MOST_BACKGROUNDS`` of them, spread evenly.

    Args:
        backgrounds: n photographs.
    """
    return backgrounds.subset(spread_rows(len(backgrounds), MOST_BACKGROUNDS))


def unlike_training(
    backgrounds: ImageSet, maps: FeatureMaps, learned: FeatureMaps, labels: npt.NDArray[np.bool_]
) -> tuple[ImageSet, list[ImageError]]:
    """The backgrounds that look like no training image, and why the others are left out.

    What counts is the cosine of mean features, less the mean of the training images, to the nearest training image. A
    background is left out if it is as near as nine tenths of the training images are to the nearest one of their class.
    Where fewer than 10 have another one of their class, nobody can tell, and all backgrounds stay.

    Args:
        backgrounds: n photographs.
        maps: Their feature maps.
        learned: Those of the training images.
        labels: Of the training images, (m, n_classes).

    Raises:
        InputError: All look like training images.
    """
    some = spread_rows(len(learned), _MOST_COMPARED)
    features, classes = learned.subset(some).pooled(), labels[some].astype(np.float32)
    mean = features.mean(axis=0)
    features = unit_rows(features - mean)
    alike = classes @ classes.T > 0
    np.fill_diagonal(alike, val=False)
    compared = alike.any(axis=1)
    if compared.sum() < _LEAST_COMPARED:
        return backgrounds, []
    nearest = np.where(alike, features @ features.T, -np.inf).max(axis=1)[compared]
    like = (unit_rows(maps.pooled() - mean) @ features.T).max(axis=1) >= np.quantile(nearest, 1 - _NEAR)
    if like.all():
        raise InputError(
            f"all {len(backgrounds)} backgrounds look like training images; give photographs that show none of the "
            "classes, or none"
        )
    reason = "it looks like a training image, and a background must show none of the classes; label it, or leave it out"
    left_out = [ImageError(backgrounds.name(row), reason) for row in np.flatnonzero(like).tolist()]
    return backgrounds.subset(~like), left_out
