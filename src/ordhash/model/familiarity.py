"""Familiarity: whether a picture is like anything that a model learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError

__all__ = ["Familiarity"]


@dataclass(frozen=True)
class Familiarity:
    """Which familiarity is too low for a picture to be like anything learned.

    The graph of a model gives the familiarity of every picture: the cosine similarity of its features to those of the
    fifth nearest of some training images (after Sun et al., ICML 2022).

    Args:
        least: Pictures below it are unlike anything learned.
        images: How many images it was measured on, none of them among those training images.

    Raises:
        InputError: ``images`` is below 1.

    >>> Familiarity(0.5, 400).unlike([0.49, 0.5])
    array([ True, False])
    """

    least: float
    images: int

    def __post_init__(self) -> None:
        if self.images < 1:
            raise InputError(f"familiarity was measured on {self.images} images; give at least one")

    def unlike(self, familiarities: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether pictures are unlike anything learned.

        Args:
            familiarities: As the graph gives them, of any shape.

        Returns:
            bool of that shape.
        """
        found: npt.NDArray[Any] = np.asarray(familiarities) < self.least
        return found
