"""DTSH: the likelihood that an image is nearer to a similar one than to a dissimilar one, by a margin.

Deep Supervised Hashing with Triplet Labels (DTSH), Wang, Shi, Kitani, ACCV 2016, arXiv:1612.03900. With
theta_ij = u_i . u_j / 2 the paper specifies, for triplets of a query q, a positive p and a negative n,

    - sum over triplets of (x - log(1 + exp(x))) + lambda sum_i |b_i - u_i|^2,    x = theta_qp - theta_qn - alpha

with b_i = sgn(u_i). In the authors' code the margin alpha is half of the code length, and each image of a batch gets
22,500 triplets from the whole training set; lambda is 100.

Our reading: all triplets within a batch; a mean over triplets where the paper sums; the penalty is summed over bits as
in the paper, and its mean is taken over images. So the authors' lambda is 100 / 22,500 here. Images that share a label
are similar.
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
    binary_signs,
    binary_values,
    check_not_negative,
    label_similarity,
)

__all__ = ["DTSH"]


@dataclass(frozen=True)
class DTSH(Objective):
    """Settings of DTSH.

    Attributes:
        margin: alpha per bit; the default is from the authors' code.
        quantisation_weight: lambda per triplet of an image, for values away from their signs; the default is from the
            authors' code.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "dtsh"
    citation: ClassVar[str] = "Wang et al., ACCV 2016, arXiv:1612.03900"
    supervision: ClassVar[str] = "triplet"
    binary: ClassVar[bool] = True

    margin: float = 0.5
    quantisation_weight: float = 100 / 22_500

    def __post_init__(self) -> None:
        check_not_negative(self, "margin", "quantisation_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _DTSHLoss(self, task)


class _DTSHLoss(nn.Module):
    def __init__(self, settings: DTSH, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.margin = settings.margin * task.spec.code_bits

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        u = binary_values(output.scores)
        theta = u @ u.T / 2
        similar = label_similarity(labels) > 0
        positive = similar & ~torch.eye(len(u), dtype=torch.bool, device=u.device)
        # Only valid triplets use memory; theta_qp - theta_qn over all index triples would need n^3 floats.
        query, near, far = torch.nonzero(positive[:, :, None] & ~similar[:, None, :], as_tuple=True)
        margins = theta[query, near] - theta[query, far] - self.margin
        triplets = functional.softplus(-margins).sum() / max(1, len(query))
        quantisation = (u - binary_signs(u)).square().sum(dim=1).mean()
        return {"triplets": triplets, "quantisation": self.settings.quantisation_weight * quantisation}
