"""Training objectives, one file each. ``OBJECTIVES`` names them; the default comes first."""

from __future__ import annotations

import difflib

from ordhash.errors import InputError
from ordhash.learn.objectives.base import Objective, Task
from ordhash.learn.objectives.doh import DOH
from ordhash.learn.objectives.mixup import DOHMixup

__all__ = ["DOH", "OBJECTIVES", "DOHMixup", "Objective", "Task", "find_objective"]

OBJECTIVES: dict[str, type[Objective]] = {kind.name: kind for kind in (DOHMixup, DOH)}


def find_objective(objective: str | Objective) -> Objective:
    """Objective of a name with its default settings; an objective is returned as it is.

    Raises:
        InputError: No objective has that name.

    >>> find_objective("doh")
    DOH(pair_weight=1.0, class_weight=1.0, similar_weight=1.0)
    """
    if isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        close = difflib.get_close_matches(objective, OBJECTIVES, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"objective is {objective!r}; allowed are {', '.join(OBJECTIVES)}{hint}")
    return OBJECTIVES[objective]()
