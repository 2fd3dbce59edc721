"""Training, whether the backbone is frozen or learns too.

``train_network`` prepares the images, builds the network and [fits][ordhash.learn.fit] it; ``train`` puts it into
a file, and does nothing where that is done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

import ordhash
from ordhash.codes import OrdinalCodes
from ordhash.data import ImageSet
from ordhash.errors import DataError, ImageError, InputError, ModelFileError
from ordhash.learn.backbones import Backbone, configured_backbone
from ordhash.learn.batches import Batches, FeatureBatches, PictureBatches
from ordhash.learn.checkpoint import TrainingState
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.correction import CORRECTED_FILE, check_one_label, corrected, write_corrected
from ordhash.learn.export import export_backbone, export_model
from ordhash.learn.loop import Validation, configured_head, fit, scores_of
from ordhash.learn.network import HashingHead, HashingNetwork
from ordhash.learn.objectives import Objective, Task, find_objective
from ordhash.learn.pseudolabels import pseudo_labels
from ordhash.learn.validation import (
    calibrations,
    check_neighbourhoods,
    held_out,
    held_out_mask,
    labelled,
    labels_of,
    rows_of_neighbourhoods,
    usable,
)
from ordhash.model import (
    MODEL_FILE,
    Calibration,
    FeatureMaps,
    FeatureStore,
    ImageInput,
    learned_from,
    load_model,
    symbol_shares,
)
from ordhash.support import progress_bar

__all__ = ["TrainResult", "TrainedNetwork", "start_fabric", "train", "train_network"]

DEFAULT_CACHE = Path(".cache")


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        model: Path of the model file.
        validation_map: Tie-aware mAP of the kept epoch on the validation images, each searched among the others; None
            without validation images.
        best_epoch: The kept epoch, from 1.
        seconds: Time of the training loop.
        reused: Whether a finished model of exactly this training was there already.
        wrong_labels: Estimated share of wrong labels among the training images; None where nobody looked, or
            features say too little.
        corrected: Images that were learned with another label; ``corrected.csv`` beside the model lists them.
        general: Whether nothing was learned, and the model is the one that comes with this package.
        failures: Images that could not be used.
        history: One entry an epoch that was validated: epoch, loss terms, validation mAP.
    """

    model: Path
    validation_map: float | None
    best_epoch: int
    seconds: float
    reused: bool = False
    wrong_labels: float | None = None
    corrected: int = 0
    general: bool = False
    failures: tuple[ImageError, ...] = ()
    history: tuple[dict[str, float], ...] = field(default=(), repr=False)


def train(
    images: ImageSet,
    config: DOHConfig | None = None,
    settings: TrainConfig | None = None,
    *,
    out: str | Path,
    validation: ImageSet | None = None,
    protocol: str = "",
    cache: Path = DEFAULT_CACHE,
    overwrite: bool | Literal["others"] = False,
    progress: bool = False,
) -> TrainResult:
    """Learn codes from images and write ``out/model.onnx``.

    An interrupted training goes on where it was when it is called again with the same arguments, to the same result. A
    finished one is not done again, unless ``overwrite`` asks for it.

    Args:
        images: Training images with labels. Those without a label, and those that cannot be read, are left out. Where
            settings say to do without labels, any images, of which at most 10,000 are drawn.
        config: The network and its objective.
        settings: How to train.
        out: Folder for ``model.onnx`` (and, on the way, ``checkpoint.pt``).
        validation: Images that choose the epoch; None holds some of ``images`` out. Without labels there are none, and
            the last epoch is kept.
        protocol: Name of the data, for the model file.
        cache: Folder of feature maps and exported backbones.
        overwrite: Whether to train anew where ``out`` holds a finished training, of these arguments or others, and to
            give up another unfinished one. An unfinished one of these arguments still goes on. ``others`` gives up
            those of other arguments alone.
        progress: Whether to show bars.

    Returns:
        Where the model is and how good it is on validation images.

    Raises:
        InputError: The images have no labels, fewer than two classes, or are too few to do without labels, or ``out``
            holds another training.
        MissingPartError: The backbone's weights are not at hand.
    """
    config, settings, out = config or DOHConfig(), settings or TrainConfig(), Path(out)
    available = len(images)
    if not settings.from_neighbourhoods:
        images = labelled(images)
    elif settings.use_labels:
        labelled(images)  # or it is refused
        images = images.subset(rows_of_neighbourhoods(available, settings.seed, labels_of(images)))
    else:
        images = images.subset(rows_of_neighbourhoods(available, settings.seed)).without_labels()
    if settings.correct_labels:
        check_one_label(images.multilabel)
    fabric = start_fabric(settings)
    fingerprint = _fingerprint(images, validation, config, settings, _finetunes(settings, fabric))
    finished = None if overwrite is True else _finished(out, fingerprint)
    if finished:
        return finished
    if (out / MODEL_FILE).exists() and not overwrite:
        raise InputError(
            f"{out / 'model.onnx'} is another training's model; choose another folder, or allow overwriting it"
        )
    trained = train_network(
        images, config, settings, fabric, fingerprint,
        validation=validation, cache=cache, out=out, overwrite=bool(overwrite), progress=progress,
    )  # fmt: skip
    if settings.from_neighbourhoods:
        images = images.without_labels()  # the network learned memberships, and no classes
    state, held = trained.state, trained.held
    measured: tuple[Calibration | None, Calibration | None] = (None, None)
    if len(held.labels):
        measured = calibrations(scores_of(trained.network, held.inputs, fabric), held.labels)
    network = trained.network.cpu().eval()
    finetuned = isinstance(network, HashingNetwork)
    path = out / MODEL_FILE
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        write_corrected(out / CORRECTED_FILE, trained.corrected)  # before the model, with which the training is done
        frozen = export_backbone(
            trained.backbone, trained.form, config.backbone, None if finetuned else cache / "backbones"
        )
        export_model(
            path,
            trained.backbone,
            frozen,
            network.head if isinstance(network, HashingNetwork) else network,
            trained.feature_shape,
            spec=config.spec,
            class_names=images.class_names,
            multilabel=images.multilabel,
            method=dataclasses.replace(config, objective=trained.objective).to_json()["objective"],
            protocol=protocol,
            training={
                "fingerprint": fingerprint,
                "config": config.to_json(),
                "settings": settings.to_json(),
                "mode": "finetune" if finetuned else "frozen",
                "images": trained.n_images,
                "validation_images": len(held.labels),
                "validation_map": state.best_map,
                "best_epoch": state.best_epoch,
                "seconds": round(state.seconds, 2),
                "history": state.history,
                "wrong_labels": state.wrong_labels,
                "corrected": len(trained.corrected),
                **({} if trained.shares is None else learned_from(available, trained.shares)),
            },
            failures=trained.failures,
            calibrations=measured,
        )
        (out / "checkpoint.pt").unlink(missing_ok=True)
    fabric.barrier()
    return TrainResult(
        path,
        state.best_map,
        state.best_epoch,
        state.seconds,
        wrong_labels=state.wrong_labels,
        corrected=len(trained.corrected),
        failures=tuple(trained.failures),
        history=tuple(state.history),
    )


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What training leaves in memory.

    Attributes:
        network: The head, or the whole network where the backbone learned too, with the weights of the kept epoch; it
            is where it was trained.
        backbone: The backbone, which is part of such a network.
        form: How its pictures are prepared.
        feature_shape: D, h, w of its feature maps.
        objective: What was trained for, after it was suited to images and features.
        state: Kept epoch, its quality, the history.
        n_images: Images that were learned from.
        held: Images that chose the epoch.
        failures: Images that could not be used.
        corrected: Images that were learned with another label: image, given and learned class.
        shares: Of images without labels, how often they have each symbol in each segment, float (n_segments, arity).
    """

    network: HashingHead | HashingNetwork
    backbone: Backbone
    form: ImageInput
    feature_shape: tuple[int, int, int]
    objective: Objective
    state: TrainingState
    n_images: int
    held: Validation
    failures: list[ImageError]
    corrected: list[tuple[str, str, str]]
    shares: npt.NDArray[np.float64] | None = None


def start_fabric(settings: TrainConfig) -> Fabric:
    """Where to train, as settings say; starts the processes if there are several.

    Args:
        settings: Names accelerator, devices and precision. Under `fabric run` its own options decide, under `torchrun`
            its numbers of processes and machines.

    Raises:
        InputError: They cannot be had here.
    """
    # `fabric run` has started the processes already, and Fabric refuses any options beside its own.
    launched = os.environ.get("LT_CLI_USED", "0") == "1"
    try:
        given: Any = {name: getattr(settings, name) for name in ("accelerator", "devices", "precision")}
        if torch.distributed.is_torchelastic_launched():  # `torchrun` has too, and says how many there are
            given["devices"] = int(os.environ["LOCAL_WORLD_SIZE"])
            given["num_nodes"] = int(os.environ["GROUP_WORLD_SIZE"])
        fabric = Fabric(**({} if launched else given))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"accelerator {settings.accelerator!r} with {settings.devices!r} devices cannot be used here ({error}); "
            "choose 'cpu', or leave both out"
        ) from error
    if not launched:
        fabric.launch()
    return fabric


def _finetunes(settings: TrainConfig, fabric: Fabric) -> bool:
    anew = settings.mode == "auto" and not settings.from_neighbourhoods and fabric.device.type != "cpu"
    return settings.mode == "finetune" or anew


def train_network(
    images: ImageSet,
    config: DOHConfig,
    settings: TrainConfig,
    fabric: Fabric,
    fingerprint: str,
    *,
    validation: ImageSet | None = None,
    cache: Path = DEFAULT_CACHE,
    out: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> TrainedNetwork:
    """Learn codes from images, and keep the network in memory; ``train`` puts it into a file.

    Args:
        images: Training images, all of them with labels, or none.
        config: The network and its objective.
        settings: How to train.
        fabric: Where to train.
        fingerprint: Tells a checkpoint of this training from others.
        validation: Images that choose the epoch; None holds some of ``images`` out.
        cache: Folder of feature maps and exported backbones.
        out: Folder for checkpoints; None keeps none.
        overwrite: Whether to give up a checkpoint of another training.
        progress: Whether to show bars.

    Raises:
        InputError: As ``train``.
        MissingPartError: The backbone's weights are not at hand.
    """
    finetune = _finetunes(settings, fabric)
    backbone, form = configured_backbone(config, seed=settings.seed)
    if settings.from_neighbourhoods:
        validation = images.subset([])
    failures: list[ImageError] = []
    fineness = 0.0
    validation_inputs: FeatureMaps | PictureBatches
    if finetune:
        with progress_bar("Checking images", len(images), show=progress) as advance:
            images, failures = usable(images, advance)
        if validation is None:
            images, validation = held_out(images, settings.validation_fraction, settings.seed)
        elif len(validation):
            with progress_bar("Checking validation images", len(validation), show=progress) as advance:
                validation, more = usable(validation, advance)
            failures += more
        crop = settings.crop if settings.augment else None
        batches: Batches = PictureBatches(
            images, form, crop=crop, workers=settings.workers, strong=settings.strong_augment
        )
        validation_inputs = PictureBatches(validation, form, crop=None, workers=settings.workers)
        with torch.inference_mode():
            shape = tuple(backbone(torch.zeros(1, form.size, form.size, 3, dtype=torch.uint8)).shape[1:])
    else:
        frozen = export_backbone(backbone, form, config.backbone, cache / "backbones")
        store = FeatureStore(cache / "features")
        maps = store.maps(images, frozen, progress=progress).at_least_one()
        images, failures = images.subset(maps.rows), maps.failures
        if validation is None:
            chosen = held_out_mask(images, settings.validation_fraction, settings.seed)
            validation, validation_inputs = images.subset(chosen), maps.subset(chosen)
            images, maps = images.subset(~chosen), maps.subset(~chosen)
        else:
            validation_inputs = store.maps(validation, frozen, progress=progress)
            if len(validation):
                validation_inputs.at_least_one()
            validation = validation.subset(validation_inputs.rows)
            failures = [*failures, *validation_inputs.failures]
        mirrored = None
        if settings.augment and not config.mirror:  # with it both ways give the same
            other_way = dataclasses.replace(frozen, form=dataclasses.replace(form, mirror=True))
            mirrored = store.maps(images, other_way, progress=progress)
            if mirrored.failures:
                raise DataError(f"{mirrored.failures[0]}: it was readable a moment ago; run the training again")
        if settings.from_neighbourhoods:
            check_neighbourhoods(len(images))  # of those that are usable there have to be enough too
            given = labels_of(images) if settings.use_labels else None
            found = pseudo_labels(maps.pooled()[:, : backbone.last_channels], settings.seed, given=given)
            labels: npt.NDArray[Any] = found.memberships
            fineness = found.fineness
            images = images.without_labels()
        else:
            labels = labels_of(images)
        batches = FeatureBatches(maps, mirrored, labels)
        shape = maps.shape

    device_seeds = [fabric.device.index or 0] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=device_seeds):  # the caller's random state stays as it was
        torch.manual_seed(settings.seed)
        n_classes, multilabel = batches.labels.shape[1], images.multilabel
        head = configured_head(config, shape[0], n_classes, multilabel=multilabel)
        task = Task(
            config.spec, n_classes, multilabel, settings.seed, len(images),
            soft=settings.from_neighbourhoods, fineness=fineness,
        )  # fmt: skip
        objective = find_objective(config.objective)
        network = HashingNetwork(backbone, head) if finetune else head
        state = TrainingState(fingerprint)
        none = np.zeros((0, n_classes), dtype=bool)
        held = Validation(validation_inputs, labels_of(validation) if len(validation) else none)
        lesson = fit(
            network, objective, task, batches, held, settings, fabric, state,
            out=out, overwrite=overwrite, progress=progress,
        )  # fmt: skip

    return TrainedNetwork(
        network,
        backbone,
        form,
        (shape[0], shape[1], shape[2]),
        lesson.objective,
        state,
        len(images),
        held,
        failures,
        [] if lesson.correction is None else corrected(images, lesson.correction),
        symbol_shares(OrdinalCodes.from_scores(scores_of(network, maps, fabric)))
        if settings.from_neighbourhoods
        else None,
    )


def _fingerprint(
    images: ImageSet, validation: ImageSet | None, config: DOHConfig, settings: TrainConfig, finetune: bool
) -> str:
    """Digest of everything that decides the result."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(
        json.dumps([config.to_json(), settings.to_json(), finetune, ordhash.__version__], sort_keys=True).encode()
    )
    if isinstance(config.weights, Path) and config.weights.is_file():
        digest.update(config.weights.read_bytes())
    for part in (images, validation):
        if part is not None:
            digest.update(
                "\0".join(str(key) for key in part.keys).encode("utf-8", "surrogateescape")
                + b"".join(part.content_ids())
            )
            if part.labels is not None:
                digest.update("\0".join(part.class_names).encode("utf-8", "surrogateescape"))
                digest.update(np.packbits(part.labels, axis=1).tobytes())
    return digest.hexdigest()


def _finished(out: Path, fingerprint: str) -> TrainResult | None:
    try:
        training = load_model(out / MODEL_FILE).info.training
    except ModelFileError:
        return None
    if training.get("fingerprint") != fingerprint:
        return None
    (out / "checkpoint.pt").unlink(
        missing_ok=True
    )  # the process may have died between writing the one and removing this
    return TrainResult(
        out / MODEL_FILE,
        training["validation_map"],
        training["best_epoch"],
        training["seconds"],
        reused=True,
        wrong_labels=training.get("wrong_labels"),
        corrected=training.get("corrected", 0),
        failures=tuple(ImageError(*failure) for failure in training["failures"]),
        history=tuple(training["history"]),
    )
