"""DOH on mixed images: what ``ordhash``, the default, trains for classes with many images.

Ours: the losses of DOH (Jin et al., arXiv:1805.02459) on batches that are blended with themselves (mixup, Zhang et al.,
arXiv:1710.09412), with s_ij = y_i . y_j graded accordingly. An image between two classes has to agree with both in part
of the segments; so segments flip one after the other as an image becomes doubtful, and the number of segments that
agree ranks images by confidence. Trained on whole images alone, segments flip together, and doubtful images lie
at distance 0 or R like all others. Where images carry several labels, they are between classes already, and nothing is
mixed: there this is the paper's objective.

What else was tried, and what it gave, is in docs/experiments.md.
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
    """Settings of DOH on mixed images: those of DOH, and how images are mixed.

    Attributes:
        pair_weight: Weight of the ranking loss.
        class_weight: Weight of the class losses.
        similar_weight: w_ij of similar pairs; a pair that is similar in part weighs in between.
        mixup: Both parameters of the beta distribution that a batch's share of blending is drawn from; 0 blends
            nothing.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "doh-mixup"
    citation: ClassVar[str] = "ordhash; Jin et al., arXiv:1805.02459, with mixup, Zhang et al., arXiv:1710.09412"
    supervision: ClassVar[str] = "pairwise + classes, graded"
    binary: ClassVar[bool] = False
    corrects_labels: ClassVar[bool] = True

    mixup: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "mixup")

    def blend(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Batch blended with a shuffled copy of itself, by one share for the whole batch.

        A batch in which an image carries several labels stays as it is: there whole images teach more
        (docs/experiments.md). Of several processes each blends its own part of the batch, so their number changes what
        is learned a little.
        """
        if self.mixup == 0 or (labels.sum(dim=1) > 1).any():
            return inputs, labels
        share = torch.distributions.Beta(self.mixup, self.mixup).sample().item()
        other = torch.randperm(len(inputs))
        return torch.lerp(inputs[other].float(), inputs.float(), share), share * labels + (1 - share) * labels[other]
