"""Learn a collection's own model from its photographs, without labels or with labels for some of them."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ordhash.collection import Collection, SyncReport, kept_patterns
from ordhash.data import ImageSet, read_photographs
from ordhash.errors import InputError, OrdhashError, TooFewImagesError
from ordhash.learn import (
    CORRECTED_FILE,
    LEAST_UNLABELLED,
    DOHConfig,
    TrainConfig,
    TrainResult,
    check_neighbourhoods,
    labelled,
    train,
)
from ordhash.learn.shallow import fit_shallow
from ordhash.model import LEAST_LEARNED_FROM, MOST_LEARNED_FROM, Encoder, load_model
from ordhash.ownmodel.foreseeing import foreseen
from ordhash.ownmodel.general import general_model, suits
from ordhash.ownmodel.labels import check_names, keep_labels, with_kept_labels, with_labels
from ordhash.support import StrPath

__all__ = ["LearningPlan", "learn_labels", "sync_without_model"]

# Encoding mirror images would take as long as everything else together.
_SETTINGS = TrainConfig(mode="frozen", use_labels=False, augment=False)
# With at least this share of labels, unlabelled photographs do more harm than good (docs/experiments.md).
_MANY_LABELS = 0.25


@dataclass(frozen=True)
class LearningPlan:
    """When to train a collection's own network, and for how long.

    Attributes:
        least_images: Collections with fewer photographs, without labels, get the general model.
        epochs: Minimum passes over the photographs.
        steps: Minimum number of batches, for small collections.
        cache: Folder of feature maps and exported backbones; None keeps them in the collection during training.
    """

    least_images: int = LEAST_LEARNED_FROM
    epochs: int = 30
    steps: int = 1500
    cache: Path | None = None

    def settings(self, n_images: float, settings: TrainConfig = _SETTINGS) -> TrainConfig:
        """Training settings for a number of images.

        Args:
            n_images: Number of training images.
            settings: All other settings.

        >>> plan = LearningPlan()
        >>> plan.settings(1000).epochs, plan.settings(50_000).epochs
        (96, 30)
        """
        epochs = max(self.epochs, math.ceil(self.steps / max(1.0, n_images / settings.batch_size)))
        # About twenty checkpoints.
        return dataclasses.replace(settings, epochs=epochs, validate_every=math.ceil(epochs / 20))


# It syncs, and takes what Collection.sync takes.
def sync_without_model(
    collection: Collection,
    folder: StrPath,
    *,
    config: DOHConfig | None = None,
    exclude: Sequence[str] | None = None,
    relearn: bool = False,
    undelete: bool = False,
    forget: bool = False,
    wait: bool = False,
    progress: bool = False,
    plan: LearningPlan = LearningPlan(),
    tell: Callable[[str], None] = lambda sentence: None,
) -> tuple[SyncReport, TrainResult | None]:
    """Learn codes from the photographs of a folder, without labels, and sync a collection with it.

    Fewer than 500 photographs are too few to learn from: they get the general model (``ordhash.ownmodel.general``), or,
    if that does not support the configured network, a rotation of their own features (ITQ).

    An existing model is kept unless ``relearn`` is set. A learned model is stored in the collection as
    ``model-ID.onnx``; it replaces the previous one once it has encoded all photographs. After an interruption,
    the next call resumes, a training from its last checkpoint.

    Args:
        collection: The collection; created if it does not exist.
        folder: The folder of the images.
        config: The network and the code, if a model is learned; None takes those of the collection's own model.
        exclude: As in [Collection.sync][ordhash.collection.Collection.sync].
        relearn: Whether to learn a new model and encode everything again.
        undelete: As in [Collection.sync][ordhash.collection.Collection.sync].
        forget: As in [Collection.sync][ordhash.collection.Collection.sync].
        wait: Whether to wait for other processes that sync this collection or learn a model for it.
        progress: Whether to show bars.
        plan: When to train a network, and for how long.
        tell: Called before the work with sentences on what it is and how long it takes.

    Returns:
        The reports of the sync and of the training; None for the latter if a model already existed.

    Raises:
        InputError: All photographs look the same, the collection belongs to another folder, or there are too few
            photographs and the general model does not support the network.
        MissingPartError: The backbone's weights are not available.
        SyncRunningError: Another process syncs this collection or learns a model for it.
        DataError: The folder does not exist, or the collection is damaged.

    Example::

        report, trained = sync_without_model(Collection("photos.ordhash"), "PHOTOS")
    """
    syncing: dict[str, Any] = {"undelete": undelete, "forget": forget, "wait": wait, "progress": progress}
    images = read_photographs(folder, kept_patterns(collection.path) if exclude is None else exclude)
    if not Collection.is_one(collection.path) and not suits(config or DOHConfig()):
        check_neighbourhoods(len(images))  # fail before an empty collection is created
    # A sync with the model that there is says itself what is missing.
    with collection.learning(folder, exclude=exclude, forget=forget or not relearn, wait=wait) as work:
        if Collection.is_one(collection.path) and not relearn:  # another process may have created it meanwhile
            return collection.sync(folder, Encoder(collection.model()), **syncing), None
        images, lost = with_kept_labels(images, collection.path)
        if lost:
            tell(f"{len(lost):,} kept labels match no photograph any more; the first is of {lost[0]!r}")
        config = config or own_config(collection)
        return _learn_and_encode(collection, folder, images, config, work, plan, tell, **syncing)


def learn_labels(
    collection: Collection,
    labels: ImageSet,
    *,
    config: DOHConfig | None = None,
    wait: bool = False,
    progress: bool = False,
    plan: LearningPlan = LearningPlan(),
    tell: Callable[[str], None] = lambda sentence: None,
) -> tuple[SyncReport, TrainResult, list[str]]:
    """Relearn a collection's model with labels for some of its photographs, and encode everything with it.

    If at least a quarter of the photographs have labels, or there are fewer than 50 photographs, only labelled ones are
    used. Otherwise labels are spread over the photographs' neighbourhoods (``ordhash.learn.pseudolabels``). The labels
    are stored in the collection as ``labels.csv``: later trainings use them too, also where photographs were renamed or
    moved, until new labels replace them all.

    Args:
        collection: The collection.
        labels: The labels, by keys of the collection.
        config: The network and the code; None takes those of the collection's own model.
        wait: Whether to wait for other processes that sync this collection or learn a model for it.
        progress: Whether to show bars.
        plan: When to train a network, and for how long.
        tell: Called before the work with sentences on what it is and how long it takes.

    Returns:
        The reports of the sync and of the training, and the labelled keys without a photograph in the folder.

    Raises:
        InputError: No label belongs to a photograph, or there are fewer than two classes.
        MissingPartError: The backbone's weights are not available.
        SyncRunningError: Another process syncs this collection or learns a model for it.
        DataError: The collection is missing or damaged, or its folder is missing.

    Example::

        report, trained, unknown = learn_labels(Collection("photos.ordhash"), read_manifest("labels.csv"))
    """
    folder = collection.info().folder
    check_names(labels)
    images, unknown = with_labels(read_photographs(folder, kept_patterns(collection.path)), labels)
    if len(unknown) == len(labels):
        raise InputError(
            f"no label is of a photograph in {folder}{_examples(labels, images)}; name photographs as the collection "
            "does, by their path below its folder"
        )
    labelled(images)  # raises before anything is changed
    with collection.learning(folder, wait=wait) as work:
        report, trained = _learn_and_encode(
            collection, folder, images, config or own_config(collection), work, plan, tell,
            labels=labels, wait=wait, progress=progress,
        )  # fmt: skip
    return report, trained, unknown


def _examples(labels: ImageSet, images: ImageSet) -> str:
    if not len(labels) or not len(images):
        return ""
    return f": the first is of {str(labels.keys[0])!r}, and the first photograph is {str(images.keys[0])!r}"


def own_config(collection: Collection) -> DOHConfig:
    """Network and code of the collection's own model, or the default if it has none."""
    if Collection.is_one(collection.path):
        try:
            model = load_model(collection.model())
        except OrdhashError:  # missing or damaged: learning a new one is the way out
            return DOHConfig()
        if collection.has_own_model and "settings" in model.info.training:  # a network, not a rotation of features
            return DOHConfig.from_json(model.info.training["config"])
    return DOHConfig()


# What a first sync and a training with labels share: each part goes to another step.
def _learn_and_encode(
    collection: Collection,
    folder: StrPath,
    images: ImageSet,
    config: DOHConfig,
    work: Path,
    plan: LearningPlan,
    tell: Callable[[str], None],
    *,
    labels: ImageSet | None = None,
    **syncing: Any,
) -> tuple[SyncReport, TrainResult]:
    try:
        trained = _learn(images, config, work, plan, tell, progress=syncing["progress"])
    except InputError:  # nothing to resume
        shutil.rmtree(work)
        raise
    if labels is not None:  # before the switch to the new model, which any later sync completes
        keep_labels(labels, images, collection.path)
    if (work / CORRECTED_FILE).exists():
        (work / CORRECTED_FILE).replace(collection.path / CORRECTED_FILE)
    elif not trained.corrected:  # keep a file written before an interruption
        (collection.path / CORRECTED_FILE).unlink(missing_ok=True)
    report = collection.sync(folder, Encoder(trained.model), reencode=True, own=True, **syncing)
    shutil.rmtree(work)
    return report, dataclasses.replace(trained, model=collection.model())


def _learn(
    images: ImageSet,
    config: DOHConfig,
    work: Path,
    plan: LearningPlan,
    tell: Callable[[str], None],
    *,
    progress: bool,
) -> TrainResult:
    share = 0.0 if images.labels is None else float(images.labels.any(axis=1).mean())
    alone = share >= _MANY_LABELS or len(images) < LEAST_UNLABELLED  # too few photographs to spread labels
    settings = dataclasses.replace(_SETTINGS, use_labels=bool(share) and (alone or "spread"))
    places: dict[str, Any] = {"out": work, "cache": plan.cache or work / "cache", "progress": progress}
    if not share and len(images) < plan.least_images:
        if suits(config):
            return general_model(work, cache=places["cache"])
        return fit_shallow("itq", images, dataclasses.replace(config, arity=2), overwrite=True, **places)
    learned = share * len(images) if settings.use_labels is True else min(len(images), MOST_LEARNED_FROM)
    settings = plan.settings(share * len(images) if settings.use_labels is True else len(images), settings)
    tell(foreseen(images, round(learned), config, settings, places["cache"]))
    try:
        return train(images, config, settings, overwrite="others", **places)
    except TooFewImagesError:  # many files, few of them usable
        if share or not suits(config):
            raise
        return general_model(work, cache=places["cache"])
