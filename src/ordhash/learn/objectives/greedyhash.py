"""GreedyHash: a classifier reads the signs, whose gradient is passed through unchanged.

Greedy Hash: Towards Fast Optimization for Accurate Hash Coding in CNN, Su, Zhang, Han, Tian, NeurIPS 2018. The paper
specifies the forward pass b = sgn(u), the backward pass du = db, a classifier on b with cross entropy, and the penalty
|u - sgn(u)|_p^p with p = 3. The class layer without bias, the mean of the penalty over images and bits, and its weight
0.1 (1 for ImageNet) follow the authors' code.

Our reading: for several labels per image, which the paper does not cover, the classifier uses binary cross entropy,
summed over classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Objective, Task, binary_signs, binary_values, check_not_negative, label_loss

__all__ = ["GreedyHash"]


@dataclass(frozen=True)
class GreedyHash(Objective):
    """Settings of GreedyHash; the default is from the authors' code.

    Attributes:
        quantisation_weight: alpha, for values away from their signs.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "greedyhash"
    citation: ClassVar[str] = "Su et al., NeurIPS 2018"
    supervision: ClassVar[str] = "classes"
    binary: ClassVar[bool] = True
    authors_also_use: ClassVar[tuple[dict[str, float], ...]] = ({"quantisation_weight": 1.0},)

    quantisation_weight: float = 0.1

    def __post_init__(self) -> None:
        check_not_negative(self, "quantisation_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _GreedyHashLoss(self, task)


class _Sign(torch.autograd.Function):
    """Signs of -1 and 1 with the gradient of the values (straight-through)."""

    @staticmethod
    def forward(values: Tensor) -> Tensor:
        return binary_signs(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _GreedyHashLoss(nn.Module):
    def __init__(self, settings: GreedyHash, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.multilabel = task.multilabel
        self.classes = nn.Linear(task.spec.code_bits, task.n_classes, bias=False)

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        u = binary_values(output.scores)
        bits: Tensor = _Sign.apply(u)
        quantisation = (u.abs() - 1).abs().pow(3).mean()
        return {
            "classes": label_loss(self.classes(bits), labels, multilabel=self.multilabel),
            "quantisation": self.settings.quantisation_weight * quantisation,
        }
