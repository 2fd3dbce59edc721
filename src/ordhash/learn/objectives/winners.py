"""The default objective: the difference loss of DOH between what a search compares, on mixed images.

Ours. The paper's objective compares relaxed codes h = softmax(z) with each other, but a search compares winners. Two
changes close the gap:

- *Pairs against winners*: mean over ordered pairs i != j of (s_ij - (1/R) sum_r <h_i_r, b_j_r>)^2, where b_j is the
  one-hot code of the winners of image j, held fixed. It is the similarity that the asymmetric distance measures, and
  its gradient reaches h_i through the symbols that j really has in the index.
- *Mixed images* (mixup, Zhang et al., arXiv:1710.09412): a batch is blended with itself, and s_ij = y_i . y_j is graded
  accordingly. An image between two classes has to agree with both in part of the segments; so segments flip one after
  the other as an image becomes doubtful, and the number of segments that agree ranks images by confidence.

What else was tried, and what it gave, is in docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Objective, Task, class_loss, relaxed_code, winner_code
from ordhash.learn.objectives.doh import pair_difference_loss

__all__ = ["Winners", "graded_similarity"]


def graded_similarity(labels: Tensor) -> Tensor:
    """Similarity s_ij = min(1, y_i . y_j) of labels that may be blended; float (n, n).

    >>> graded_similarity(torch.tensor([[1.0, 0.0], [0.25, 0.75]])).tolist()
    [[1.0, 0.25], [0.25, 0.625]]
    """
    return (labels @ labels.T).clamp(max=1.0)


@dataclass(frozen=True)
class Winners(Objective):
    """Settings of the default objective.

    Attributes:
        pair_weight: Weight of the difference loss against winners.
        class_weight: Weight of the class losses of the streams, which drive the attention.
        mixup: Both parameters of the beta distribution that a batch's share of blending is drawn from; 0 blends
            nothing.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "winners"
    citation: ClassVar[str] = "ordhash; builds on Jin et al., arXiv:1805.02459, and Zhang et al., arXiv:1710.09412"

    pair_weight: float = 6.0
    class_weight: float = 1.0
    mixup: float = 0.5

    def __post_init__(self) -> None:
        for name in ("pair_weight", "class_weight", "mixup"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; allowed are 0 and more")

    def blend(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Batch blended with a shuffled copy of itself, by one share for the whole batch.

        Of several processes each blends its own part of the batch, so their number changes what is learned a little.
        """
        if self.mixup == 0:
            return inputs, labels
        share = torch.distributions.Beta(self.mixup, self.mixup).sample().item()
        other = torch.randperm(len(inputs))
        return torch.lerp(inputs[other].float(), inputs.float(), share), share * labels + (1 - share) * labels[other]

    def build(self, task: Task) -> nn.Module:
        """Loss module of this objective."""
        return _WinnersLoss(self, task)


class _WinnersLoss(nn.Module):
    def __init__(self, settings: Winners, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.task = task

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        pairs = pair_difference_loss(
            relaxed_code(output.scores),
            graded_similarity(labels),
            self.task.spec.n_segments,
            against=winner_code(output.scores),
        )
        classes = class_loss(output, labels, multilabel=self.task.multilabel)
        return {"pairs": self.settings.pair_weight * pairs, "classes": self.settings.class_weight * classes}
