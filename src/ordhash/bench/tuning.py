"""Tuning of settings: the same grid for every objective, compared on validation images.

Every objective is tried with its defaults and with the other settings that its authors use, each at a third of the
learning rate, at it, and at three times it. That is done at the shortest and at the longest length of a recipe; lengths
between take the settings of the nearer one, by the ratio of lengths.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ordhash.bench.recipe import Method
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import find_objective

__all__ = ["RATES", "trial_settings", "tuned_length", "tuned_lengths"]

RATES = (1.0, 1 / 3, 3.0)
"""Factors of the learning rate."""


def trial_settings(method: Method) -> list[tuple[DOHConfig, TrainConfig]]:
    """Network and training settings of every trial; those of the first are the method's own.

    Settings that a recipe gives an objective leave no room for those of its authors.

    Args:
        method: The method to tune.
    """
    objective = find_objective(method.config.objective)
    objectives = [objective]
    if objective == type(objective)():
        objectives += [dataclasses.replace(objective, **others) for others in objective.authors_also_use]  # type: ignore[type-var]
    return [
        (
            dataclasses.replace(method.config, objective=one),
            dataclasses.replace(method.training, learning_rate=float(f"{method.training.learning_rate * rate:.3g}")),
        )
        for one in objectives
        for rate in RATES
    ]


def tuned_lengths(code_bits: Sequence[int]) -> tuple[int, ...]:
    """The lengths at which settings are tried: the shortest and the longest.

    Args:
        code_bits: Lengths of the runs, at least one.

    >>> tuned_lengths([12, 24, 48]), tuned_lengths([32])
    ((12, 48), (32,))
    """
    return tuple(dict.fromkeys((min(code_bits), max(code_bits))))


def tuned_length(code_bits: int, tuned: Sequence[int]) -> int:
    """The length whose settings a length takes: the nearer one by its ratio, the longer of two that are as near.

    Args:
        code_bits: Length of a run.
        tuned: Lengths at which settings were tried.

    >>> [tuned_length(bits, (12, 48)) for bits in (12, 16, 24, 32, 48)]
    [12, 12, 48, 48, 48]
    """
    return min(tuned, key=lambda length: (abs(math.log(length / code_bits)), -length))
