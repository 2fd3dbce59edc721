"""Calibration: how likely two images at a distance are of the same kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """Share of relevant pairs by distance at least, as measured on held-out images, never rising with the distance.

    The share depends on how many images are of one kind: it holds for collections mixed like the held-out images.

    Args:
        distances: Ascending.
        likelihoods: Share of relevant pairs at each of them at least (a lower confidence bound), from 0 to 1, never
            rising.
        pairs: How many pairs of held-out images were compared.

    Raises:
        InputError: Other lengths, or an order other than that.

    >>> calibration = Calibration((0, 1, 3), (0.9, 0.7, 0.1), 4950)
    >>> calibration.likelihood([0, 1, 2, 24])
    array([0.9, 0.7, 0.4, 0.1])
    >>> calibration.cutoff
    1
    """

    distances: tuple[float, ...]
    likelihoods: tuple[float, ...]
    pairs: int

    def __post_init__(self) -> None:
        if len(self.distances) != len(self.likelihoods) or not self.distances:
            raise InputError(
                f"there are {len(self.distances)} distances and {len(self.likelihoods)} likelihoods; give equally "
                "many, and at least one"
            )
        if not (np.diff(self.distances) > 0).all() or not (np.diff(self.likelihoods) <= 0).all():
            raise InputError("distances must ascend, and likelihoods never rise; sort them")
        if not 0 <= self.likelihoods[-1] <= self.likelihoods[0] <= 1:
            raise InputError("likelihoods must be from 0 to 1; give shares of pairs")

    def likelihood(self, distances: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Share of relevant pairs at some distances at least; in between and beyond, that of the neighbours.

        Args:
            distances: Integers or floats of any shape.

        Returns:
            float64 of that shape, from 0 to 1.
        """
        return np.asarray(np.interp(np.asarray(distances), self.distances, self.likelihoods))

    @property
    def cutoff(self) -> float | None:
        """The suggested cut-off: the largest distance at which at least half of the pairs are relevant, if any."""
        likely = [distance for distance, share in zip(self.distances, self.likelihoods, strict=True) if share >= 0.5]
        return max(likely, default=None)
