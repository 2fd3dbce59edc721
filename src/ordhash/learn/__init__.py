"""The learning half: networks, objectives, training, shallow methods. Needs the extra ``ordhash[learn]``."""

from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.labelfree import train_on_folder
from ordhash.learn.trainer import TrainResult, train

__all__ = ["DOHConfig", "TrainConfig", "TrainResult", "train", "train_on_folder"]
