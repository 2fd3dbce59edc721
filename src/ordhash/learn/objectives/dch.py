"""DCH: a pairwise cross entropy under a Cauchy distribution of distances, which pulls similar images close together.

Deep Cauchy Hashing for Hamming Space Retrieval (DCH), Cao, Long, Liu, Wang, CVPR 2018. With h = tanh(u), as in the
authors' code, and the distance d(h_i, h_j) = code_bits / 2 (1 - cos(h_i, h_j)) (equation 6), the paper specifies

    w_ij (s_ij log(d / gamma) + log(1 + gamma / d))       equation 8
    lambda log(1 + d(|h_i|, 1) / gamma)                   equation 9

with w_ij = |S| / |S_1| for similar and |S| / |S_0| for dissimilar pairs (equation 2).

Our reading: pairs are those of a batch, i != j, and so are |S|, |S_1| and |S_0|; means stand where the paper sums;
gamma is 20 bits and lambda, which the paper chooses by cross-validation, 0.1, as in public re-implementations. (The
authors' code has another likelihood, a cross entropy of gamma / (d + gamma^2), so its gamma of 20 is not in bits; its
default of lambda is 0.) d is at least 0.01 bits, because otherwise two dissimilar images with the same code have an
infinite loss; images that share a label are similar.
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
    check_above_zero,
    check_not_negative,
    label_similarity,
    pair_balances,
    pair_mean,
)

__all__ = ["DCH"]

_LEAST_DISTANCE = 0.01  # bits


@dataclass(frozen=True)
class DCH(Objective):
    """Settings of DCH.

    Attributes:
        gamma: Scale of the Cauchy distribution, in bits.
        quantisation_weight: lambda, for values away from -1 and 1; the paper gives no value.

    Raises:
        InputError: ``gamma`` is not above 0, or ``quantisation_weight`` is below 0.
    """

    name: ClassVar[str] = "dch"
    citation: ClassVar[str] = "Cao et al., CVPR 2018"
    supervision: ClassVar[str] = "pairwise"
    binary: ClassVar[bool] = True
    authors_also_use: ClassVar[tuple[dict[str, float], ...]] = ({"quantisation_weight": 0.0},)

    gamma: float = 20.0
    quantisation_weight: float = 0.1

    def __post_init__(self) -> None:
        check_above_zero(self, "gamma")
        check_not_negative(self, "quantisation_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _DCHLoss(self)


class _DCHLoss(nn.Module):
    def __init__(self, settings: DCH) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        h = torch.tanh(binary_values(output.scores))
        code_bits, gamma = h.shape[1], self.settings.gamma
        similar = label_similarity(labels)
        direction = functional.normalize(h, dim=1, eps=1e-6)
        distance = (code_bits / 2 * (1 - direction @ direction.T)).clamp_min(_LEAST_DISTANCE)
        # log(d / gamma) + log(1 + gamma / d) = log(1 + d / gamma)
        balance, opposite = pair_balances(similar)
        pairs = balance * similar * torch.log1p(distance / gamma)
        pairs = pairs + opposite * (1 - similar) * torch.log1p(gamma / distance)  # graded pairs count for both
        # The cosine between |h| and a vector of ones.
        cosine = direction.abs().sum(dim=1) / code_bits**0.5
        quantisation = torch.log1p(code_bits / 2 * (1 - cosine).clamp_min(0) / gamma).mean()
        return {
            "pairs": pair_mean(pairs),
            "quantisation": self.settings.quantisation_weight * quantisation,
        }
