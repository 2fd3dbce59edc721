"""Which photographs may be backgrounds: those that show none of the classes.

A background that shows a class teaches the network to overlook it. In a folder of photographs without labels some may,
so those that are as near to a training image as training images are to each other are left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ordhash.data import ImageSet
from ordhash.errors import ImageError, InputError
from ordhash.model import FeatureMaps

__all__ = ["unlike_training"]

_NEAR = 0.9  # share of the training images that are as near to another one
_MOST_COMPARED = 4096  # training images
_AT_ONCE = 4096  # backgrounds


def unlike_training(
    backgrounds: ImageSet, maps: FeatureMaps, learned: FeatureMaps
) -> tuple[ImageSet, list[ImageError]]:
    """The backgrounds that look like no training image, and why the others are left out.

    What counts is the cosine of mean features, less the mean of the training images, to the nearest training image; a
    background is left out if it is nearer than the tenth of the training images that is farthest from any other.

    Args:
        backgrounds: n photographs.
        maps: Their feature maps.
        learned: Those of the training images, at least two.

    Raises:
        InputError: All look like training images.
    """
    some = np.linspace(0, len(learned) - 1, min(len(learned), _MOST_COMPARED)).astype(np.intp)
    features = learned.subset(some).pooled()
    mean = features.mean(axis=0)
    features = _directions(features - mean)
    among = features @ features.T
    np.fill_diagonal(among, -np.inf)
    limit = np.quantile(among.max(axis=1), 1 - _NEAR)
    others = _directions(maps.pooled() - mean)
    blocks = (others[start : start + _AT_ONCE] for start in range(0, len(others), _AT_ONCE))
    like = np.concatenate([(block @ features.T).max(axis=1) >= limit for block in blocks])
    if like.all():
        raise InputError(
            f"all {len(backgrounds)} backgrounds look like training images; give photographs that show none of the "
            "classes, or none"
        )
    reason = "it looks like a training image, and a background must show none of the classes; label it, or leave it out"
    left_out = [ImageError(backgrounds.name(row), reason) for row in np.flatnonzero(like).tolist()]
    return backgrounds.subset(~like), left_out


def _directions(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)
