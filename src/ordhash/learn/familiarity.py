"""Learn which pictures are unlike anything learned, from the features of training images and of others.

A picture is as familiar as its features are similar to those of the fifth nearest of some training images (Sun et al.,
Out-of-distribution detection with deep nearest neighbors, ICML 2022; a random sample does as well as all images,
docs/likelihood.md). It is unlike anything learned where hardly any image of the learned kinds is as unfamiliar: where
the conformal p-value (1 + images at most as familiar) / (n + 1) among n other images is at most 0.01 (Vovk et al.,
Algorithmic Learning in a Random World, 2005; Bates et al., Annals of Statistics 2023). So 1 in 100 new pictures of the
learned kinds is called unlike, and of fewer than 99 others nothing can be said.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ordhash.learn.network import HeadOutput
from ordhash.model import Familiarity

__all__ = ["FamiliarityGauge", "GaugedHead", "least_familiar", "sampled_examples"]

_NEIGHBOUR = 5
_LEVEL = 0.01
_MOST_BYTES = 1 << 20  # of features in the model file
_MOST_OTHERS = 2000

Rows = npt.NDArray[np.intp]


class FamiliarityGauge(nn.Module):
    """The familiarity of pictures: similarity of their features to the fifth nearest of some examples.

    Args:
        examples: Features of training images, averaged over locations, float32 (m, D), at least one.

    >>> gauge = FamiliarityGauge(np.eye(6, dtype=np.float32))
    >>> gauge(torch.ones(1, 6, 2, 2)).round(decimals=2)
    tensor([0.4100])
    """

    examples: Tensor

    def __init__(self, examples: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("examples", nn.functional.normalize(torch.from_numpy(examples.astype(np.float32)), dim=1))

    def forward(self, features: Tensor) -> Tensor:
        """Familiarities (n,) of feature maps (n, D, h, w), from -1 to 1."""
        pooled = nn.functional.normalize(features.mean(dim=(2, 3)), dim=1)
        nearest = torch.topk(pooled @ self.examples.T, min(_NEIGHBOUR, len(self.examples)), dim=1).values
        return nearest[:, -1]


class GaugedHead(nn.Module):
    """A head with a gauge beside it.

    Args:
        head: A module that returns a HeadOutput.
        gauge: The gauge.
    """

    def __init__(self, head: nn.Module, gauge: FamiliarityGauge) -> None:
        super().__init__()
        self.head = head
        self.gauge = gauge

    def forward(self, features: Tensor) -> HeadOutput:
        """The head's output and familiarities, of feature maps (n, D, h, w)."""
        output: HeadOutput = self.head(features)
        return dataclasses.replace(output, familiarity=self.gauge(features))


def sampled_examples(n: int, depth: int, seed: int) -> tuple[Rows, Rows]:
    """Which training images are examples, at most half and a megabyte of them, and some of the others.

    Args:
        n: Number of training images.
        depth: D, channels of their features.
        seed: Seed of the sample.
    """
    order = np.random.default_rng(seed).permutation(n)
    size = min(max(_MOST_BYTES // (4 * depth), _NEIGHBOUR), n // 2)
    return order[:size], order[size : size + _MOST_OTHERS]


def least_familiar(
    examples: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> tuple[FamiliarityGauge, Familiarity] | None:
    """The gauge, and which pictures are too unfamiliar; None where there are too few images to tell.

    Args:
        examples: Features of training images, averaged over locations, float32 (m, D).
        others: Those of n other images of the learned kinds, float32 (n, D).
    """
    count = int(_LEVEL * (len(others) + 1))  # (1 + images at most as familiar) must not be more
    if not count or not len(examples):
        return None
    gauge = FamiliarityGauge(examples)
    with torch.inference_mode():
        found = gauge(torch.from_numpy(others)[:, :, None, None]).numpy()
    return gauge, Familiarity(float(np.sort(found)[count - 1]), len(others))
