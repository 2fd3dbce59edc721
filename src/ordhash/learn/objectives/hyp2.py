"""HyP2: learned class proxies attract and repel images, and images without a common label repel each other.

HyP^2 Loss: Beyond Hypersphere Metric Space for Multi-label Image Retrieval, Xu, Chai, Xu, Yuan, Fan, Wang, ACM
Multimedia 2022, arXiv:2208.06866. With learned proxies p_c, the paper specifies the sum of

    mean over labels (i, c) of         1 - cos(u_i, p_c)
    mean over the other (i, c) of      max(0, cos(u_i, p_c) - zeta)
    beta times the mean over irrelevant pairs (i, j) of    max(0, cos(u_i, u_j) - zeta)

where the images of an irrelevant pair share no label and both have several. zeta is the cosine of two codes at distance
d, the largest minimum distance of a binary linear code of this length for this number of classes (from the same
authors' HHF, arXiv:2112.02225): zeta = 1 - 2 d / code_bits. beta = 0.5 is the default of the authors' code.

Our reading: if images have one label, the last term is 0. Proxies use the learning rate of the network's head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Objective, Task, binary_values, check_not_negative
from ordhash.learn.objectives.linear_codes import largest_distance

__all__ = ["HyP2", "cosine_threshold"]


def cosine_threshold(n_classes: int, code_bits: int) -> float:
    """zeta: cosine of two codes at distance d, the largest minimum distance of a linear code for all classes.

    Args:
        n_classes: Number of classes; a code of dimension ceil(log2 n_classes) has a word for each.
        code_bits: Length of a code.

    Returns:
        A number from -1 (two classes, which may be opposites) to 1 (too many classes for the length).

    >>> cosine_threshold(10, 48), cosine_threshold(2, 16), round(cosine_threshold(21, 12), 3)
    (0.0, -1.0, 0.333)
    """
    dimension = max(1, (n_classes - 1).bit_length())
    return 1 - 2 * largest_distance(code_bits, dimension) / code_bits


@dataclass(frozen=True)
class HyP2(Objective):
    """Settings of HyP2; the default is from the authors' code.

    Attributes:
        pair_weight: beta, for pairs of images without a common label.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "hyp2"
    citation: ClassVar[str] = "Xu et al., ACM Multimedia 2022, arXiv:2208.06866"
    supervision: ClassVar[str] = "proxies + pairwise"
    binary: ClassVar[bool] = True

    pair_weight: float = 0.5

    def __post_init__(self) -> None:
        check_not_negative(self, "pair_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _HyP2Loss(self, task)


class _HyP2Loss(nn.Module):
    def __init__(self, settings: HyP2, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.threshold = cosine_threshold(task.n_classes, task.spec.code_bits)
        self.proxies = nn.Parameter(torch.empty(task.n_classes, task.spec.code_bits))
        nn.init.kaiming_normal_(self.proxies, mode="fan_out")

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        u = functional.normalize(binary_values(output.scores), dim=1, eps=1e-6)
        cosine = u @ functional.normalize(self.proxies, dim=1, eps=1e-6).T
        near = labels * (1 - cosine)
        far = (1 - labels) * torch.relu(cosine - self.threshold)
        several = (labels.sum(dim=1) > 1).to(u.dtype)
        irrelevant = (labels @ labels.T == 0) * several[:, None] * several
        pairs = irrelevant * torch.relu(u @ u.T - self.threshold)
        return {
            "proxies": near.sum() / labels.sum().clamp_min(1) + far.sum() / (1 - labels).sum().clamp_min(1),
            "pairs": self.settings.pair_weight * pairs.sum() / irrelevant.sum().clamp_min(1),
        }
