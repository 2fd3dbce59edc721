"""DHN: a pairwise cross entropy on cosines, and a smooth penalty on values away from -1 and 1.

Deep Hashing Network for Efficient Similarity Retrieval (DHN), Zhu, Long, Wang, Cao, AAAI 2016. With z = tanh(u), the
paper specifies the pairwise cross entropy and the pairwise quantisation loss

    log(1 + exp(<z_i, z_j>)) - s_ij <z_i, z_j>    and    lambda sum_k log cosh(|z_ik| - 1)

where log cosh is its smooth surrogate of the absolute value. The authors' later code (DeepHash), whose command for
CIFAR-10 has alpha = 10 and lambda = 0, puts alpha cos(z_i, z_j) for the inner product, and gives similar pairs the
weight |S| / |S_1|. That is what this does, since it finds more; with alpha = 0 the inner products of the paper come
back, without weights. Our reading: means over the pairs i != j of a batch, over images and over bits where the paper
sums, so that lambda does not depend on batch and code length; lambda, which the paper chooses by cross-validation, is
0.1, as in public re-implementations. Images that share a label are similar.
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
    pair_balances,
    pair_mean,
)

__all__ = ["DHN"]


@dataclass(frozen=True)
class DHN(Objective):
    """Settings of DHN.

    Attributes:
        scale: alpha, of the cosines; the default is from the authors' code. 0 takes the paper's inner products.
        quantisation_weight: lambda, for values away from -1 and 1; the paper gives no value.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "dhn"
    citation: ClassVar[str] = "Zhu et al., AAAI 2016"
    supervision: ClassVar[str] = "pairwise"
    binary: ClassVar[bool] = True
    authors_also_use: ClassVar[tuple[dict[str, float], ...]] = ({"quantisation_weight": 0.0}, {"scale": 0.0})

    scale: float = 10.0
    quantisation_weight: float = 0.1

    def __post_init__(self) -> None:
        check_not_negative(self, "scale", "quantisation_weight")

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
        if self.settings.scale:
            direction = functional.normalize(z, dim=1, eps=1e-6)
            logits = self.settings.scale * direction @ direction.T
            weights = 1 - similar + similar * pair_balances(similar)[0]
        else:
            logits, weights = z @ z.T, torch.ones_like(similar)
        pairs = weights * functional.binary_cross_entropy_with_logits(logits, similar, reduction="none")
        quantisation = torch.log(torch.cosh(z.abs() - 1)).mean()
        return {"pairs": pair_mean(pairs), "quantisation": self.settings.quantisation_weight * quantisation}
