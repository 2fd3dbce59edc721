"""Training objectives, one file each. ``OBJECTIVES`` names them; the default comes first, rivals by their year."""

from __future__ import annotations

from ordhash.errors import InputError, did_you_mean
from ordhash.learn.objectives.base import (
    MANY_IMAGES,
    Objective,
    Task,
    check_above_zero,
    class_loss,
    label_similarity,
    relaxed_code,
)
from ordhash.learn.objectives.classifier import Classifier
from ordhash.learn.objectives.codewords import DOHCodewords
from ordhash.learn.objectives.csq import CSQ
from ordhash.learn.objectives.dch import DCH
from ordhash.learn.objectives.default import Default
from ordhash.learn.objectives.dhn import DHN
from ordhash.learn.objectives.doh import DOH
from ordhash.learn.objectives.dpsh import DPSH
from ordhash.learn.objectives.dsdh import DSDH
from ordhash.learn.objectives.dsh import DSH
from ordhash.learn.objectives.dtsh import DTSH
from ordhash.learn.objectives.greedyhash import GreedyHash
from ordhash.learn.objectives.hashnet import HashNet
from ordhash.learn.objectives.hyp2 import HyP2
from ordhash.learn.objectives.mixup import DOHMixup
from ordhash.learn.objectives.orthohash import OrthoHash
from ordhash.learn.objectives.symbols import DOHSymbols

__all__ = [
    "CSQ",
    "DCH",
    "DHN",
    "DOH",
    "DPSH",
    "DSDH",
    "DSH",
    "DTSH",
    "MANY_IMAGES",
    "OBJECTIVES",
    "Classifier",
    "DOHCodewords",
    "DOHMixup",
    "DOHSymbols",
    "Default",
    "GreedyHash",
    "HashNet",
    "HyP2",
    "Objective",
    "OrthoHash",
    "Task",
    "check_above_zero",
    "class_loss",
    "find_objective",
    "label_similarity",
    "relaxed_code",
]

OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind
    for kind in (
        *(Default, DOHMixup, DOHCodewords, DOHSymbols, DOH),
        *(DHN, DSH, DPSH, DTSH, HashNet, DSDH, DCH, GreedyHash, CSQ, OrthoHash, HyP2),
        Classifier,
    )
}


def find_objective(objective: str | Objective) -> Objective:
    """Look up an objective by name, with default settings; an objective is returned unchanged.

    Raises:
        InputError: No objective has that name.

    >>> find_objective("doh")
    DOH(pair_weight=1.0, class_weight=1.0, similar_weight=1.0, fitted_share=0.0)
    """
    if isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        hint = did_you_mean(objective, OBJECTIVES)
        raise InputError(f"objective is {objective!r}; allowed are {', '.join(OBJECTIVES)}{hint}")
    return OBJECTIVES[objective]()
