"""One training: train a method, then compute codes of a database and scores of queries, of one protocol or several.

Protocols that share their training images share their trainings: what was learned from the first is applied to all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import nn

from ordhash.bench.prepared import Part, Prepared, Scenes
from ordhash.bench.results import Outcome
from ordhash.codes import OrdinalCodes, PartCodes, ordinal_distances
from ordhash.data import ImageSet
from ordhash.data.protocols import Protocol
from ordhash.errors import DataError, InputError
from ordhash.evaluation import mean_average_precision
from ordhash.learn import (
    DOHConfig,
    Featured,
    PictureBatches,
    TrainConfig,
    TrainingRun,
    TrainingState,
    feature_data,
    fit_network,
    held_out_mask,
    labelled,
    leave_one_out_map,
    parts_of,
    rows_of_neighbourhoods,
    scores_of,
    start_fabric,
    train_network,
)
from ordhash.learn.shallow import ShallowMethod
from ordhash.model import FeatureMaps

__all__ = [
    "Learned",
    "check_trials",
    "learn_everything",
    "learn_network",
    "learn_shallow",
    "try_network",
    "try_shallow",
]


Inputs = FeatureMaps | PictureBatches


@dataclass(frozen=True, eq=False)
class Learned:
    """Result of a run.

    Attributes:
        database: Codes of the database.
        scores: Scores of the queries, float32 (q, n_segments, arity).
        facts: Facts from the training: validation mAP, kept epoch, seconds of the training loop.
        parts: Codes of the parts of the database's images, if they are searched too.
    """

    database: OrdinalCodes
    scores: npt.NDArray[np.float32]
    facts: Outcome
    parts: PartCodes | None = None


def _one_processor() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def _train_head(prepared: Prepared, config: DOHConfig, settings: TrainConfig) -> tuple[nn.Module, TrainingState]:
    """Train a head on a protocol's training images; its validation images, or held-out ones, choose the epoch.

    Without labels in the settings, the last epoch is kept.

    Args:
        prepared: The protocol.
        config: The network and its objective.
        settings: How to train.
    """
    run = TrainingRun(settings, _one_processor(), TrainingState(""))

    def featured(part: Part) -> Featured:
        cluttered = tuple(one.seen(whole_maps=config.use_local) for one in _scenes(part, settings))
        return Featured(part.images, part.seen(whole_maps=config.use_local), cluttered)

    def mirror_images(images: ImageSet) -> FeatureMaps | None:
        if prepared.mirrored is None or not settings.augment:
            return None
        rows = {key: row for row, key in enumerate(prepared.train.images.keys.tolist())}
        return prepared.mirrored.seen(whole_maps=config.use_local).subset([rows[key] for key in images.keys.tolist()])

    train = featured(prepared.train)
    validation = None if prepared.validation is None else featured(prepared.validation)
    if settings.from_neighbourhoods:
        train = train.subset(rows_of_neighbourhoods(len(train.images), settings.seed))
    data = feature_data(train, validation, settings, prepared.last_channels, mirror_images)
    head, _ = fit_network(data, config, run)
    return head, run.state


def learn_network(
    prepared: Sequence[Prepared], config: DOHConfig, settings: TrainConfig, *, parts: bool = False
) -> list[Learned]:
    """Train a network on frozen features.

    Args:
        prepared: Protocols with the same training images, at least one.
        config: The network and its objective.
        settings: How to train.
        parts: Whether to encode parts of the database's images too.

    Returns:
        What was learned, applied to every protocol.
    """
    head, state = _train_head(prepared[0], config, settings)
    return _applied_to(prepared, head, _facts(state), whole_maps=config.use_local, parts=parts)


def learn_everything(
    protocols: Sequence[Protocol], config: DOHConfig, settings: TrainConfig, folder: Path, cache: Path
) -> list[Learned]:
    """Train a network and its backbone on pictures; for a GPU.

    Args:
        protocols: Protocols with the same training images, at least one.
        config: The network and its objective.
        settings: How to train.
        folder: Folder for checkpoints: an interrupted training resumes, and a finished one is not repeated.
        cache: Folder of exported backbones.

    Returns:
        What was learned, applied to every protocol.
    """
    fabric = start_fabric(settings)
    if fabric.world_size > 1:
        raise InputError(f"a benchmark trains in one process, not in {fabric.world_size}; set devices to 1")
    first = protocols[0]
    digest = first.hash()  # the folder's name identifies the settings
    trained = train_network(
        labelled(first.train),
        config,
        TrainingRun(settings, fabric, TrainingState(digest), folder),
        validation=None if first.validation is None else labelled(first.validation),
        backgrounds=first.backgrounds,
        cache=cache,
    )
    if trained.failures:
        raise DataError(f"protocol {first.name}: {trained.failures[0]}; a benchmark needs every image")
    # Codes are computed in full precision, even if the training used mixed precision.
    exact = start_fabric(dataclasses.replace(settings, precision="32-true"))
    device = torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else fabric.device.type
    facts = dataclasses.replace(_facts(trained.state), device=device)

    def pictures(images: ImageSet) -> PictureBatches:
        return PictureBatches(images, trained.preprocessing, crop=None, workers=settings.workers)

    return [_applied(trained.network, pictures(one.query), pictures(one.database), exact, facts) for one in protocols]


def learn_shallow(
    prepared: Sequence[Prepared], method: ShallowMethod, code_bits: int, settings: TrainConfig, *, parts: bool = False
) -> list[Learned]:
    """Fit a shallow method to pooled features, of scenes too where networks learn from scenes.

    Args:
        prepared: Protocols with the same training images, at least one.
        method: The method and its settings.
        code_bits: Length of the codes.
        settings: Gives the seed of random draws, and the number of scenes of each image.
        parts: As in ``learn_network``.

    Returns:
        What was learned, applied to every protocol.
    """
    head = _fitted(prepared[0].train, method, code_bits, settings, prepared[0].last_channels)
    return _applied_to(prepared, head, Outcome(), whole_maps=False, parts=parts)


def try_network(prepared: Prepared, config: DOHConfig, settings: TrainConfig) -> Outcome:
    """Train a network on frozen features and search held-out training images, as the protocol searches its queries.

    The protocol's validation images are held out, or, if it has none, a share of every class. If the database is made
    of images that are learned from, they are searched in these, otherwise among each other: codes of images that were
    learned from are better than others, and settings that suit the ones need not suit the others.

    Args:
        prepared: The protocol.
        config: The network and its objective.
        settings: How to train.

    Returns:
        Tie-aware mAP by ordinal distance, or None if no held-out image has a relevant one; and the kept epoch.
    """
    head, state = _train_head(prepared, config, settings)
    return Outcome(
        validation_map=_rehearsed(head, prepared, settings, whole_maps=config.use_local), kept_epoch=state.kept_epoch
    )


def try_shallow(prepared: Prepared, method: ShallowMethod, code_bits: int, settings: TrainConfig) -> Outcome:
    """Fit a shallow method and search held-out training images, as ``try_network`` does.

    Args:
        prepared: The protocol.
        method: The method and its settings.
        code_bits: Length of the codes.
        settings: Gives the share of each class to hold out, and the seed.
    """
    learning, _ = _parted(prepared, settings)
    head = _fitted(learning, method, code_bits, settings, prepared.last_channels)
    return Outcome(validation_map=_rehearsed(head, prepared, settings, whole_maps=False))


def check_trials(prepared: Prepared, settings: TrainConfig) -> None:
    """Check that trials can be compared.

    Args:
        prepared: The protocol.
        settings: Give the share of each class to hold out, and the seed.

    Raises:
        InputError: No held-out image has a relevant one to find.
    """
    learning, held = _parted(prepared, settings)
    others = learning.labels if prepared.database_is_learned else held.labels
    least = 1 if prepared.database_is_learned else 2  # itself does not count
    if not held.labels[:, others.sum(axis=0) >= least].any():
        raise InputError(
            f"of the {len(held.images)} images held out to compare trials (validation_fraction = "
            f"{settings.validation_fraction:g}) none has a relevant one to find; raise it, or leave search out"
        )


def _parted(prepared: Prepared, settings: TrainConfig) -> tuple[Part, Part]:
    """Images to learn from, and those held out: the same that training holds out."""
    if prepared.validation is not None:
        return prepared.train, prepared.validation
    held = held_out_mask(prepared.train.images, settings.validation_fraction, settings.seed)
    return prepared.train.subset(~held), prepared.train.subset(held)


def _rehearsed(head: nn.Module, prepared: Prepared, settings: TrainConfig, *, whole_maps: bool) -> float | None:
    """Tie-aware mAP of held-out images, by ordinal distance."""
    learning, held = _parted(prepared, settings)
    if not len(held.images):
        return None
    codes = OrdinalCodes.from_scores(scores_of(head, held.seen(whole_maps=whole_maps), _one_processor()))
    if not prepared.database_is_learned:
        return leave_one_out_map(codes, held.labels)
    relevance = held.labels.astype(np.float32) @ learning.labels.T.astype(np.float32) > 0
    rows = np.flatnonzero(relevance.any(axis=1))
    if not len(rows):
        return None
    scores = scores_of(head, learning.seen(whole_maps=whole_maps), _one_processor())
    database = OrdinalCodes.from_scores(scores)
    return mean_average_precision(ordinal_distances(codes[rows], database), relevance[rows])


def _fitted(train: Part, method: ShallowMethod, code_bits: int, settings: TrainConfig, last_channels: int) -> nn.Module:
    features, labels = [train.averages()], [train.labels]
    for scenes in _scenes(train, settings):
        if len(scenes.pooled.maps):
            features.append(scenes.pooled.maps.pooled())
            labels.append(train.labels[scenes.pooled.members].max(axis=1))
    given = np.concatenate(labels) if method.supervision == "labels" else None
    return method.fit(method.seen(np.concatenate(features), last_channels), given, code_bits, settings.seed)


def _scenes(train: Part, settings: TrainConfig) -> tuple[Scenes, ...]:
    """Scenes of training images, as many sets as are asked for."""
    if train.cluttered and settings.scenes > len(train.cluttered):
        raise InputError(f"scenes is {settings.scenes}; allowed in a benchmark is 0 to {len(train.cluttered)}")
    return train.cluttered[: settings.scenes]


def _facts(state: TrainingState) -> Outcome:
    return Outcome(
        validation_map=state.kept_map,
        kept_epoch=state.kept_epoch,
        train_seconds=round(state.seconds, 2),
        wrong_labels=None if state.wrong_labels is None else round(state.wrong_labels, 4),
    )


def _applied_to(
    prepared: Sequence[Prepared], head: nn.Module, facts: Outcome, *, whole_maps: bool, parts: bool
) -> list[Learned]:
    """What was learned on frozen features, applied to every protocol."""
    found = []
    for one in prepared:
        query, database = (part.seen(whole_maps=whole_maps) for part in (one.query, one.database))
        learned = _applied(head, query, database, _one_processor(), facts)
        if parts:
            learned = dataclasses.replace(learned, parts=parts_of(head, one.database.maps, _one_processor()))
        found.append(learned)
    return found


def _applied(network: nn.Module, query: Inputs, database: Inputs, fabric: Fabric, facts: Outcome) -> Learned:
    scores = scores_of(network, query, fabric)
    return Learned(OrdinalCodes.from_scores(scores_of(network, database, fabric)), scores, facts)
