"""Tuning of settings: the same grid for every objective, compared on validation images.

Every objective is tried with its defaults and with the other settings that its authors use, each at a third of the
learning rate, at it, and at three times it. Shallow methods have no learning rate; those with settings that depend on
the data are tried with a few of them. That is done at the shortest and at the longest length of a recipe; other lengths
take the settings of the nearer one, by the ratio of lengths.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ordhash.bench.recipe import Method
from ordhash.learn.objectives import find_objective

__all__ = ["RATES", "trial_methods", "tuned_length", "tuned_lengths"]

RATES = (1.0, 1 / 3, 3.0)
"""Factors of the learning rate."""


def trial_methods(method: Method) -> list[Method]:
    """The method with the settings of every trial; the first is the method itself.

    Settings that a recipe gives an objective leave no room for those of its authors. One that learns nothing, or has no
    settings to choose, is alone.

    Args:
        method: The method to tune.
    """
    if method.shallow is not None:
        others = [dataclasses.replace(method.shallow, **settings) for settings in method.shallow.also_tried]  # type: ignore[type-var]
        return [method, *(dataclasses.replace(method, shallow=other) for other in others)]
    if not method.learns:
        return [method]
    objective = find_objective(method.config.objective)
    objectives = [objective]
    if objective == type(objective)():
        objectives += [dataclasses.replace(objective, **others) for others in objective.authors_also_use]  # type: ignore[type-var]
    return [
        dataclasses.replace(
            method,
            config=dataclasses.replace(method.config, objective=one),
            training=dataclasses.replace(
                method.training, learning_rate=float(f"{method.training.learning_rate * rate:.3g}")
            ),
        )
        for one in objectives
        for rate in RATES
    ]


def tuned_lengths(of_recipe: Sequence[int], of_method: Sequence[int]) -> tuple[int, ...]:
    """The lengths at which a method's settings are tried: its shortest and longest among those of the recipe.

    Lengths that only this method has count if it has no other.

    Args:
        of_recipe: Lengths of the recipe, at least one.
        of_method: Lengths of the method's runs, at least one.

    >>> tuned_lengths([12, 24, 48], [12, 24, 48, 256]), tuned_lengths([12, 48], [256])
    ((12, 48), (256,))
    """
    lengths = [bits for bits in of_method if bits in of_recipe] or of_method
    return tuple(dict.fromkeys((min(lengths), max(lengths))))


def tuned_length(code_bits: int, tuned: Sequence[int]) -> int:
    """The length whose settings a length takes: the nearer one by its ratio, the longer of two that are as near.

    Args:
        code_bits: Length of a run.
        tuned: Lengths at which settings were tried.

    >>> [tuned_length(bits, (12, 48)) for bits in (12, 16, 24, 32, 48)]
    [12, 12, 48, 48, 48]
    """
    return min(tuned, key=lambda length: (abs(math.log(length / code_bits)), -length))
