"""The learning half: networks, objectives, training, shallow methods. Needs the extra ``ordhash[learn]``.

Names are loaded when they are first used: the settings are known without PyTorch, so the command line's help is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ordhash.learn.config import DEFAULT_CACHE, DOHConfig, TrainConfig

if TYPE_CHECKING:
    from ordhash.learn.backbones import Backbone, configured_backbone
    from ordhash.learn.batches import FeatureBatches, PictureBatches, SceneMaps
    from ordhash.learn.checkpoint import TrainingState
    from ordhash.learn.correction import CORRECTED_FILE, correct_labels
    from ordhash.learn.devices import start_fabric
    from ordhash.learn.export import export_backbone, export_model, exported_backbone
    from ordhash.learn.lesson import Lesson, looks_at_labels
    from ordhash.learn.loop import TrainingRun, Validation, configured_head, fit
    from ordhash.learn.network import HashingHead, HeadOutput
    from ordhash.learn.outputs import parts_of, scores_of
    from ordhash.learn.preparation import Featured, TrainingData, feature_data, training_scenes
    from ordhash.learn.pseudolabels import pseudo_labels
    from ordhash.learn.trainer import TrainedNetwork, TrainResult, fit_network, train, train_network
    from ordhash.learn.validation import (
        LEAST_UNLABELLED,
        check_neighbourhoods,
        held_out_mask,
        labelled,
        labels_of,
        leave_one_out_map,
        rows_of_neighbourhoods,
    )

__all__ = [
    "CORRECTED_FILE",
    "DEFAULT_CACHE",
    "LEAST_UNLABELLED",
    "Backbone",
    "DOHConfig",
    "FeatureBatches",
    "Featured",
    "HashingHead",
    "HeadOutput",
    "Lesson",
    "PictureBatches",
    "SceneMaps",
    "TrainConfig",
    "TrainResult",
    "TrainedNetwork",
    "TrainingData",
    "TrainingRun",
    "TrainingState",
    "Validation",
    "check_neighbourhoods",
    "configured_backbone",
    "configured_head",
    "correct_labels",
    "export_backbone",
    "export_model",
    "exported_backbone",
    "feature_data",
    "fit",
    "fit_network",
    "held_out_mask",
    "labelled",
    "labels_of",
    "leave_one_out_map",
    "looks_at_labels",
    "parts_of",
    "pseudo_labels",
    "rows_of_neighbourhoods",
    "scores_of",
    "start_fabric",
    "train",
    "train_network",
    "training_scenes",
]

_HOMES = {
    "Backbone": "backbones",
    "CORRECTED_FILE": "correction",
    "FeatureBatches": "batches",
    "Featured": "preparation",
    "HashingHead": "network",
    "HeadOutput": "network",
    "LEAST_UNLABELLED": "validation",
    "Lesson": "lesson",
    "PictureBatches": "batches",
    "SceneMaps": "batches",
    "TrainResult": "trainer",
    "TrainedNetwork": "trainer",
    "TrainingData": "preparation",
    "TrainingRun": "loop",
    "TrainingState": "checkpoint",
    "Validation": "loop",
    "check_neighbourhoods": "validation",
    "configured_backbone": "backbones",
    "configured_head": "loop",
    "correct_labels": "correction",
    "export_backbone": "export",
    "export_model": "export",
    "exported_backbone": "export",
    "feature_data": "preparation",
    "fit": "loop",
    "fit_network": "trainer",
    "held_out_mask": "validation",
    "labelled": "validation",
    "labels_of": "validation",
    "leave_one_out_map": "validation",
    "looks_at_labels": "lesson",
    "pseudo_labels": "pseudolabels",
    "parts_of": "outputs",
    "rows_of_neighbourhoods": "validation",
    "scores_of": "outputs",
    "start_fabric": "devices",
    "train": "trainer",
    "train_network": "trainer",
    "training_scenes": "preparation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ordhash.learn' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ordhash.learn.{_HOMES[name]}"), name)
