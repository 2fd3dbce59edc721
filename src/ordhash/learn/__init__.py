"""The learning half: networks, objectives, training, shallow methods. Needs the extra ``ordhash[learn]``."""

from ordhash.learn.backbones import Backbone, configured_backbone
from ordhash.learn.batches import FeatureBatches, PictureBatches
from ordhash.learn.checkpoint import TrainingState
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.correction import CORRECTED_FILE, correct_labels
from ordhash.learn.devices import start_fabric
from ordhash.learn.export import export_backbone, export_model, exported_backbone
from ordhash.learn.loop import Lesson, TrainingRun, Validation, configured_head, fit, looks_at_labels, scores_of
from ordhash.learn.network import HashingHead, HeadOutput
from ordhash.learn.preparation import Featured, TrainingData, feature_data
from ordhash.learn.pseudolabels import pseudo_labels
from ordhash.learn.trainer import DEFAULT_CACHE, TrainedNetwork, TrainResult, fit_network, train, train_network
from ordhash.learn.validation import (
    LEAST_UNLABELLED,
    check_neighbourhoods,
    held_out_mask,
    labelled,
    labels_of,
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
    "looks_at_labels",
    "pseudo_labels",
    "rows_of_neighbourhoods",
    "scores_of",
    "start_fabric",
    "train",
    "train_network",
]
