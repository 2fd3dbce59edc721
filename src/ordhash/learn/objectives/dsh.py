"""DSH: similar images near each other, dissimilar ones beyond a margin, values near -1 and 1.

Deep Supervised Hashing for Fast Image Retrieval (DSH), Liu, Wang, Shan, Chen, CVPR 2016. The paper specifies the
contrastive loss of a pair (its equation 1) and a regulariser that replaces the binary constraint in the relaxed loss:

    s/2 |u_i - u_j|^2 + (1 - s)/2 max(0, m - |u_i - u_j|^2) + alpha (| |u_i| - 1 |_1 + | |u_j| - 1 |_1)

with s = 1 for similar images (its y is 1 - s), m = 2 code_bits and alpha = 0.01. Pairs are within a batch, as here. Our
reading: the mean over the ordered pairs i != j where the paper sums, and images that share a label are similar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import (
    Objective,
    Task,
    binary_values,
    check_above_zero,
    check_not_negative,
    label_similarity,
    pair_mean,
)

__all__ = ["DSH"]


@dataclass(frozen=True)
class DSH(Objective):
    """Settings of DSH; the defaults are the paper's.

    Attributes:
        margin: m per bit: the squared distance beyond which dissimilar images cost nothing. Two codes of -1 and 1 that
            differ in half of their bits have a squared distance of 2 per bit.
        quantisation_weight: alpha, for values away from -1 and 1.

    Raises:
        InputError: ``margin`` is not above 0, or ``quantisation_weight`` is below 0.
    """

    name: ClassVar[str] = "dsh"
    citation: ClassVar[str] = "Liu et al., CVPR 2016"
    supervision: ClassVar[str] = "pairwise"
    binary: ClassVar[bool] = True

    margin: float = 2.0
    quantisation_weight: float = 0.01

    def __post_init__(self) -> None:
        check_above_zero(self, "margin")
        check_not_negative(self, "quantisation_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _DSHLoss(self, task)


class _DSHLoss(nn.Module):
    def __init__(self, settings: DSH, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.margin = settings.margin * task.spec.code_bits

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        u = binary_values(output.scores)
        similar = label_similarity(labels)
        distance = (u[:, None] - u).square().sum(dim=2)
        pairs = similar * distance + (1 - similar) * torch.relu(self.margin - distance)
        # The regulariser counts both images of a pair, so an average image counts twice.
        quantisation = 2 * (u.abs() - 1).abs().sum(dim=1).mean()
        return {"pairs": pair_mean(pairs) / 2, "quantisation": self.settings.quantisation_weight * quantisation}
