"""Groups of equal values."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["grouped"]


def grouped(values: Sequence[Hashable]) -> list[npt.NDArray[np.intp]]:
    """Positions of equal values, such as shapes: each group ascending, in the order in which the values first appear.

    >>> [group.tolist() for group in grouped([(2, 3), (3, 2), (2, 3)])]
    [[0, 2], [1]]
    """
    found: dict[Hashable, list[int]] = {}
    for position, value in enumerate(values):
        found.setdefault(value, []).append(position)
    return [np.array(group, dtype=np.intp) for group in found.values()]
