"""Tuning of settings: equally many trials for every objective, drawn in the same way, compared on validation images.

The first trial uses the defaults. Each further trial multiplies the learning rate by 1/3, 1 or 3, and every float
setting of the objective above 0 by 2 to the power of a number between -2 and 2. The random numbers depend only on the
trial, so all methods get the same draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ordhash.bench.recipe import Method
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.objectives import Objective, find_objective

__all__ = ["trial_settings"]

_DRAWS = 20


def trial_settings(method: Method, trials: int) -> Iterator[tuple[DOHConfig, TrainConfig]]:
    """Network and training settings of every trial.

    Args:
        method: The method to tune.
        trials: Number of trials, at least 1.
    """
    objective = find_objective(method.config.objective)
    for trial in range(trials):
        if trial == 0:
            yield method.config, method.training
            continue
        rng = np.random.default_rng(trial)
        rate = method.training.learning_rate * 3.0 ** int(rng.integers(-1, 2))
        config = dataclasses.replace(method.config, objective=_drawn(objective, rng))
        yield config, dataclasses.replace(method.training, learning_rate=_short(rate))


def _drawn(objective: Objective, rng: np.random.Generator) -> Objective:
    for _ in range(_DRAWS):
        settings = {}
        for field in dataclasses.fields(objective):  # type: ignore[arg-type]
            value = getattr(objective, field.name)
            if isinstance(value, float) and value > 0:
                settings[field.name] = _short(value * 2.0 ** rng.uniform(-2, 2))
        try:
            changed: Objective = dataclasses.replace(objective, **settings)  # type: ignore[type-var]
            return changed
        except InputError:
            continue  # a share above 1, for instance
    return objective


def _short(value: float) -> float:
    return float(f"{value:.3g}")
