"""Metadata of a model file, and their checks: a file may be damaged, or crafted to do harm."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from ordhash.codes import CodeSpec
from ordhash.data import Fit, check_fit
from ordhash.model.calibration import Calibration
from ordhash.model.familiarity import Familiarity
from ordhash.model.inference import MAX_SIDE, Preprocessing

__all__ = ["FORMAT_VERSION", "ModelInfo"]

FORMAT_VERSION = 1

_T = TypeVar("_T")


@dataclass(frozen=True)
class ModelInfo:
    """Metadata of a model file.

    Attributes:
        spec: Shape of the codes.
        preprocessing: How pictures are prepared.
        normalisation: ``mean`` and ``std`` in pixel values; the graph applies them itself.
        class_names: Classes of the training set.
        multilabel: Whether training images carried several labels.
        backbone: Name of the backbone.
        weights_id: Digest of the backbone's weights, under which its feature maps are cached.
        method: Objective or shallow method that made the codes, and its settings.
        protocol: Name of the protocol or data that it learned from.
        training: Summary of the training: settings, epochs, seed, validation mAP, versions.
        calibration: How likely images at an ordinal distance are of the same kind at least; None where no labelled
            images were left to measure it on.
        asymmetric_calibration: The same by asymmetric distance.
        calibration_with_parts: The same by ordinal distance to images with their parts; None also where a trained
            backbone, or an older version, has not measured it.
        asymmetric_calibration_with_parts: The same by asymmetric distance.
        familiarity: Which pictures are unlike anything learned; None where nothing is known of that, and then the graph
            has no output ``familiarity``.
    """

    spec: CodeSpec
    preprocessing: Preprocessing
    normalisation: dict[str, list[float]]
    class_names: tuple[str, ...]
    multilabel: bool
    backbone: str
    weights_id: str
    method: dict[str, Any]
    protocol: str
    training: dict[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    asymmetric_calibration: Calibration | None = None
    calibration_with_parts: Calibration | None = None
    asymmetric_calibration_with_parts: Calibration | None = None
    familiarity: Familiarity | None = None

    def calibration_of(self, *, asymmetric: bool, parts: bool) -> Calibration | None:
        """What distances of a search mean; None where that was not measured.

        Args:
            asymmetric: Whether it is by asymmetric distance.
            parts: Whether it looks at parts of images too.
        """
        if parts:
            return self.asymmetric_calibration_with_parts if asymmetric else self.calibration_with_parts
        return self.asymmetric_calibration if asymmetric else self.calibration

    @property
    def sees_all(self) -> bool:
        """Whether the model sees all of a picture, so that a window of its map is known to be a part of the picture."""
        return self.preprocessing.fit != "crop"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelInfo:
        """Inverse of ``to_json``.

        Raises:
            KeyError: A value is missing.
            TypeError: A value is of another type.
            ValueError: A value is not allowed.
        """
        return cls(
            spec=CodeSpec(**_typed(values, "spec", dict)),
            preprocessing=_preprocessing(_typed(values, "preprocessing", dict)),
            normalisation=_normalisation(_typed(values, "normalisation", dict)),
            class_names=tuple(_texts(_typed(values, "class_names", list))),
            multilabel=_typed(values, "multilabel", bool),
            backbone=_typed(values, "backbone", str),
            weights_id=_typed(values, "weights_id", str),
            method=_typed(values, "method", dict),
            protocol=_typed(values, "protocol", str),
            training=_typed(values, "training", dict),
            calibration=_calibration(values.get("calibration")),
            asymmetric_calibration=_calibration(values.get("asymmetric_calibration")),
            calibration_with_parts=_calibration(values.get("calibration_with_parts")),
            asymmetric_calibration_with_parts=_calibration(values.get("asymmetric_calibration_with_parts")),
            familiarity=_familiarity(values["familiarity"]),
        )


def _typed(values: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = values[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} is of type {type(value).__name__} and must be {kind.__name__}")
    return value


def _texts(values: list[Any]) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise TypeError("a name is not a text")
    return values


def _numbers(values: Mapping[str, Any], name: str) -> tuple[float, ...]:
    """Finite numbers of a list."""
    found = _typed(values, name, list)
    for value in found:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise TypeError(f"{name} holds {value!r:.40}, not a number")
    return tuple(found)


def _preprocessing(values: dict[str, Any]) -> Preprocessing:
    size, fit, step = _typed(values, "size", int), _typed(values, "fit", str), _typed(values, "step", int)
    if size > MAX_SIDE or step < 1:
        raise ValueError(f"preprocessing is to {size} pixels in steps of {step}")
    check_fit(fit, size, step)
    return Preprocessing(size, cast(Fit, fit), _typed(values, "mirror", bool), step)


def _normalisation(values: dict[str, Any]) -> dict[str, list[float]]:
    return {name: list(_numbers(values, name)) for name in ("mean", "std")}


def _familiarity(values: Any) -> Familiarity | None:
    if values is None:
        return None
    (least,) = _numbers({"least": [values["least"]]}, "least")
    return Familiarity(least, _typed(values, "images", int))


def _calibration(values: Any) -> Calibration | None:
    if values is None:
        return None
    return Calibration(_numbers(values, "distances"), _numbers(values, "likelihoods"), _typed(values, "pairs", int))
