"""One run: train a method, then compute the codes of the database and the scores of the queries."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import nn

from ordhash.bench.prepared import Part, Prepared
from ordhash.bench.results import Outcome
from ordhash.codes import OrdinalCodes
from ordhash.data.protocols import Protocol
from ordhash.errors import DataError, InputError
from ordhash.learn import (
    DOHConfig,
    Featured,
    PictureBatches,
    TrainConfig,
    TrainingRun,
    TrainingState,
    feature_data,
    fit_network,
    labelled,
    rows_of_neighbourhoods,
    scores_of,
    start_fabric,
    train_network,
)
from ordhash.learn.shallow import find_shallow_method
from ordhash.model import FeatureMaps

__all__ = ["Learned", "learn_everything", "learn_network", "learn_shallow", "train_head"]


Inputs = FeatureMaps | PictureBatches


@dataclass(frozen=True, eq=False)
class Learned:
    """Result of a run.

    Attributes:
        database: Codes of the database.
        scores: Scores of the queries, float32 (q, n_segments, arity).
        facts: Facts from the training: validation mAP, best epoch, seconds of the training loop.
    """

    database: OrdinalCodes
    scores: npt.NDArray[np.float32]
    facts: Outcome


def _one_processor() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def train_head(prepared: Prepared, config: DOHConfig, settings: TrainConfig) -> tuple[nn.Module, TrainingState]:
    """Train a head on a protocol's training images; its validation images, or held-out ones, choose the epoch.

    Without labels in the settings, the last epoch is kept.

    Args:
        prepared: The protocol.
        config: The network and its objective.
        settings: How to train.
    """
    run = TrainingRun(settings, _one_processor(), TrainingState(""))

    def featured(part: Part) -> Featured:
        return Featured(part.images, part.seen(whole_maps=config.use_local))

    train = featured(prepared.train)
    validation = None if prepared.validation is None else featured(prepared.validation)
    if settings.from_neighbourhoods:
        train = train.subset(rows_of_neighbourhoods(len(train.images), settings.seed))
    head, _ = fit_network(feature_data(train, validation, settings, prepared.last_channels), config, run)
    return head, run.state


def learn_network(prepared: Prepared, config: DOHConfig, settings: TrainConfig) -> Learned:
    """Train a network on frozen features.

    Args:
        prepared: The protocol.
        config: The network and its objective.
        settings: How to train.
    """
    head, state = train_head(prepared, config, settings)
    query, database = (part.seen(whole_maps=config.use_local) for part in (prepared.query, prepared.database))
    return _applied(head, query, database, _one_processor(), _facts(state))


def learn_everything(
    protocol: Protocol, config: DOHConfig, settings: TrainConfig, folder: Path, cache: Path
) -> Learned:
    """Train a network and its backbone on pictures; for a GPU.

    Args:
        protocol: The protocol.
        config: The network and its objective.
        settings: How to train.
        folder: Folder for checkpoints: an interrupted training resumes, and a finished one is not repeated.
        cache: Folder of exported backbones.
    """
    fabric = start_fabric(settings)
    if fabric.world_size > 1:
        raise InputError(f"a benchmark trains in one process, not in {fabric.world_size}; set devices to 1")
    digest = protocol.hash()  # the folder's name identifies the settings
    trained = train_network(
        labelled(protocol.train),
        config,
        TrainingRun(settings, fabric, TrainingState(digest), folder),
        validation=None if protocol.validation is None else labelled(protocol.validation),
        cache=cache,
    )
    if trained.failures:
        raise DataError(f"protocol {protocol.name}: {trained.failures[0]}; a benchmark needs every image")
    # Codes are computed in full precision, even if the training used mixed precision.
    exact = start_fabric(dataclasses.replace(settings, precision="32-true"))
    device = torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else fabric.device.type
    query, database = (
        PictureBatches(images, trained.preprocessing, crop=None, workers=settings.workers)
        for images in (protocol.query, protocol.database)
    )
    return _applied(trained.network, query, database, exact, dataclasses.replace(_facts(trained.state), device=device))


def learn_shallow(prepared: Prepared, method: str, code_bits: int, seed: int) -> Learned:
    """Fit a shallow method to pooled features.

    Args:
        prepared: The protocol.
        method: Name of the method.
        code_bits: Length of the codes.
        seed: Seed of random draws.
    """
    shallow, train = find_shallow_method(method), prepared.train
    features = shallow.seen(train.averages(), prepared.last_channels)
    head = shallow.fit(features, train.labels if shallow.supervision == "labels" else None, code_bits, seed)
    return _applied(head, prepared.query.pooled, prepared.database.pooled, _one_processor(), Outcome())


def _facts(state: TrainingState) -> Outcome:
    return Outcome(
        validation_map=state.best_map,
        best_epoch=state.best_epoch,
        train_seconds=round(state.seconds, 2),
        wrong_labels=None if state.wrong_labels is None else round(state.wrong_labels, 4),
    )


def _applied(network: nn.Module, query: Inputs, database: Inputs, fabric: Fabric, facts: Outcome) -> Learned:
    scores = scores_of(network, query, fabric)
    return Learned(OrdinalCodes.from_scores(scores_of(network, database, fabric)), scores, facts)
