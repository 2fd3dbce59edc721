"""CSQ: every class gets a fixed code, which its images learn.

Central Similarity Quantization for Efficient Image and Video Retrieval (CSQ), Yuan, Wang, Zhang, Tay, Jie, Liu, Feng,
CVPR 2020, arXiv:1908.00347. The paper specifies hash centres from a Sylvester Hadamard matrix and its negative, or from
random bits if there is no such matrix; for an image with several labels, the bitwise majority of their centres (a
random bit on a tie); the binary cross entropy between h = (1 + tanh(u)) / 2 and the centre; and the penalty
log cosh(|2 h - 1| - 1).

Our reading: means over images and bits; lambda = 0.001, which the authors' commands for AlexNet use with a squared
penalty (0.05 for ResNet);
Hadamard matrices of Paley's construction too, which exist for 12, 24 and 48 bits; random centres are the best of
several draws; the random bits for ties are drawn once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Objective, Task, binary_values, check_not_negative
from ordhash.learn.objectives.centres import class_centres

__all__ = ["CSQ"]


@dataclass(frozen=True)
class CSQ(Objective):
    """Settings of CSQ.

    Attributes:
        quantisation_weight: lambda, for values away from -1 and 1.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "csq"
    citation: ClassVar[str] = "Yuan et al., CVPR 2020, arXiv:1908.00347"
    supervision: ClassVar[str] = "centres"
    binary: ClassVar[bool] = True
    authors_also_use: ClassVar[tuple[dict[str, float], ...]] = ({"quantisation_weight": 0.05},)

    quantisation_weight: float = 1e-3

    def __post_init__(self) -> None:
        check_not_negative(self, "quantisation_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _CSQLoss(self, task)


class _CSQLoss(nn.Module):
    centres: Tensor
    tie_bits: Tensor

    def __init__(self, settings: CSQ, task: Task) -> None:
        super().__init__()
        self.settings = settings
        centres = class_centres(task.n_classes, task.spec.code_bits, task.seed)
        tie_bits = np.random.default_rng([task.seed, 1]).integers(0, 2, task.spec.code_bits) * 2 - 1
        self.register_buffer("centres", torch.from_numpy(centres))
        self.register_buffer("tie_bits", torch.from_numpy(tie_bits.astype(np.float32)))

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        u = binary_values(output.scores)
        votes = labels @ self.centres.to(labels.dtype)
        centre = torch.where(votes == 0, self.tie_bits.to(labels.dtype), torch.sign(votes))
        # (1 + tanh(u)) / 2 is the sigmoid of 2 u.
        central = functional.binary_cross_entropy_with_logits(2 * u, (centre + 1) / 2)
        quantisation = torch.log(torch.cosh(torch.tanh(u).abs() - 1)).mean()
        return {"centres": central, "quantisation": self.settings.quantisation_weight * quantisation}
