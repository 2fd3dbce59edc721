"""Rows of arrays: of length 1, or some of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["spread_rows", "unit_rows"]


def spread_rows(n: int, most: int) -> npt.NDArray[np.intp]:
    """Numbers of at most ``most`` of n rows, spread evenly, ascending.

    Args:
        n: How many rows there are.
        most: How many to take.

    >>> spread_rows(11, 3).tolist(), spread_rows(2, 3).tolist()
    ([0, 5, 10], [0, 1])
    """
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


def unit_rows(rows: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    """Rows divided by their lengths; rows of zeros stay.

    Args:
        rows: float (n, d).

    Returns:
        Of the same dtype, float16 as float32: its squares overflow from 256 on.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    wide = rows.astype(np.promote_types(rows.dtype, np.float32), copy=False)
    return np.ascontiguousarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))
