"""HashNet: a balanced pairwise logistic loss on tanh(beta u), with beta growing so that tanh approaches the sign.

HashNet: Deep Learning to Hash by Continuation, Cao, Long, Wang, Yu, ICCV 2017, arXiv:1702.00758. With z = tanh(beta u)
the paper specifies

    sum over pairs of w_ij (log(1 + exp(alpha <z_i, z_j>)) - alpha s_ij <z_i, z_j>)

with w_ij = c_ij |S| / |S_1| for similar and |S| / |S_0| for dissimilar pairs, c_ij = |y_i and y_j| / |y_i or y_j| for
similar pairs (1 if images have one label), and a growing sequence of beta. alpha = 10 / code_bits and
beta = sqrt(1 + step / 200) are from the authors' PyTorch code, which updates beta every 200 steps.

Our reading: pairs, |S|, |S_1| and |S_0| are within a batch, i != j; the loss is divided by |S|; beta grows with every
step. The loss counts training steps in a buffer, so a resumed training keeps its beta. Codes are the signs of u, which
beta does not change.
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
    balanced_pair_weights,
    binary_values,
    check_above_zero,
    label_similarity,
    pair_mean,
)

__all__ = ["HashNet"]


@dataclass(frozen=True)
class HashNet(Objective):
    """Settings of HashNet; the defaults are from the authors' PyTorch code.

    Attributes:
        scale: alpha times code_bits: the logit of two images with the same code.
        beta_growth_steps: Training steps after which beta is sqrt(2); after 8 times as many it is 3.

    Raises:
        InputError: A value is not above 0.
    """

    name: ClassVar[str] = "hashnet"
    citation: ClassVar[str] = "Cao et al., ICCV 2017, arXiv:1702.00758"
    supervision: ClassVar[str] = "pairwise"
    binary: ClassVar[bool] = True

    scale: float = 10.0
    beta_growth_steps: float = 200.0

    def __post_init__(self) -> None:
        check_above_zero(self, "scale", "beta_growth_steps")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _HashNetLoss(self, task)


class _HashNetLoss(nn.Module):
    steps: Tensor

    def __init__(self, settings: HashNet, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.soft = task.soft
        self.alpha = settings.scale / task.spec.code_bits
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        if self.training:
            self.steps += 1
        beta = torch.sqrt(1 + self.steps / self.settings.beta_growth_steps)
        z = torch.tanh(beta * binary_values(output.scores))
        similar = label_similarity(labels)
        shared = labels @ labels.T
        either = labels.sum(dim=1)[:, None] + labels.sum(dim=1) - shared
        # Soft memberships already grade the similarity.
        confidence = 1.0 if self.soft else torch.where(similar > 0, shared / either.clamp_min(1), 1.0)
        weights = confidence * balanced_pair_weights(similar)
        pairs = functional.binary_cross_entropy_with_logits(self.alpha * (z @ z.T), similar, reduction="none")
        return {"pairs": pair_mean(weights * pairs)}
