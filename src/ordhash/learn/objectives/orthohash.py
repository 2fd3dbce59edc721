"""OrthoHash: a single loss, the cosine between values and the code of their class, with a margin.

One Loss for All: Deep Hashing with a Single Cosine Similarity based Learning Objective (OrthoHash), Hoe, Ng, Zhang,
Chan, Song, Xiang, NeurIPS 2021, arXiv:2109.14449. The paper specifies nearly orthogonal codes o_c of the classes, the
cross entropy of the logits

    scale (cos(u, o_c) - margin y_c)

and, for several labels, the same with labels that sum to 1 (label smoothing). scale = 8 and margin = 0.2 are the
defaults of the authors' code.

Our reading: codes come from a Hadamard matrix if one exists, else they are the best of several random draws (the
authors' code draws once). The paper's batch normalisation after the hash layer, which balances the bits, is left out:
the network is the same for all objectives.
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
    label_shares,
)
from ordhash.learn.objectives.centres import class_centres

__all__ = ["OrthoHash"]


@dataclass(frozen=True)
class OrthoHash(Objective):
    """Settings of OrthoHash; the defaults are from the authors' code.

    Attributes:
        scale: s, factor of the cosines.
        margin: m, margin by which the cosine with the right class has to be larger.

    Raises:
        InputError: ``scale`` is not above 0, or ``margin`` is below 0.
    """

    name: ClassVar[str] = "orthohash"
    citation: ClassVar[str] = "Hoe et al., NeurIPS 2021, arXiv:2109.14449"
    supervision: ClassVar[str] = "centres"
    binary: ClassVar[bool] = True

    scale: float = 8.0
    margin: float = 0.2

    def __post_init__(self) -> None:
        check_above_zero(self, "scale")
        check_not_negative(self, "margin")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _OrthoHashLoss(self, task)


class _OrthoHashLoss(nn.Module):
    centres: Tensor

    def __init__(self, settings: OrthoHash, task: Task) -> None:
        super().__init__()
        self.settings = settings
        centres = class_centres(task.n_classes, task.spec.code_bits, task.seed)
        self.register_buffer("centres", torch.from_numpy(centres))

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        u = functional.normalize(binary_values(output.scores), dim=1, eps=1e-6)
        centres = functional.normalize(self.centres.to(u.dtype), dim=1)
        logits = self.settings.scale * (u @ centres.T - self.settings.margin * labels)
        return {"cosine": functional.cross_entropy(logits, label_shares(labels))}
