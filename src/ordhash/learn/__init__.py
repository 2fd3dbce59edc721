"""The learning half: networks, objectives, training, shallow methods. Needs the extra ``ordhash[learn]``."""

from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.ownmodel import learn_labels, sync_without_model
from ordhash.learn.trainer import TrainResult, train

__all__ = ["DOHConfig", "TrainConfig", "TrainResult", "learn_labels", "sync_without_model", "train"]
