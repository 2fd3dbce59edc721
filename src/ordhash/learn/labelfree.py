"""A model for a folder of photographs that nobody has labelled, learned from the photographs themselves."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from ordhash.data.imageset import ImageSet
from ordhash.data.readers import walk_images
from ordhash.errors import DataError
from ordhash.files import StrPath
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.trainer import TrainResult, train

__all__ = ["train_on_folder"]

_FEATURES = "learning"  # folder of what is computed on the way, for a training that is interrupted
# Mirror images would take as long as all the rest, and hardly teach more (docs/experiments.md).
_SETTINGS = TrainConfig(mode="frozen", use_labels=False, augment=False, epochs=30)


def train_on_folder(
    folder: StrPath, out: StrPath, *, seed: int = 0, overwrite: bool = False, progress: bool = False
) -> TrainResult:
    """Learn codes from photographs without labels (``ordhash.learn.pseudolabels``) and write ``out/model.onnx``.

    An interrupted training goes on where it was when it is called again.

    Args:
        folder: Images in it and below it.
        out: Folder for the model.
        seed: Of whatever is drawn at random.
        overwrite: Whether to learn anew where ``out`` holds a model.
        progress: Whether to show bars.

    Raises:
        InputError: There are too few photographs, or ``out`` holds another model.
        DataError: The folder is not there or cannot be read.

    Example::

        result = train_on_folder("PHOTOS", "photos.ordhash")
        Collection("photos.ordhash").sync("PHOTOS", Encoder(result.model))
    """
    folder, out = Path(folder), Path(out)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give a folder of images")
    paths = sorted(walk_images(folder, lambda place, reason: None))  # a sync reports what it cannot read
    keys = np.array([path.relative_to(folder).as_posix() for path in paths], dtype=np.str_)
    settings = dataclasses.replace(_SETTINGS, seed=seed)
    images, cache = ImageSet(paths, keys), out / _FEATURES
    result = train(images, DOHConfig(), settings, out=out, cache=cache, overwrite=overwrite, progress=progress)
    shutil.rmtree(out / _FEATURES, ignore_errors=True)
    return result
