"""DOH on blended images: the choice of ``ordhash``, the default objective, for classes with many images.

Ours: the losses of DOH (Jin et al., arXiv:1805.02459) on batches that are blended with themselves (mixup, Zhang et al.,
arXiv:1710.09412), with s_ij = y_i . y_j graded accordingly. An image between two classes has to agree with both in part
of the segments. So segments flip one by one as an image becomes ambiguous, and the number of agreeing segments ranks
images by confidence. Without blending, segments flip together, and ambiguous images lie at distance 0 or R like all
others. Images with several labels are already between classes, so they are not blended, and this is the paper's
objective.

Half of the segments are not trained: they are fitted to the features, which they keep (``ordhash.learn.fitted``). That
costs nothing that can be measured where classes were learned, and images of other classes are found far better
(docs/experiments.md, which also has the alternatives that were tried).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ordhash.learn.objectives.base import check_not_negative
from ordhash.learn.objectives.doh import DOH

__all__ = ["DOHMixup"]


@dataclass(frozen=True)
class DOHMixup(DOH):
    """Settings of DOH, and how images are blended.

    Attributes:
        pair_weight: Weight of the ranking loss.
        class_weight: Weight of the class losses.
        similar_weight: w_ij of similar pairs; interpolated for partly similar pairs.
        mixup: Both parameters of the beta distribution of a batch's blending share; 0 disables blending.
        fitted_share: As in DOH.

    Raises:
        InputError: A value below 0, or a ``fitted_share`` of 1 or more.
    """

    name: ClassVar[str] = "doh-mixup"
    citation: ClassVar[str] = "ordhash; Jin et al., arXiv:1805.02459, with mixup, Zhang et al., arXiv:1710.09412"
    supervision: ClassVar[str] = "pairwise + classes, graded"
    binary: ClassVar[bool] = False
    corrects_labels: ClassVar[bool] = True

    mixup: float = 0.5
    fitted_share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "mixup")

    def blend(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Blend the batch with a shuffled copy of itself, with one share for the whole batch.

        A batch that contains an image with several labels is not blended: whole images are better there
        (docs/experiments.md). Each process blends its own part of the batch, so the number of processes changes the
        result slightly.
        """
        if self.mixup == 0 or (labels.sum(dim=1) > 1).any():
            return inputs, labels
        share = torch.distributions.Beta(self.mixup, self.mixup).sample().item()
        other = torch.randperm(len(inputs))
        return torch.lerp(inputs[other].float(), inputs.float(), share), share * labels + (1 - share) * labels[other]
