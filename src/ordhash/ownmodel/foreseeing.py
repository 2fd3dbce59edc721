"""What learning a collection's model will take on this machine, told before it begins."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from ordhash.data import ImageSet
from ordhash.learn import DOHConfig, TrainConfig, exported_backbone
from ordhash.model import FeatureStore
from ordhash.support import available_cores, duration

__all__ = ["foreseen", "seconds_of_learning"]

_TRIED = 64  # pictures a core: less would measure how long the network takes to load
# A step of training takes about as long as the features of that many small pictures: on two cores .05 s and .004 s. Of
# large ones, most of the time is decoding, which training does not do.
_PICTURES_A_STEP, _SMALL = 12, 0.01


def foreseen(images: ImageSet, learned: int, config: DOHConfig, settings: TrainConfig, cache: Path) -> str:
    """A sentence on what learning and encoding do, and how long both take together.

    The features of some pictures are computed to see how fast this machine is. They are kept, so this costs nothing.

    Args:
        images: All photographs.
        learned: How many of them are learned from.
        config: The network.
        settings: How it is trained.
        cache: Folder of feature maps and exported backbones.
    """
    some = images.subset(np.unique(np.linspace(0, len(images) - 1, _TRIED * available_cores()).astype(np.intp)))
    _, frozen = exported_backbone(config, cache, seed=settings.seed)
    started = time.perf_counter()
    computed = FeatureStore(cache / "features").maps(some, frozen).computed
    each = (time.perf_counter() - started) / computed if computed else None
    what = (
        f"learning a model from {learned:,} of {len(images):,} photographs (features, then training), then encoding all"
    )
    if each is None:  # begun earlier, so how much is left is not known
        return f"{what}; goes on where it was interrupted"
    return f"{what}; this takes {duration(seconds_of_learning(len(images), learned, settings, each))}"


def seconds_of_learning(images: int, learned: int, settings: TrainConfig, each: float) -> float:
    """Seconds of features, training and encoding.

    Args:
        images: How many photographs there are.
        learned: How many of them are learned from.
        settings: How the network is trained.
        each: Seconds that the features of a picture take.

    >>> round(seconds_of_learning(1000, 1000, TrainConfig(epochs=100), 0.01))
    212
    """
    steps = settings.epochs * math.ceil(learned / settings.batch_size)
    return each * (learned + images) + min(each, _SMALL) * _PICTURES_A_STEP * steps
