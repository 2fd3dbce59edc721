"""Training, with a frozen backbone or end to end.

``train`` selects images, calls [train_network][ordhash.learn.train_network] and writes the model file.
``train_network`` [prepares][ordhash.learn.TrainingData] the images, builds the network and
[fits][ordhash.learn.fit] it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from ordhash.codes import OrdinalCodes
from ordhash.data import ImageSet
from ordhash.errors import ImageError, InputError, ModelFileError
from ordhash.learn.backbones import Backbone, configured_backbone
from ordhash.learn.backgrounds import some_of
from ordhash.learn.batches import Batches, FeatureBatches, PictureBatches
from ordhash.learn.calibrating import Calibrations, measured_on
from ordhash.learn.checkpoint import TrainingState, training_digest
from ordhash.learn.config import DEFAULT_CACHE, DOHConfig, TrainConfig
from ordhash.learn.correction import CORRECTED_FILE, corrected, write_corrected
from ordhash.learn.devices import finetunes, start_fabric
from ordhash.learn.export import export_backbone, export_model, exported_backbone
from ordhash.learn.familiarity import FamiliarityGauge, GaugedHead, least_familiar, sampled_examples
from ordhash.learn.graphs import GraphBackbone
from ordhash.learn.lesson import Lesson, choose_lesson
from ordhash.learn.loop import TrainingRun, Validation, configured_head, fit
from ordhash.learn.network import HashingHead, HashingNetwork
from ordhash.learn.objectives import Objective, Task, find_objective
from ordhash.learn.outputs import averages_of, scores_of
from ordhash.learn.preparation import TrainingData, learnable, measurable, prepare_features, prepare_pictures
from ordhash.model import (
    MODEL_FILE,
    Familiarity,
    FeatureStore,
    FrozenBackbone,
    ModelInfo,
    Preprocessing,
    learned_from,
    load_model,
    symbol_shares,
)

__all__ = ["TrainResult", "TrainedNetwork", "fit_network", "train", "train_network"]


@dataclass(frozen=True)
class TrainResult:
    """Result of a training.

    Attributes:
        model: Path of the model file.
        validation_map: Tie-aware leave-one-out mAP of the kept epoch on the validation images; None without validation
            images.
        kept_epoch: The kept epoch, from 1.
        seconds: Time in the training loop.
        reused: Whether a finished model of exactly this training already existed.
        wrong_labels: Estimated share of wrong training labels; None if it was not estimated, or the features predict
            labels too badly.
        corrected: Number of images trained with a replaced label; ``corrected.csv`` beside the model lists them.
        general: Whether the model is the one shipped with this package, without any training.
        failures: Images that could not be used.
        history: One entry per validated epoch: epoch, loss terms, validation mAP.
    """

    model: Path
    validation_map: float | None
    kept_epoch: int
    seconds: float
    reused: bool = False
    wrong_labels: float | None = None
    corrected: int = 0
    general: bool = False
    failures: tuple[ImageError, ...] = ()
    history: tuple[dict[str, float], ...] = field(default=(), repr=False)


def train(  # the entry point: options by name, each with a default
    images: ImageSet,
    config: DOHConfig | None = None,
    settings: TrainConfig | None = None,
    *,
    out: str | Path,
    validation: ImageSet | None = None,
    backgrounds: ImageSet | None = None,
    protocol: str = "",
    cache: Path = DEFAULT_CACHE,
    overwrite: bool | Literal["others"] = False,
    progress: bool = False,
) -> TrainResult:
    """Learn codes from images and write ``out/model.onnx``.

    Call it again with the same arguments to resume an interrupted training; the result is the same. A finished training
    is not repeated unless ``overwrite`` is set.

    Args:
        images: Training images with labels; unlabelled and unreadable images are left out. Without labels in the
            settings: any images, of which at most 10,000 are drawn.
        config: The network and its objective.
        settings: How to train.
        out: Folder for ``model.onnx`` (and, during training, ``checkpoint.pt``).
        validation: Images that choose the epoch and calibrate, as far as they are labelled; None holds out some of
            ``images``. Not used without labels: then the last epoch is kept.
        backgrounds: Photographs that show none of the classes. Training images are pasted into them, so that codes hold
            what is small in a cluttered photograph.
        protocol: Name of the data, for the model file.
        cache: Folder of feature maps and exported backbones.
        overwrite: Whether to replace a finished training in ``out``, whatever its arguments, and to discard an
            unfinished one with other arguments. An unfinished one with the same arguments is still resumed. ``others``
            replaces only trainings with other arguments.
        progress: Whether to show bars.

    Returns:
        The model's path, its quality on validation images, and the history.

    Raises:
        InputError: The images have no labels, fewer than two classes, or are too few to learn without labels; no
            background can be used; or ``out`` holds another training.
        MissingPartError: The backbone's weights are not available.
    """
    config, settings, out = config or DOHConfig(), settings or TrainConfig(), Path(out)
    config = config.decided(scenes=backgrounds is not None and settings.scenes > 0)
    available = len(images)
    images, validation = learnable(images, settings), measurable(validation, settings)
    fabric = start_fabric(settings)
    finetune = finetunes(settings, fabric)
    digest = training_digest(images, validation, config, settings, finetune=finetune, backgrounds=backgrounds)
    finished = None if overwrite is True else _finished(out, digest)
    if finished:
        return finished
    path = out / MODEL_FILE
    if path.exists() and not overwrite:
        raise InputError(f"{path} is another training's model; choose another folder, or allow overwriting it")
    run = TrainingRun(settings, fabric, TrainingState(digest), out, overwrite=bool(overwrite), progress=progress)
    trained = train_network(images, config, run, validation=validation, backgrounds=backgrounds, cache=cache)
    state, measured = trained.state, measured_on(trained.network, trained.held, trained.state.scores, run.fabric)
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        write_corrected(out / CORRECTED_FILE, trained.corrected)  # first, because the model marks the end
        origin = {} if trained.shares is None else learned_from(available, trained.shares)
        info = _described(trained, config, settings, protocol, measured, origin)
        gauged = None if measured.calibration is None else _gauged(trained, run)
        _write_model(path, trained, info, gauged)
        (out / "checkpoint.pt").unlink(missing_ok=True)
    fabric.barrier()
    return TrainResult(
        path,
        state.kept_map,
        state.kept_epoch,
        state.seconds,
        wrong_labels=state.wrong_labels,
        corrected=len(trained.corrected),
        failures=tuple(trained.failures),
        history=tuple(state.history),
    )


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network in memory.

    Attributes:
        network: The head, or the whole network if the backbone was trained too, with the weights of the kept epoch, on
            the training device.
        backbone: The backbone, also part of a whole network.
        frozen: Its graph, unless it was trained too.
        preprocessing: How its pictures are prepared.
        depth: D, channels of its feature maps.
        objective: The objective chosen for these images and features.
        state: Kept epoch, its quality, the history.
        images: The training images; without labels if none were used.
        batches: The training images as inputs of the network.
        held: The validation images.
        failures: Images that could not be used.
        corrected: Images trained with a replaced label: image, given class, learned class.
        shares: Frequency of each symbol in each segment, float (n_segments, arity); None unless learned from
            neighbourhoods.
    """

    network: HashingHead | HashingNetwork
    backbone: Backbone | GraphBackbone
    frozen: FrozenBackbone | None
    preprocessing: Preprocessing
    depth: int
    objective: Objective
    state: TrainingState
    images: ImageSet
    batches: Batches
    held: Validation
    failures: list[ImageError]
    corrected: list[tuple[str, str, str]]
    shares: npt.NDArray[np.float64] | None = None


def train_network(
    images: ImageSet,
    config: DOHConfig,
    run: TrainingRun,
    *,
    validation: ImageSet | None = None,
    backgrounds: ImageSet | None = None,
    cache: Path = DEFAULT_CACHE,
) -> TrainedNetwork:
    """Learn codes from images, without writing a model file as ``train`` does.

    Args:
        images: Training images, all with labels or none.
        config: The network and its objective.
        run: How and where to train.
        validation: Images that choose the epoch; None holds out some of ``images``.
        backgrounds: As in ``train``.
        cache: Folder of feature maps and exported backbones.

    Raises:
        InputError: As ``train``.
        MissingPartError: The backbone's weights are not available.
    """
    settings = run.settings
    validation = measurable(validation, settings)
    backgrounds = None if backgrounds is None or not settings.scenes else some_of(backgrounds)
    config = config.decided(scenes=backgrounds is not None)
    backbone: Backbone | GraphBackbone
    frozen: FrozenBackbone | None
    if finetunes(settings, run.fabric):
        trained, preprocessing = configured_backbone(config, seed=settings.seed)
        data = prepare_pictures(
            images, validation, settings, trained, preprocessing, backgrounds=backgrounds, progress=run.progress
        )
        network, lesson = fit_network(data, config, run, trained)
        backbone, frozen = trained, None
    else:
        backbone, frozen = exported_backbone(config, cache, seed=settings.seed)
        store, preprocessing = FeatureStore(cache / "features"), frozen.preprocessing
        data = prepare_features(
            images, validation, settings, backbone, frozen, store, backgrounds=backgrounds, progress=run.progress
        )
        network, lesson = fit_network(data, config, run)
    shares = None
    if settings.from_neighbourhoods and isinstance(data.batches, FeatureBatches):
        shares = symbol_shares(OrdinalCodes.from_scores(scores_of(network, data.batches.maps, run.fabric)))
    return TrainedNetwork(
        network,
        backbone,
        frozen,
        preprocessing,
        data.depth,
        lesson.objective,
        run.state,
        data.images,
        data.batches,
        data.held,
        data.failures,
        [] if lesson.correction is None else corrected(data.images, lesson.correction),
        shares,
    )


def fit_network(
    data: TrainingData, config: DOHConfig, run: TrainingRun, backbone: Backbone | None = None
) -> tuple[HashingHead | HashingNetwork, Lesson]:
    """Build a network and [fit][ordhash.learn.fit] it, without changing PyTorch's random state.

    Args:
        data: Training and validation images.
        config: The network and its objective.
        run: How and where to train.
        backbone: A backbone to train too; None trains only the head.

    Returns:
        The head, or backbone and head, with the weights of the kept epoch; and the objective and labels used.
    """
    settings, device, scenes = run.settings, run.fabric.device, data.batches.has_scenes
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
        n_classes, multilabel = data.batches.labels.shape[1], data.images.multilabel
        task = Task(
            config.spec, n_classes, multilabel, settings.seed, len(data.images),
            scenes=scenes, soft=settings.from_neighbourhoods, fineness=data.fineness,
        )  # fmt: skip
        lesson = choose_lesson(find_objective(config.objective), task, data.batches, settings, run.fabric, backbone)
        if lesson.correction is not None:
            run.state.wrong_labels = lesson.correction.share
        torch.manual_seed(settings.seed)
        head = configured_head(
            config.decided(scenes=scenes), data.depth, n_classes, multilabel=multilabel,
            n_fitted=lesson.objective.fitted_segments(lesson.task), fitted_channels=data.last_channels,
        )  # fmt: skip
        network = head if backbone is None else HashingNetwork(backbone, head)
        fit(network, lesson, data.batches, data.held, run)
        return network, lesson


def _described(
    trained: TrainedNetwork,
    config: DOHConfig,
    settings: TrainConfig,
    protocol: str,
    measured: Calibrations,
    origin: dict[str, Any],
) -> ModelInfo:
    """Metadata of the model file; ``weights_id`` is filled in on writing."""
    state, images = trained.state, trained.images
    return ModelInfo(
        spec=config.spec,
        preprocessing=trained.preprocessing,
        normalisation=trained.backbone.normalisation.to_json(),
        class_names=images.class_names,
        multilabel=images.multilabel,
        backbone=config.backbone,
        weights_id="",
        method=dataclasses.replace(config, objective=trained.objective).to_json()["objective"],
        protocol=protocol,
        training={
            "digest": state.digest,
            "config": config.to_json(),
            "settings": settings.to_json(),
            "mode": "finetune" if isinstance(trained.network, HashingNetwork) else "frozen",
            "images": len(images),
            "validation_images": len(trained.held.labels),
            "validation_map": state.kept_map,
            "kept_epoch": state.kept_epoch,
            "seconds": round(state.seconds, 2),
            "history": state.history,
            "wrong_labels": state.wrong_labels,
            "corrected": len(trained.corrected),
            "failures": [[failure.source, failure.reason] for failure in trained.failures],
            **origin,
        },
        **vars(measured),
    )


def _gauged(trained: TrainedNetwork, run: TrainingRun) -> tuple[FamiliarityGauge, Familiarity] | None:
    """Which pictures are unlike the training images; None where there are too few to tell."""
    network, held, batches = trained.network, trained.held, trained.batches
    rows, others = sampled_examples(len(trained.images), trained.depth, run.settings.seed)
    if not len(rows):
        return None
    held_averages = averages_of(network, held.inputs, run.fabric)
    if isinstance(batches, FeatureBatches):  # the backbone has not learned from any of them
        more = batches.maps.subset(others).pooled()
        return least_familiar(batches.maps.subset(rows).pooled(), np.concatenate([held_averages, more]))
    workers = run.settings.workers
    examples = PictureBatches(trained.images.subset(rows), trained.preprocessing, crop=None, workers=workers)
    return least_familiar(averages_of(network, examples, run.fabric), held_averages)


def _write_model(
    path: Path,
    trained: TrainedNetwork,
    info: ModelInfo,
    gauged: tuple[FamiliarityGauge, Familiarity] | None,
) -> None:
    network = trained.network.cpu().eval()
    head = network.head if isinstance(network, HashingNetwork) else network
    learned = cast(Backbone, trained.backbone)
    frozen = trained.frozen or export_backbone(learned, trained.preprocessing, info.backbone)
    whole: torch.nn.Module
    info, whole = dataclasses.replace(info, weights_id=frozen.weights_id, backbone=frozen.name), head
    if gauged is not None:
        whole, info = GaugedHead(head, gauged[0]), dataclasses.replace(info, familiarity=gauged[1])
    export_model(path, frozen, whole, trained.depth, info)


def _finished(out: Path, digest: str) -> TrainResult | None:
    try:
        training = load_model(out / MODEL_FILE).info.training
    except ModelFileError:
        return None
    if training.get("digest") != digest:
        return None
    # An earlier process may have died between writing the model and removing the checkpoint.
    (out / "checkpoint.pt").unlink(missing_ok=True)
    return TrainResult(
        out / MODEL_FILE,
        training["validation_map"],
        training["kept_epoch"],
        training["seconds"],
        reused=True,
        wrong_labels=training.get("wrong_labels"),
        corrected=training.get("corrected", 0),
        failures=tuple(ImageError(*failure) for failure in training["failures"]),
        history=tuple(training["history"]),
    )
