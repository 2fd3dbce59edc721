"""Fit a shallow method to images and write the model file. ``SHALLOW_METHODS`` lists the methods, by year."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.data import ImageSet
from ordhash.errors import InputError, did_you_mean
from ordhash.learn.calibrating import Calibrations
from ordhash.learn.config import DEFAULT_CACHE, DOHConfig
from ordhash.learn.export import export_model, exported_backbone
from ordhash.learn.familiarity import GaugedHead, least_familiar, sampled_examples
from ordhash.learn.shallow.base import Features, ShallowMethod
from ordhash.learn.shallow.itq import ITQ
from ordhash.learn.shallow.itq_cca import ITQCCA
from ordhash.learn.shallow.lsh import LSH
from ordhash.learn.shallow.sdh import SDH
from ordhash.learn.shallow.spectral import SpectralHashing
from ordhash.learn.trainer import TrainResult
from ordhash.learn.validation import calibrations, held_out_mask, labelled, labels_of
from ordhash.model import MODEL_FILE, FeatureStore, ModelInfo, learned_from, symbol_shares

__all__ = ["SHALLOW_METHODS", "find_shallow_method", "fit_shallow"]

_CALIBRATING = 0.25  # share of each class

SHALLOW_METHODS: dict[str, type[ShallowMethod]] = {kind.name: kind for kind in (LSH, SpectralHashing, ITQ, ITQCCA, SDH)}


def find_shallow_method(method: str | ShallowMethod) -> ShallowMethod:
    """Look up a shallow method by name, with default settings; a method is returned unchanged.

    Raises:
        InputError: No shallow method has that name.

    >>> find_shallow_method("itq")
    ITQ()
    """
    if isinstance(method, ShallowMethod):
        return method
    if method not in SHALLOW_METHODS:
        hint = did_you_mean(method, SHALLOW_METHODS)
        raise InputError(f"there is no shallow method {method!r}; allowed are {', '.join(SHALLOW_METHODS)}{hint}")
    return SHALLOW_METHODS[method]()


def fit_shallow(  # as `train`: options by name, each with a default
    method: str | ShallowMethod,
    images: ImageSet,
    config: DOHConfig,
    *,
    out: str | Path,
    seed: int = 0,
    protocol: str = "",
    cache: Path = DEFAULT_CACHE,
    overwrite: bool = False,
    progress: bool = False,
) -> TrainResult:
    """Fit a shallow method to the features of images and write ``out/model.onnx``.

    A method that learns from labels uses the labelled images; the others use all images, without labels. Labels, if
    there are any, also calibrate the distances: those of all images, or, for a method that learns from labels, those of
    a quarter of the images, measured with another fit to the three others. The codes are of a fit to all, which can
    only be better.

    Args:
        method: Name of a shallow method (``SHALLOW_METHODS``), or a method with its settings.
        images: Images to learn from.
        config: Uses backbone, image size and code_bits, and for methods that learn from labels also stages; codes have
            arity 2.
        out: Folder for the model.
        seed: Seed of random draws.
        protocol: Name of the data, for the model file.
        cache: Folder of feature maps and exported backbones.
        overwrite: Whether to replace a model in ``out``.
        progress: Whether to show bars.

    Returns:
        The model's path, and the images that could not be used.

    Raises:
        InputError: There is no such method, there are too few images, or labels are needed and missing.
    """
    method = find_shallow_method(method)
    if (Path(out) / MODEL_FILE).exists() and not overwrite:
        raise InputError(f"{Path(out) / 'model.onnx'} exists; choose another folder, or allow overwriting it")
    if method.supervision == "labels":
        labelled(images)  # fail now, not after minutes of reading images
    images = images.without_empty_classes()
    started = time.perf_counter()
    backbone, frozen = exported_backbone(config, cache)
    maps = FeatureStore(cache / "features").maps(images, frozen, progress=progress).at_least_one()
    pooled = method.seen(maps.pooled(), backbone.last_channels)
    learned, labels = pooled, None
    if method.supervision == "labels":
        labels = labels_of(images)[maps.rows]
        learned, labels = pooled[labels.any(axis=1)], labels[labels.any(axis=1)]
    head = method.fit(learned, labels, config.code_bits, seed)
    training: dict[str, Any] = {"seed": seed, "images": len(learned)}
    if images.labels is None:
        shares = symbol_shares(OrdinalCodes.from_scores(_scores(head, pooled)))
        training |= learned_from(len(images), shares)
    measured = Calibrations()
    if images.labels is not None:
        usable = images.subset(maps.rows)
        some = labels_of(usable).any(axis=1)
        measured = _calibrations(method, usable.subset(some), pooled[some], head, config.code_bits, seed)
    gauged = None
    if measured.calibration is not None:
        averages = maps.pooled()
        rows, others = sampled_examples(len(averages), maps.depth, seed)
        gauged = least_familiar(averages[rows], averages[others])
    info = ModelInfo(
        spec=CodeSpec(config.code_bits, 2),
        preprocessing=frozen.preprocessing,
        normalisation=backbone.normalisation.to_json(),
        class_names=images.class_names,
        multilabel=images.multilabel,
        backbone=frozen.name,
        weights_id=frozen.weights_id,
        method={"name": method.name, **dataclasses.asdict(method)},  # type: ignore[call-overload]
        protocol=protocol,
        training={**training, "failures": [[failure.source, failure.reason] for failure in maps.failures]},
        **vars(measured),
    )
    if gauged is not None:
        head, info = GaugedHead(head, gauged[0]), dataclasses.replace(info, familiarity=gauged[1])
    path = export_model(Path(out) / MODEL_FILE, frozen, head, maps.depth, info)
    return TrainResult(path, None, 0, time.perf_counter() - started, failures=tuple(maps.failures))


def _calibrations(
    method: ShallowMethod, images: ImageSet, pooled: Features, head: nn.Module, code_bits: int, seed: int
) -> Calibrations:
    """Calibrations of a fitted head, on images with labels that it did not learn from."""
    labels = labels_of(images)
    if method.supervision == "labels":
        held = held_out_mask(images, _CALIBRATING, seed)
        if not held.any():
            return Calibrations()
        head = method.fit(pooled[~held], labels[~held], code_bits, seed)
        pooled, labels = pooled[held], labels[held]
    return Calibrations(*calibrations(_scores(head, pooled), labels))


def _scores(head: nn.Module, pooled: Features) -> npt.NDArray[np.float32]:
    return np.asarray(head(torch.from_numpy(pooled)[:, :, None, None]).scores.numpy())
