"""Rows of length 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["unit_rows"]


def unit_rows(rows: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    """Rows divided by their lengths, of the same dtype; rows of zeros stay.

    Args:
        rows: float (n, d).

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    return np.ascontiguousarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
