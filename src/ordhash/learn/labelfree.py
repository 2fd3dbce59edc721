"""A collection that nobody gave a model or labels: its model is learned from its own photographs."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path

from ordhash.collection import Collection, SyncReport
from ordhash.data.imageset import ImageSet
from ordhash.data.readers import read_photographs
from ordhash.encoder import Encoder
from ordhash.errors import InputError
from ordhash.files import StrPath, replace_file
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.shallow import fit_shallow
from ordhash.learn.trainer import TrainResult, train
from ordhash.learn.validation import check_neighbourhoods
from ordhash.modelfile import load_model

__all__ = ["sync_without_model"]

# Clusters of few photographs say less than their features do, which ITQ keeps (docs/experiments.md).
_FEW = 500
# At least so many: with few photographs an epoch has few steps.
_EPOCHS, _STEPS = 30, 1500
# Mirror images would take as long as all the rest.
_SETTINGS = TrainConfig(mode="frozen", use_labels=False, augment=False)
_MODEL = "model-{}.onnx"


def sync_without_model(
    collection: Collection,
    folder: StrPath,
    *,
    config: DOHConfig | None = None,
    relearn: bool = False,
    undelete: bool = False,
    wait: bool = False,
    progress: bool = False,
) -> tuple[SyncReport, TrainResult | None]:
    """Learn codes from the photographs of a folder, without labels, and bring a collection into step with it.

    Fewer than 500 photographs are too few to learn a network from: they get a rotation of their features (ITQ).

    A collection that has a model already keeps it. A model that is learned lies in the collection as
    ``model-ID.onnx``; the one before goes when all photographs have been encoded by the new one. Whatever an
    interruption ends goes on in the next call, a training from its last epoch.

    Args:
        collection: The collection; made if it is not there.
        folder: The folder of the images.
        config: The network and the code, for a model that is learned.
        relearn: Whether to learn another model and encode everything anew.
        undelete: As [Collection.sync][ordhash.collection.Collection.sync] takes it.
        wait: Whether to wait for other processes that learn a model for this collection or sync it.
        progress: Whether to show bars.

    Returns:
        What the sync did; what the training gave, None where a model was there.

    Raises:
        InputError: There are too few photographs or they all look the same, or the collection is of another folder.
        MissingPartError: The backbone's weights are not at hand.
        SyncRunningError: Another process learns a model for this collection or syncs it.
        DataError: The folder is not there, or the collection is damaged.

    Example::

        report, trained = sync_without_model(Collection("photos.ordhash"), "PHOTOS")
    """
    syncing = {"undelete": undelete, "wait": wait, "progress": progress}
    images = read_photographs(folder)
    if not Collection.is_one(collection.path):  # before there is a folder that nothing will be in
        check_neighbourhoods(len(images))
    with collection.learning(folder, wait=wait) as work:
        if Collection.is_one(collection.path) and not relearn:  # or another process has made it meanwhile
            return collection.sync(folder, Encoder(collection.model()), **syncing), None
        try:
            trained = _learn(images, config or DOHConfig(), work, progress=progress)
        except InputError:  # nothing to go on with
            shutil.rmtree(work)
            raise
        model = load_model(trained.model)
        path = collection.path / _MODEL.format(model.id)
        replace_file(path, lambda file: file.write(model.graph))
        report = collection.sync(folder, Encoder(path), reencode=True, **syncing)
        for other in collection.path.glob(_MODEL.format("*")):
            if other != path:
                other.unlink()
        shutil.rmtree(work)
    return report, trained


def _learn(images: ImageSet, config: DOHConfig, work: Path, *, progress: bool) -> TrainResult:
    if len(images) < _FEW:
        linear = dataclasses.replace(config, arity=2)
        return fit_shallow("itq", images, linear, out=work, cache=work / "cache", overwrite=True, progress=progress)
    epochs = max(_EPOCHS, math.ceil(_STEPS * _SETTINGS.batch_size / len(images)))
    return train(
        images, config, dataclasses.replace(_SETTINGS, epochs=epochs),
        out=work, cache=work / "cache", overwrite="others", progress=progress,
    )  # fmt: skip
