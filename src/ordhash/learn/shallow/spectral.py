"""SH: bits that are sine waves along the principal components.

Spectral Hashing (SH), Weiss, Torralba, Fergus, NIPS 2008. The paper specifies a bounding box of the features along
their principal components, with the sides [a, b]; on it, the one-dimensional eigenfunctions and their eigenvalues

    Phi_j(x) = sin(pi / 2 + j pi (x - a) / (b - a))
    lambda_j = 1 - exp(-epsilon^2 / 2 * (j pi / (b - a))^2)         j = 1, 2, ...

over all components; and bits that are the signs of the code_bits eigenfunctions with the smallest eigenvalues. lambda
grows with j / (b - a) for every epsilon, so epsilon is not a setting.

Our reading, as in the authors' code: the first code_bits components are used, and a and b are the minimum and maximum
over the images. Values of other images outside this range continue along the wave. u is Phi itself, so a value near a
zero of the wave is an uncertain bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ordhash.learn.shallow.base import Features, Labels, LinearHead, ShallowMethod, check_different

__all__ = ["SineHead", "SpectralHashing", "slowest_waves"]


class SineHead(LinearHead):
    """u = sin(W f + b).

    Args:
        weight: float (code_bits, D).
        bias: float (code_bits,).

    >>> head = SineHead(np.eye(2), np.array([0.0, np.pi / 2]))
    >>> head.values(torch.zeros(1, 2)).tolist()
    [[0.0, 1.0]]
    """

    def values(self, pooled: Tensor) -> Tensor:
        """The value u of every bit, float (n, code_bits)."""
        return torch.sin(super().values(pooled))


@dataclass(frozen=True)
class SpectralHashing(ShallowMethod):
    """Spectral hashing; has no settings and is deterministic.

    >>> features = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    >>> SpectralHashing().fit(features, None, code_bits=12, seed=0).weight.shape
    torch.Size([12, 8])
    """

    name: ClassVar[str] = "sh"
    citation: ClassVar[str] = "Weiss et al., NIPS 2008"
    supervision: ClassVar[Literal["none", "labels"]] = "none"

    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> SineHead:
        """Fit the slowest waves; labels and seed are not used.

        Raises:
            InputError: There are no two different images.
        """
        check_different(features, self.name)
        centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T[:code_bits]  # largest variance first
        projected = features @ axes.T
        low = projected.min(axis=0)
        components, modes = slowest_waves(projected.max(axis=0) - low, code_bits)
        speed = modes * np.pi / (projected.max(axis=0) - low)[components]
        return SineHead(speed[:, None] * axes[components], np.pi / 2 - speed * low[components])


def slowest_waves(ranges: npt.NDArray[np.float64], code_bits: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The eigenfunctions with the smallest eigenvalues, that is, the smallest j / (b - a).

    Args:
        ranges: b - a of every component, float (n_components,), at least one above 0.
        code_bits: Number of eigenfunctions.

    Returns:
        Component and mode j of each, smallest eigenvalue first; on a tie, the earlier component.

    >>> components, modes = slowest_waves(np.array([4.0, 1.5]), 4)
    >>> components.tolist(), modes.tolist()
    ([0, 0, 1, 0], [1, 2, 1, 3])
    """
    longest = ranges.max()
    modes = np.arange(1, code_bits + 1)
    # A component of zero range is never chosen: the longest one alone has code_bits slower waves.
    speeds = modes / np.maximum(ranges, longest / (2 * code_bits))[:, None]
    components, found = np.unravel_index(np.argsort(speeds, axis=None, kind="stable")[:code_bits], speeds.shape)
    return components, modes[found]
