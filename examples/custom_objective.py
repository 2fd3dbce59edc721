"""An objective of one's own, tried on made-up pictures: the example of docs/objectives.md.

The pairwise logistic loss with balanced pairs of HashNet (Cao, Long, Wang, Yu, ICCV 2017, arXiv:1702.00758), on
relaxed ordinal codes. The paper fixes the loss and the balance; for arity K, our reading puts the agreement of two
relaxed codes, brought from 0..1 to -1..1, where the paper has the inner product of two binary codes. For K = 2 both
are the same up to the scale. The paper sharpens its relaxation step by step; here it stays a softmax.

Run it with ``.venv/bin/python examples/custom_objective.py``.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.data import ImageSet
from ordhash.learn import DOHConfig, HeadOutput, TrainConfig, train
from ordhash.learn.objectives import Objective, Task, class_loss, label_similarity, relaxed_code


@dataclass(frozen=True)
class PairLogistic(Objective):
    """Settings of the pairwise logistic objective.

    Attributes:
        scale: Logit of a pair that agrees in every segment.
        pair_weight: Weight of the pairwise loss.
        class_weight: Weight of the class losses, which drive the attention.
    """

    name: ClassVar[str] = "pair-logistic"
    citation: ClassVar[str] = "Cao et al., ICCV 2017, arXiv:1702.00758, on ordinal codes"
    supervision: ClassVar[str] = "pairwise + classes"

    scale: float = 4.0
    pair_weight: float = 1.0
    class_weight: float = 1.0

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _PairLogisticLoss(self, task)


class _PairLogisticLoss(nn.Module):
    def __init__(self, settings: PairLogistic, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.task = task

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        codes = relaxed_code(output.scores)
        agreement = codes @ codes.T / self.task.spec.n_segments
        similar = label_similarity(labels)
        pairs = ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
        logits, wanted = self.settings.scale * (2 * agreement - 1)[pairs], similar[pairs]
        share = wanted.mean().clamp(1e-3, 1 - 1e-3)
        weights = torch.where(wanted > 0, 0.5 / share, 0.5 / (1 - share))  # both kinds of pair weigh the same
        return {
            "pairs": self.settings.pair_weight
            * functional.binary_cross_entropy_with_logits(logits, wanted, weight=weights),
            "classes": self.settings.class_weight * class_loss(output, labels, multilabel=self.task.multilabel),
        }


def coloured_pictures(a_class: int) -> ImageSet:
    """Noisy pictures of four colours, uint8 (4 * a_class, 64, 64, 3)."""
    colours = np.array([(200, 40, 40), (220, 200, 50), (40, 90, 200), (60, 170, 80)])
    classes = np.repeat(np.arange(4), a_class)
    noise = np.random.default_rng(0).normal(0, 40, (len(classes), 64, 64, 3))
    pictures = np.clip(colours[classes][:, None, None] + noise, 0, 255).astype(np.uint8)
    return ImageSet(pictures, labels=np.eye(4, dtype=bool)[classes], class_names=("red", "yellow", "blue", "green"))


def main() -> None:
    config = DOHConfig(code_bits=16, objective=PairLogistic(scale=6.0), image_size=64)
    settings = TrainConfig(epochs=10, batch_size=16, mode="frozen")
    with tempfile.TemporaryDirectory() as out:
        result = train(coloured_pictures(20), config, settings, out=Path(out))
    for entry in result.history:
        print(entry)


if __name__ == "__main__":
    main()
