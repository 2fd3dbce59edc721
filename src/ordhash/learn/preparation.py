"""Training data: feature maps of a frozen backbone, or pictures if the backbone is trained too."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ordhash.data import ImageSet, by_digest, companions, in_clutter
from ordhash.errors import DataError, ImageError
from ordhash.learn.backbones import Backbone
from ordhash.learn.backgrounds import unlike_training
from ordhash.learn.batches import THINGS, Batches, FeatureBatches, PictureBatches, SceneMaps
from ordhash.learn.config import TrainConfig
from ordhash.learn.correction import check_one_label
from ordhash.learn.graphs import GraphBackbone
from ordhash.learn.loop import Validation
from ordhash.learn.pseudolabels import pseudo_labels
from ordhash.learn.validation import (
    check_neighbourhoods,
    held_out,
    held_out_mask,
    labelled,
    labels_of,
    rows_of_neighbourhoods,
    usable,
    with_labels,
)
from ordhash.model import FeatureMaps, FeatureStore, FrozenBackbone, Preprocessing
from ordhash.support import progress_bar

__all__ = [
    "Featured",
    "TrainingData",
    "feature_data",
    "learnable",
    "measurable",
    "prepare_features",
    "prepare_pictures",
    "training_scenes",
]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The data that [fit_network][ordhash.learn.fit_network] trains on.

    Attributes:
        images: The training images, without unreadable and held-out ones, and the classes that these show.
        batches: The same images as network inputs.
        held: Validation images, which choose the epoch.
        depth: D, channels of a feature map.
        last_channels: Number of channels of the backbone's last map, which come first.
        fineness: As in [Task][ordhash.learn.objectives.Task].
        failures: Images that cannot be used.
    """

    images: ImageSet
    batches: Batches
    held: Validation
    depth: int
    last_channels: int
    fineness: float = 0.0
    failures: list[ImageError] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Featured:
    """Images with their feature maps.

    Attributes:
        images: n images.
        maps: n maps.
        cluttered: Sets of scenes of these images, to train with too.
    """

    images: ImageSet
    maps: FeatureMaps
    cluttered: tuple[SceneMaps, ...] = ()

    def subset(self, picked: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Featured:
        """A subset, by boolean mask or positions, and the scenes that show nothing else."""
        cluttered = tuple(scenes.among(picked, len(self.images)) for scenes in self.cluttered)
        return Featured(self.images.subset(picked), self.maps.subset(picked), cluttered)


def learnable(images: ImageSet, settings: TrainConfig) -> ImageSet:
    """The images to learn from: all labelled ones, or a sample to find neighbourhoods in.

    Args:
        images: Training images.
        settings: How to train.

    Raises:
        InputError: They have no labels, fewer than two classes, or are too few to learn without labels.
    """
    if settings.correct_labels:
        check_one_label(images.multilabel)
    if not settings.from_neighbourhoods:
        return labelled(images)
    if not settings.use_labels:
        return images.subset(rows_of_neighbourhoods(len(images), settings.seed)).without_labels()
    labelled(images)  # raises if there are fewer than two classes
    return images.subset(rows_of_neighbourhoods(len(images), settings.seed, labels_of(images)))


def measurable(validation: ImageSet | None, settings: TrainConfig) -> ImageSet | None:
    """The validation images whose labels are known; neighbourhoods are learned without any.

    Args:
        validation: Validation images, if given.
        settings: How to train.

    Raises:
        InputError: They have no labels.
    """
    return validation if validation is None or settings.from_neighbourhoods else with_labels(validation)


def prepare_pictures(
    images: ImageSet,
    validation: ImageSet | None,
    settings: TrainConfig,
    backbone: Backbone,
    preprocessing: Preprocessing,
    *,
    backgrounds: ImageSet | None = None,
    progress: bool = False,
) -> TrainingData:
    """Prepare pictures that are decoded in every epoch, to train the backbone too.

    Args:
        images: Training images with labels.
        validation: Images that choose the epoch; None holds out some of ``images``.
        settings: How to train.
        backbone: Gives the channels of the feature maps.
        preprocessing: How pictures are prepared.
        backgrounds: Photographs that training images are pasted into; None trains with the images alone.
        progress: Whether to show bars.

    Raises:
        InputError: None of the images, or of the backgrounds, can be used.
    """
    with progress_bar("Checking images", len(images), show=progress) as advance:
        images, failures = usable(images, advance)
    if validation is None:
        images, validation = held_out(images, settings.validation_fraction, settings.seed)
    elif len(validation):
        with progress_bar("Checking validation images", len(validation), show=progress) as advance:
            validation, more = usable(validation, advance)
        failures = [*failures, *more]
    images = images.without_empty_classes()
    if backgrounds is not None:
        with progress_bar("Checking backgrounds", len(backgrounds), show=progress) as advance:
            backgrounds, more = usable(backgrounds, advance)
        failures = [*failures, *more]
    crop = settings.crop if settings.augment else None
    batches = PictureBatches(
        images,
        preprocessing,
        crop=crop,
        workers=settings.workers,
        strong=settings.strong_augment,
        backgrounds=backgrounds,
    )
    held = PictureBatches(validation, preprocessing, crop=None, workers=settings.workers)
    with torch.inference_mode():
        depth = backbone(torch.zeros(1, preprocessing.size, preprocessing.size, 3, dtype=torch.uint8)).shape[1]
    labels = labels_of(validation) if len(validation) else np.zeros((0, batches.labels.shape[1]), dtype=bool)
    return TrainingData(images, batches, Validation(held, labels), depth, backbone.last_channels, failures=failures)


def prepare_features(
    images: ImageSet,
    validation: ImageSet | None,
    settings: TrainConfig,
    backbone: Backbone | GraphBackbone,
    frozen: FrozenBackbone,
    store: FeatureStore,
    *,
    backgrounds: ImageSet | None = None,
    progress: bool = False,
) -> TrainingData:
    """Prepare feature maps of a frozen backbone, each computed once.

    Args:
        images: Training images, all with labels or none.
        validation: Images that choose the epoch; None holds out some of ``images``.
        settings: How to train.
        backbone: The backbone.
        frozen: Its exported graph.
        store: Cache of feature maps.
        backgrounds: Photographs that training images are pasted into; None trains with the images alone.
        progress: Whether to show bars.

    Raises:
        InputError: None of the images, or of the backgrounds, can be used, or there are too few to learn from their
            neighbourhoods.
        DataError: An image became unreadable in the meantime.
    """

    def mirror_images(images: ImageSet) -> FeatureMaps | None:
        if not settings.augment or backbone.mirror:  # a mirroring backbone gives the same features either way
            return None
        return _still_readable(store.maps(images, frozen.mirrored, progress=progress))

    maps = store.maps(images, frozen, progress=progress).at_least_one()
    train, failures, given = Featured(images.subset(maps.rows), maps), maps.failures, None
    if backgrounds is not None:
        train, unusable = _with_scenes(train, backgrounds, settings, frozen, store, progress=progress)
        failures = [*failures, *unusable]
    if validation is not None and not settings.from_neighbourhoods:
        found = store.maps(validation, frozen, progress=progress)
        if len(validation):
            found.at_least_one()
        given, failures = Featured(validation.subset(found.rows), found), [*failures, *found.failures]
    data = feature_data(train, given, settings, backbone.last_channels, mirror_images)
    return dataclasses.replace(data, failures=failures)


def _with_scenes(
    train: Featured,
    backgrounds: ImageSet,
    settings: TrainConfig,
    frozen: FrozenBackbone,
    store: FeatureStore,
    *,
    progress: bool = False,
) -> tuple[Featured, list[ImageError]]:
    """Training images with the feature maps of their scenes; and the backgrounds left out.

    Args:
        train: Training images, all usable.
        backgrounds: What they are pasted into.
        settings: How many scenes an image, and whether it is known what images show.
        frozen: The backbone.
        store: Cache of feature maps.
        progress: Whether to show bars.

    Raises:
        InputError: None of the backgrounds can be used.
        DataError: A photograph became unreadable in the meantime.
    """
    if settings.from_neighbourhoods:
        with progress_bar("Checking backgrounds", len(backgrounds), show=progress) as advance:
            behind, left_out = usable(backgrounds, advance)
    else:
        found = store.maps(backgrounds, frozen, progress=progress).at_least_one()
        behind, known = unlike_training(backgrounds.subset(found.rows), found, train.maps, labels_of(train.images))
        left_out = [*found.failures, *known]
    scenes = training_scenes(train.images, behind, settings.scenes)
    cluttered = tuple(
        SceneMaps(_still_readable(store.maps(images, frozen, progress=progress)), members) for images, members in scenes
    )
    return dataclasses.replace(train, cluttered=cluttered), left_out


def _still_readable(maps: FeatureMaps) -> FeatureMaps:
    """Maps of images that could be read before."""
    if maps.failures:
        raise DataError(f"{maps.failures[0]}: it was readable a moment ago; run the training again")
    return maps


def training_scenes(
    images: ImageSet, backgrounds: ImageSet, count: int = TrainConfig.scenes
) -> list[tuple[ImageSet, npt.NDArray[np.intp]]]:
    """Scenes of training images, ``count`` sets of as many; by turns they show one image and three.

    They are not drawn anew for every seed: the features of other scenes would have to be computed.

    Args:
        images: n images.
        backgrounds: What they are pasted into.
        count: Number of sets.

    Returns:
        Of every set n scenes, and which images each shows, intp (n, k).
    """
    sets = []
    for number in range(count):
        salt, each = f"training/{number}", min(THINGS[number % len(THINGS)], len(images))
        members = companions(by_digest(images, salt), each)
        turn = number // len(THINGS)
        sets.append((in_clutter(images, backgrounds, members, salt=salt, turn=turn), members))
    return sets


def feature_data(
    train: Featured,
    validation: Featured | None,
    settings: TrainConfig,
    last_channels: int,
    mirror_images: Callable[[ImageSet], FeatureMaps | None] = lambda _: None,
) -> TrainingData:
    """Training and validation data for a head, with given labels or pseudo labels.

    Args:
        train: Training images.
        validation: Images that choose the epoch; None holds out some of ``train``. Not used without labels.
        settings: How to train.
        last_channels: Number of channels of the backbone's last map, which come first; pseudo labels use only these.
        mirror_images: Returns the maps of the mirrored training images, or None.

    Raises:
        InputError: There are too few images to learn from their neighbourhoods, or no labels.
    """
    if settings.from_neighbourhoods:
        validation = train.subset(np.zeros(len(train.images), dtype=bool))
    elif validation is None:
        chosen = held_out_mask(train.images, settings.validation_fraction, settings.seed)
        train, validation = train.subset(~chosen), train.subset(chosen)
    images, maps, fineness = train.images.without_empty_classes(), train.maps, 0.0
    mirrored = mirror_images(images)
    if settings.from_neighbourhoods:
        check_neighbourhoods(len(images))  # check again: some images may be unusable
        given = labels_of(images) if settings.use_labels else None
        found = pseudo_labels(maps.pooled()[:, :last_channels], settings.seed, given=given)
        labels: npt.NDArray[Any] = found.memberships
        images, fineness = images.without_labels(), found.fineness
    else:
        labels = labels_of(images)
    none = np.zeros((0, labels.shape[1]), dtype=bool)
    truth = labels_of(validation.images) if len(validation.images) else none
    batches = FeatureBatches(maps, mirrored, labels, train.cluttered)
    return TrainingData(images, batches, Validation(validation.maps, truth), maps.depth, last_channels, fineness)
