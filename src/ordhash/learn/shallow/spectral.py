"""SH: bits that are waves along the principal components.

Spectral Hashing (SH), Weiss, Torralba, Fergus, NIPS 2008. The paper fixes a rectangle around the features, turned to
their principal components, with the sides [a, b]; on it the eigenfunctions of one dimension and their eigenvalues,

    Phi_j(x) = sin(pi / 2 + j pi (x - a) / (b - a))
    lambda_j = 1 - exp(-epsilon^2 / 2 * (j pi / (b - a))^2)         j = 1, 2, ...

over all components; and bits that are the signs of the code_bits eigenfunctions with the smallest eigenvalues. lambda
grows with j / (b - a) for every epsilon, so epsilon is not a setting.

Our reading, as in the authors' code: the first code_bits components are looked at, and a and b are the smallest and the
largest value of an image. Values outside, which other images may have, go on along the wave. u is Phi itself, so a
value near a zero of the wave is an unsure bit.
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
        """The number u behind every bit, float (n, code_bits)."""
        return torch.sin(super().values(pooled))


@dataclass(frozen=True)
class SpectralHashing(ShallowMethod):
    """Spectral hashing; it has no settings, and draws nothing at random.

    >>> features = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    >>> SpectralHashing().fit(features, None, code_bits=12, seed=0).weight.shape
    torch.Size([12, 8])
    """

    name: ClassVar[str] = "sh"
    citation: ClassVar[str] = "Weiss et al., NIPS 2008"
    supervision: ClassVar[Literal["none", "labels"]] = "none"

    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> SineHead:
        """Head of the slowest waves; neither labels nor seed are used.

        Raises:
            InputError: There are no two different images.
        """
        check_different(features, self.name)
        centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T[:code_bits]  # the largest variance first
        projected = features @ axes.T
        low = projected.min(axis=0)
        components, modes = slowest_waves(projected.max(axis=0) - low, code_bits)
        speed = modes * np.pi / (projected.max(axis=0) - low)[components]
        return SineHead(speed[:, None] * axes[components], np.pi / 2 - speed * low[components])


def slowest_waves(ranges: npt.NDArray[np.float64], code_bits: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The eigenfunctions of the smallest eigenvalues: those with the smallest j / (b - a).

    Args:
        ranges: b - a of every component, float (n_components,), at least one of them above 0.
        code_bits: How many eigenfunctions.

    Returns:
        Component and mode j of each, the smallest eigenvalue first; of equal ones, the earlier component.

    >>> components, modes = slowest_waves(np.array([4.0, 1.5]), 4)
    >>> components.tolist(), modes.tolist()
    ([0, 0, 1, 0], [1, 2, 1, 3])
    """
    longest = ranges.max()
    modes = np.arange(1, code_bits + 1)
    # A component without a range is never chosen: the longest alone has code_bits waves that are slower.
    speeds = modes / np.maximum(ranges, longest / (2 * code_bits))[:, None]
    components, found = np.unravel_index(np.argsort(speeds, axis=None, kind="stable")[:code_bits], speeds.shape)
    return components, modes[found]
