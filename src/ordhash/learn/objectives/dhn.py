"""DHN: a pairwise cross entropy on inner products, and a smooth penalty on values away from -1 and 1.

Deep Hashing Network for Efficient Similarity Retrieval (DHN), Zhu, Long, Wang, Cao, AAAI 2016. With z = tanh(u), the
paper specifies the pairwise cross entropy and the pairwise quantisation loss

    log(1 + exp(<z_i, z_j>)) - s_ij <z_i, z_j>    and    lambda sum_k log cosh(|z_ik| - 1)

where log cosh is its smooth surrogate of the absolute value. Our reading: means over the pairs i != j, over images and
over bits where the paper sums, so that lambda does not depend on batch and code length; lambda, which the paper chooses
by cross-validation, is 0.1, as in public re-implementations. Images that share a label are similar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import (
    Objective,
    Task,
    binary_values,
    check_not_negative,
    label_similarity,
    pair_mean,
)

__all__ = ["DHN"]


@dataclass(frozen=True)
class DHN(Objective):
    """Settings of DHN.

    Attributes:
        quantisation_weight: lambda, for values away from -1 and 1; the paper gives no value.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "dhn"
    citation: ClassVar[str] = "Zhu et al., AAAI 2016"
    supervision: ClassVar[str] = "pairwise"
    binary: ClassVar[bool] = True

    quantisation_weight: float = 0.1

    def __post_init__(self) -> None:
        check_not_negative(self, "quantisation_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _DHNLoss(self)


class _DHNLoss(nn.Module):
    def __init__(self, settings: DHN) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        z = torch.tanh(binary_values(output.scores))
        similar = label_similarity(labels)
        pairs = functional.binary_cross_entropy_with_logits(z @ z.T, similar, reduction="none")
        quantisation = torch.log(torch.cosh(z.abs() - 1)).mean()
        return {"pairs": pair_mean(pairs), "quantisation": self.settings.quantisation_weight * quantisation}
