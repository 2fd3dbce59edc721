"""How many cores this process may use."""

from __future__ import annotations

import os

__all__ = ["available_cores"]


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has if it is restricted (taskset, containers).

    >>> available_cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0))
