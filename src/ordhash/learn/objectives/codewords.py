"""For few images per class: images learn their class's codeword.

Ours, for data sets where a batch holds few images of a class, so that the pairs of DOH (Jin et al., arXiv:1805.02459)
are rarely similar. Every class gets a fixed codeword, and scores are trained with the cross entropy of the logits

    scale (cos(z, o_c) - margin y_c),

as OrthoHash does with binary codes (Hoe et al., arXiv:2109.14449); z are the scores minus the mean of each segment, o_c
is the one-hot codeword, centred likewise. The pair loss of DOH is kept.

Codewords are far from each other, but less so for classes that look alike. At most half of the trained segments may
agree; of these, two codewords agree in about the share

    max(0, cos(m_c, m_d))^2,

where m_c is the mean feature of class c minus that of all images. So apples lie nearer to pears than to milk, and
images of unseen classes lie near what they resemble (docs/experiments.md).

Codewords alone make all images of a class identical and discard what distinguishes unseen classes. So half of the
segments are fitted to the features (``ordhash.learn.fitted``). They also rank images whose other segments agree, which
is better than a tie for learned classes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Task, check_above_zero, check_not_negative, label_shares
from ordhash.learn.objectives.centres import agreeing_codewords, far_codewords
from ordhash.learn.objectives.doh import DOH

__all__ = ["DOHCodewords"]


@dataclass(frozen=True)
class DOHCodewords(DOH):
    """Settings of the objective for few images per class.

    Attributes:
        pair_weight: Weight of the ranking loss.
        class_weight: Weight of the class losses.
        similar_weight: w_ij of similar pairs.
        codeword_weight: Weight of the cross entropy on codewords.
        scale: Factor of the cosines.
        margin: Margin by which the cosine with the right codeword has to be larger.
        fitted_share: As in DOH.

    Raises:
        InputError: A value is below 0, ``scale`` is 0, or ``fitted_share`` is 1 or more.
    """

    name: ClassVar[str] = "doh-codewords"
    citation: ClassVar[str] = "ordhash; Jin et al., arXiv:1805.02459, and codewords as Hoe et al., arXiv:2109.14449"
    supervision: ClassVar[str] = "pairwise + classes + centres"
    binary: ClassVar[bool] = False
    wants_class_features: ClassVar[bool] = True

    codeword_weight: float = 1.0
    scale: float = 10.0
    margin: float = 0.2
    fitted_share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "codeword_weight", "margin")
        check_above_zero(self, "scale")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _CodewordLoss(self, task)


class _CodewordLoss(nn.Module):
    codewords: Tensor

    def __init__(self, settings: DOHCodewords, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.pairs = DOH.loss(settings, task)
        if task.class_features is None:
            codewords = far_codewords(task.n_classes, task.spec, task.seed)
        else:
            apart = functional.normalize(task.class_features.float(), dim=1)
            wanted = (apart @ apart.T).clamp(min=0).square()
            codewords = agreeing_codewords(wanted.numpy(), task.spec, task.seed)
        corners = functional.one_hot(torch.from_numpy(codewords), task.spec.arity).float()
        self.register_buffer("codewords", _direction(corners))

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        settings = self.settings
        terms: dict[str, Tensor] = self.pairs(output, labels)
        wanted = label_shares(labels)
        cosines = _direction(output.scores) @ self.codewords.T
        logits = settings.scale * (cosines - settings.margin * wanted)
        terms["codewords"] = settings.codeword_weight * functional.cross_entropy(logits, wanted)
        return terms


def _direction(scores: Tensor) -> Tensor:
    """Scores (n, R, K) minus the mean of each segment, which does not affect the code; flattened, of length 1."""
    return functional.normalize((scores - scores.mean(dim=2, keepdim=True)).flatten(1), dim=1)
