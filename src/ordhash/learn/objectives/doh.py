"""The paper's objective: squared differences of pairwise similarities, and the class losses of both streams.

Deep Ordinal Hashing with Spatial Attention (DOH), Jin, Shu, Li, Li, Qi, Tang, arXiv:1805.02459, IEEE TIP 28(5), 2019.
The paper specifies the pairwise difference loss (s - s_h)^2 on the relaxed rank correlation (also Luo et al., A Survey
on Deep Hashing Methods, TKDD 2023, eq. 19) and a class loss in both streams. The weights of the terms are ours, chosen
on validation images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import (
    Objective,
    Task,
    check_not_negative,
    class_loss,
    label_similarity,
    relaxed_code,
)

__all__ = ["DOH", "pair_difference_loss"]

# Chosen on held-out images and classes of training images: docs/experiments.md
_LEAST_TRAINED = 4
_TRAINED_FOR_CLASSES = 1.5


def pair_difference_loss(codes: Tensor, similarity: Tensor, n_segments: int, *, similar_weight: float = 1.0) -> Tensor:
    """Ranking loss: weighted mean over pairs i != j of (s_ij - (1/R) sum_r <h_i_r, h_j_r>)^2.

    Args:
        codes: float (n, n_segments * arity), relaxed or one-hot.
        similarity: float (n, n) in 0..1.
        n_segments: R.
        similar_weight: w_ij for s_ij = 1; for s_ij = 0 it is 1.

    Returns:
        A scalar; 0 for a batch of one image.

    >>> one_hot = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> float(pair_difference_loss(one_hot, torch.ones(2, 2), 1))
    1.0
    """
    agreement = codes @ codes.T / n_segments
    weights = 1 + (similar_weight - 1) * similarity
    weights = weights * (1 - torch.eye(len(codes), dtype=codes.dtype, device=codes.device))
    return (weights * (similarity - agreement) ** 2).sum() / weights.sum().clamp_min(1e-12)


@dataclass(frozen=True)
class DOH(Objective):
    """Settings of the paper's objective.

    Attributes:
        pair_weight: Weight of the ranking loss.
        class_weight: Weight of the class losses.
        similar_weight: w_ij of similar pairs.
        fitted_share: Share of the segments that are fitted to the features (``ordhash.learn.fitted``) instead of
            trained; none in the paper. At least four are trained, and 1.5 log_K C, so that C classes can differ.

    Raises:
        InputError: A value below 0, or a ``fitted_share`` of 1 or more.
    """

    name: ClassVar[str] = "doh"
    citation: ClassVar[str] = "Jin et al., arXiv:1805.02459; difference loss as in Luo et al., TKDD 2023, eq. 19"
    supervision: ClassVar[str] = "pairwise + classes"
    binary: ClassVar[bool] = False

    pair_weight: float = 1.0
    class_weight: float = 1.0
    similar_weight: float = 1.0
    fitted_share: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(self, "pair_weight", "class_weight", "similar_weight", "fitted_share")
        if self.fitted_share >= 1:
            raise InputError(f"fitted_share is {self.fitted_share}; it must be below 1, or no segment is trained")

    def fitted_segments(self, task: Task) -> int:
        """A share of the segments, rounded down; but enough are trained to tell the classes apart."""
        n_segments, arity = task.spec.n_segments, task.spec.arity
        trained = max(_LEAST_TRAINED, math.ceil(_TRAINED_FOR_CLASSES * math.log(task.n_classes, arity)))
        return max(0, min(int(self.fitted_share * n_segments), n_segments - trained))

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _DOHLoss(self, task)


class _DOHLoss(nn.Module):
    def __init__(self, settings: DOH, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.task = task

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        pairs = pair_difference_loss(
            relaxed_code(output.scores),
            label_similarity(labels),
            self.task.spec.n_segments,
            similar_weight=self.settings.similar_weight,
        )
        classes = class_loss(output, labels, multilabel=self.task.multilabel)
        return {"pairs": self.settings.pair_weight * pairs, "classes": self.settings.class_weight * classes}
