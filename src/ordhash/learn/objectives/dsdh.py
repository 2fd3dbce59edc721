"""DSDH: the likelihood of pairwise labels, and bits that a linear classifier can read, optimised without relaxation.

Deep Supervised Discrete Hashing (DSDH), Li, Sun, He, Tan, NIPS 2017, arXiv:1705.10999. With theta_ij = u_i . u_j / 2
the paper minimises this sum, in which the bits b_i are separate variables, not the signs of u_i:

    - sum over pairs of (s_ij theta_ij - log(1 + exp(theta_ij)))      pairs
    + mu sum_i |y_i - W^T b_i|^2 + nu |W|^2                           classes
    + eta sum_i |b_i - u_i|^2                                         quantisation

by alternation: W is the ridge solution for fixed bits; the bits are updated one position at a time for fixed W and u
(discrete cyclic coordinate descent); then the network takes a step for fixed bits.

Our reading: the paper optimises W and the bits of the whole training set; here both are recomputed in every batch,
starting at b = sgn(u), in ``rounds`` rounds, so W has less data and changes few bits. Pairs are within a batch, i != j.
We use means over pairs and images where the paper sums. mu = eta = 0.01 are from a public PyTorch re-implementation
(which also divides the last term by the code length in the network's step), and the ridge is its nu / mu for 5,000
images; an earlier version of it has mu = 1, nu = 0.1 and eta = 55 with sums. The class term has no gradient: it acts
through the bits. One label or several per image are treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import (
    Objective,
    Task,
    binary_signs,
    binary_values,
    check_above_zero,
    check_not_negative,
    label_similarity,
    pair_mean,
)

__all__ = ["DSDH"]


@dataclass(frozen=True)
class DSDH(Objective):
    """Settings of DSDH.

    Attributes:
        class_weight: mu, weight of the class term.
        ridge: Weight of |W|^2 within the class term: nu / mu, for a mean over images.
        quantisation_weight: eta, for values away from the bits.
        rounds: Alternations of W and the bits in a batch.

    Raises:
        InputError: A weight is below 0, ``ridge`` is not above 0, or ``rounds`` is below 1.
    """

    name: ClassVar[str] = "dsdh"
    citation: ClassVar[str] = "Li et al., NIPS 2017, arXiv:1705.10999"
    supervision: ClassVar[str] = "pairwise + classes"
    binary: ClassVar[bool] = True

    class_weight: float = 0.01
    ridge: float = 0.02
    quantisation_weight: float = 0.01
    rounds: int = 3

    def __post_init__(self) -> None:
        check_not_negative(self, "class_weight", "quantisation_weight")
        check_above_zero(self, "ridge")
        if self.rounds < 1:
            raise InputError(f"rounds is {self.rounds}; allowed are 1 and more")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _DSDHLoss(self)


class _DSDHLoss(nn.Module):
    def __init__(self, settings: DSDH) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        u = binary_values(output.scores)
        bits, classifier = self._alternate(u.detach(), labels)
        pairs = functional.binary_cross_entropy_with_logits(u @ u.T / 2, label_similarity(labels), reduction="none")
        classes = (labels - bits @ classifier).square().sum(dim=1).mean()
        classes = classes + self.settings.ridge * classifier.square().sum()
        return {
            "pairs": pair_mean(pairs),
            "classes": self.settings.class_weight * classes,
            "quantisation": self.settings.quantisation_weight * (u - bits).square().sum(dim=1).mean(),
        }

    def _alternate(self, u: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Bits (n, code_bits) of -1 and 1, and W (code_bits, n_classes)."""
        bits = binary_signs(u)
        classifier = self._ridge_solution(bits, labels)
        for _ in range(self.settings.rounds):
            wanted = self.settings.class_weight * labels @ classifier.T + self.settings.quantisation_weight * u
            overlap = self.settings.class_weight * classifier @ classifier.T
            overlap.fill_diagonal_(0.0)  # a bit fits the residual of the others
            for k in range(bits.shape[1]):
                bits[:, k] = binary_signs(wanted[:, k] - bits @ overlap[:, k])
            classifier = self._ridge_solution(bits, labels)
        return bits, classifier

    def _ridge_solution(self, bits: Tensor, labels: Tensor) -> Tensor:
        n, code_bits = bits.shape
        ridge = self.settings.ridge * torch.eye(code_bits, dtype=bits.dtype, device=bits.device)
        classifier: Tensor = torch.linalg.solve(bits.T @ bits / n + ridge, bits.T @ labels / n)
        return classifier
