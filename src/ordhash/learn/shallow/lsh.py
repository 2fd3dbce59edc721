"""LSH: random hyperplanes.

Similarity Estimation Techniques from Rounding Algorithms, Charikar, STOC 2002. The paper fixes u = r . f with r drawn
from a normal distribution: two images agree in a bit with a probability that falls with the angle between them.

Our reading: the hyperplanes go through the mean of the features instead of the origin. Features of a network are all on
one side of the origin, where most hyperplanes through it would cut nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ordhash.learn.shallow.base import Features, Labels, LinearHead, ShallowMethod

__all__ = ["LSH"]


@dataclass(frozen=True)
class LSH(ShallowMethod):
    """Locality-sensitive hashing; it has no settings.

    >>> LSH().fit(np.eye(3, dtype=np.float32), None, code_bits=5, seed=0).weight.shape
    torch.Size([5, 3])
    """

    name: ClassVar[str] = "lsh"
    citation: ClassVar[str] = "Charikar, STOC 2002"
    supervision: ClassVar[Literal["none", "labels"]] = "none"

    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> LinearHead:
        """Head of ``code_bits`` random hyperplanes; labels are not used."""
        weight = np.random.default_rng(seed).standard_normal((code_bits, features.shape[1])).astype(np.float32)
        return LinearHead(weight, -weight @ features.mean(axis=0))
