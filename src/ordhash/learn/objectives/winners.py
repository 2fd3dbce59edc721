"""The default objective: the winners themselves agree, with each other and with class codewords.

Ours. The paper's objective trains the relaxed code h = softmax(z), but a search compares its winners; the gap lets a
network drive h to one-hot codes that are over-confident on the images it was trained on, with the same distance from
an image it is sure of and from one it guesses. Here both terms see the winners (straight-through, Bengio et al.,
arXiv:1308.3432), so segments flip one after the other as an image becomes doubtful, and the number of segments that
agree ranks images by confidence:

- pairs: the difference loss of DOH on the winners, mean over pairs of (s_ij - agreement(b_i, b_j))^2;
- codewords: each class has a K-ary codeword, codewords far apart in ordinal distance (K-ary error-correcting output
  codes, Dietterich and Bakiri 1995; for binary codes the hash centres of CSQ, Yuan et al., CVPR 2020); cross entropy
  of scale * agreement(b_i, codeword_c) over classes.

What else was tried, and by how much this wins, is in docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.codes import CodeSpec
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Objective, Task, class_loss, shared_label, straight_through_code
from ordhash.learn.objectives.doh import pair_difference_loss

__all__ = ["Winners", "class_codewords"]

_CODEBOOK_TRIALS = 500


def class_codewords(n_classes: int, spec: CodeSpec, *, seed: int) -> npt.NDArray[np.int64]:
    """One K-ary codeword a class, with a large minimal ordinal distance.

    In every segment the classes are spread evenly over the symbols (each symbol carries information); of several
    random codebooks the one with the largest minimal distance, then the fewest pairs at it, is kept.

    Args:
        n_classes: Number of codewords.
        spec: Shape of the code.
        seed: Seed of the draw.

    Returns:
        int64 (n_classes, n_segments), symbols below ``spec.arity``.

    >>> class_codewords(4, CodeSpec(8, 4), seed=0).shape
    (4, 4)
    """
    generator = np.random.default_rng(seed)
    even = np.arange(n_classes) % spec.arity
    # Work grows with the square of the classes; many classes are far apart in any draw, so fewer draws will do.
    trials = max(1, min(_CODEBOOK_TRIALS, 5_000_000 // (n_classes * n_classes * spec.n_segments)))
    best: npt.NDArray[np.int64] | None = None
    best_rank = (-1, 0)
    for _ in range(trials):
        book = np.stack([generator.permutation(even) for _ in range(spec.n_segments)], axis=1)
        one_hot = np.eye(spec.arity, dtype=np.float32)[book].reshape(n_classes, -1)
        distances = spec.n_segments - np.rint(one_hot @ one_hot.T).astype(np.int64)
        distances = distances[~np.eye(n_classes, dtype=bool)]
        if len(distances) == 0:
            return book
        rank = (int(distances.min()), -int((distances == distances.min()).sum()))
        if best is None or rank > best_rank:
            best, best_rank = book, rank
    if best is None:
        raise AssertionError("no codebook was drawn")
    return best


@dataclass(frozen=True)
class Winners(Objective):
    """Settings of the default objective.

    Attributes:
        pair_weight: Weight of the difference loss on the winners.
        codeword_weight: Weight of the cross entropy over codewords.
        codeword_scale: Logit of full agreement with a codeword; smaller keeps more doubt in the code.
        class_weight: Weight of the class losses of the streams, which drive the attention.
    """

    name: ClassVar[str] = "winners"
    citation: ClassVar[str] = "ordhash; builds on Jin et al., arXiv:1805.02459, and Bengio et al., arXiv:1308.3432"

    pair_weight: float = 3.0
    codeword_weight: float = 1.0
    codeword_scale: float = 8.0
    class_weight: float = 1.0

    def build(self, task: Task) -> nn.Module:
        """Loss module of this objective."""
        return _WinnersLoss(self, task)


class _WinnersLoss(nn.Module):
    codewords: Tensor

    def __init__(self, settings: Winners, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.task = task
        book = torch.from_numpy(class_codewords(task.n_classes, task.spec, seed=task.seed))
        one_hot = functional.one_hot(book, task.spec.arity).to(torch.float32).flatten(1)
        self.register_buffer("codewords", one_hot)

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        n_segments = self.task.spec.n_segments
        winners = straight_through_code(output.scores)
        agreement = winners @ self.codewords.T / n_segments
        # With many labels the target is spread evenly over them, as the centroid of hash centres is in CSQ.
        targets = labels / labels.sum(dim=1, keepdim=True).clamp_min(1.0)
        settings = self.settings
        return {
            "pairs": settings.pair_weight * pair_difference_loss(winners, shared_label(labels), n_segments),
            "codewords": settings.codeword_weight
            * functional.cross_entropy(settings.codeword_scale * agreement, targets),
            "classes": settings.class_weight * class_loss(output, labels, multilabel=self.task.multilabel),
        }
