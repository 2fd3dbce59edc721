"""LSH: random hyperplanes.

Similarity Estimation Techniques from Rounding Algorithms, Charikar, STOC 2002. The paper specifies u = r . f with r
drawn from a normal distribution: the probability that two images agree in a bit falls with the angle between them.

Our reading: the hyperplanes go through the mean of the features instead of the origin. Features of a network all lie on
one side of the origin, so most hyperplanes through it would separate nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ordhash.learn.shallow.base import Features, Labels, LinearHead, ShallowMethod

__all__ = ["LSH"]


@dataclass(frozen=True)
class LSH(ShallowMethod):
    """Locality-sensitive hashing; has no settings.

    >>> LSH().fit(np.eye(3, dtype=np.float32), None, code_bits=5, seed=0).weight.shape
    torch.Size([5, 3])
    """

    name: ClassVar[str] = "lsh"
    citation: ClassVar[str] = "Charikar, STOC 2002"
    supervision: ClassVar[Literal["none", "labels"]] = "none"

    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> LinearHead:
        """Draw ``code_bits`` random hyperplanes; labels are not used."""
        weight = np.random.default_rng(seed).standard_normal((code_bits, features.shape[1])).astype(np.float32)
        return LinearHead(weight, -weight @ features.mean(axis=0))
