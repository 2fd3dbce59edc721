"""ITQ: principal components, rotated so that values lie near the corners of a cube.

Iterative Quantization: A Procrustean Approach to Learning Binary Codes (ITQ), Gong and Lazebnik, CVPR 2011. The paper
specifies the projection V of centred features to their first code_bits principal components, and a rotation R that
minimises |B - V R|^2, found from a random start by alternating B = sgn(V R) and R, which solves a Procrustes problem.

Our reading: at most 50 turns, the paper's number, and fewer where no bit changes any more. The components are FAISS's,
and SciPy solves the Procrustes problem. FAISS has this rotation too, but 1.15 does not minimise the error
(docs/faiss-itq.md), so its ITQ would be a weaker rival than the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import faiss
import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.rotation import rotations
from ordhash.learn.shallow.base import Features, Labels, LinearHead, ShallowMethod

__all__ = ["ITQ", "itq_rotation"]


@dataclass(frozen=True)
class ITQ(ShallowMethod):
    """Iterative quantisation; has no settings.

    >>> features = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    >>> ITQ().fit(features, None, code_bits=4, seed=0).weight.shape
    torch.Size([4, 8])
    """

    name: ClassVar[str] = "itq"
    citation: ClassVar[str] = "Gong and Lazebnik, CVPR 2011"
    supervision: ClassVar[Literal["none", "labels"]] = "none"

    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> LinearHead:
        """Fit the rotated principal components; labels are not used.

        Raises:
            InputError: There are fewer images or features than bits.
        """
        if min(features.shape) < code_bits:
            raise InputError(f"ITQ needs at least {code_bits} images and features; there are {features.shape}")
        pca = faiss.PCAMatrix(features.shape[1], code_bits)
        pca.train(np.ascontiguousarray(features))
        axes = faiss.vector_to_array(pca.A).reshape(-1, features.shape[1])[:code_bits]
        weight = itq_rotation(pca.apply(features), seed) @ axes
        return LinearHead(weight, -weight @ features.mean(axis=0))


def itq_rotation(projected: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """Rotation that moves centred values near the corners of a cube: a local minimum of |B - V R|^2 (equation 2).

    Args:
        projected: V, float32 (n, code_bits).
        seed: Seed of the initial rotation.

    Returns:
        Orthogonal R^T, float32 (code_bits, code_bits): the rotated values of an image are R^T v.

    >>> values = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    >>> turn = itq_rotation(values, seed=0)
    >>> np.allclose(turn @ turn.T, np.eye(4), atol=1e-5)
    True
    """
    *_, rotation = rotations(projected.astype(np.float64), CodeSpec(projected.shape[1], 2), seed)
    turn: npt.NDArray[np.float32] = rotation.T.astype(np.float32)
    return turn
