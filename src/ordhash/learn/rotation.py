"""Rotations that bring values near the corners of simplices, of which a code of any arity takes the nearest.

That of ITQ (Gong and Lazebnik, CVPR 2011), with the corners of a regular simplex in place of -1 and 1, which are those
of arity 2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.linalg import orthogonal_procrustes

from ordhash.codes import CodeSpec

__all__ = ["rotations", "simplex"]

_TURNS = 50

Matrix = npt.NDArray[np.float64]


def simplex(arity: int) -> Matrix:
    """Corners of a regular simplex around 0, of length 1: float64 (arity, arity - 1).

    >>> corners = simplex(3)
    >>> (corners @ corners.T).round(2).tolist()[0]
    [1.0, -0.5, -0.5]
    """
    centred = np.eye(arity) - 1 / arity
    _, _, axes = np.linalg.svd(centred)
    corners = centred @ axes[: arity - 1].T
    return np.asarray(corners / np.linalg.norm(corners, axis=1, keepdims=True))


def rotations(values: Matrix, spec: CodeSpec, seed: int) -> Iterator[Matrix]:
    """Rotations that bring values near corners of simplices, each nearer than the one before (equation 2).

    Args:
        values: V, float64 (n, n_segments (arity - 1)).
        spec: Shape of the code.
        seed: Seed of the first rotation.

    Yields:
        Orthogonal R, float64, for the values V R; the first is random, the last a local minimum or the 51st.
    """
    corners, width = simplex(spec.arity), values.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]
    yield rotation
    symbols = None
    for _ in range(_TURNS):
        scores = (values @ rotation).reshape(-1, spec.n_segments, spec.arity - 1) @ corners.T
        before, symbols = symbols, scores.argmax(axis=2)
        if before is not None and (symbols == before).all():
            return
        rotation, _ = orthogonal_procrustes(values, corners[symbols].reshape(len(values), width))
        yield rotation
