"""For images without labels: the paper's losses, and a classifier that reads the symbols.

Ours: the losses of DOH (Jin et al., arXiv:1805.02459), and a class layer on the code. With v_r = 2 (z_r minus its mean)
and b_r = 2 (one-hot of the argmax of z_r, minus 1/K), the layer reads all b_r, which have the gradient of v_r, and

    symbol_weight quantisation_weight |v - b|^3

keeps scores near their symbols. For K = 2 these are the signs, the gradient and the penalty of GreedyHash (Su et al.,
NeurIPS 2018), generalised to any K.

Pairs of a batch teach coarse similarity. They rarely contain two images of the same small cluster, which the class
layer learns from every single image. The best weight depends on the images: see the objective ``ordhash``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Task, check_not_negative, label_loss
from ordhash.learn.objectives.doh import DOH

__all__ = ["DOHSymbols", "straight_through"]


def straight_through(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Centred scores v, and symbols b with the gradient of v.

    Args:
        scores: float (n, n_segments, arity).

    Returns:
        v and b, of the same shape.

    >>> import torch
    >>> values, symbols = straight_through(torch.tensor([[[0.25, 0.75], [3.0, 1.0]]]))
    >>> values.tolist(), symbols.tolist()
    ([[[-0.5, 0.5], [2.0, -2.0]]], [[[-1.0, 1.0], [1.0, -1.0]]])
    """
    arity = scores.shape[2]
    values = 2 * (scores - scores.mean(dim=2, keepdim=True))
    one_hot = functional.one_hot(scores.argmax(dim=2), arity).to(scores.dtype)
    symbols = 2 * (one_hot - 1 / arity)
    return values, values + (symbols - values).detach()


@dataclass(frozen=True)
class DOHSymbols(DOH):
    """Settings of the objective for images without labels: those of DOH, and the weights of the class layer on codes.

    Attributes:
        pair_weight: Weight of the ranking loss.
        class_weight: Weight of the class losses.
        similar_weight: w_ij of similar pairs.
        fitted_share: As in DOH.
        symbol_weight: Weight of the classifier on the symbols; 0 is DOH.
        quantisation_weight: Weight of the penalty on scores away from their symbols, as a multiple of
            ``symbol_weight``; the default is from GreedyHash.

    Raises:
        InputError: A value below 0.
    """

    name: ClassVar[str] = "doh-symbols"
    citation: ClassVar[str] = "ordhash; Jin et al., arXiv:1805.02459, and classes from codes as Su et al., NeurIPS 2018"
    supervision: ClassVar[str] = "pairwise + classes"
    binary: ClassVar[bool] = False

    symbol_weight: float = 0.1
    quantisation_weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "symbol_weight", "quantisation_weight")

    def loss(self, task: Task) -> nn.Module:
        """The loss module."""
        return _SymbolLoss(self, task)


class _SymbolLoss(nn.Module):
    def __init__(self, settings: DOHSymbols, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.multilabel = task.multilabel
        self.doh = DOH.loss(settings, task)
        self.classes = nn.Linear(task.spec.n_segments * task.spec.arity, task.n_classes, bias=False)

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        settings = self.settings
        terms: dict[str, Tensor] = self.doh(output, labels)
        values, symbols = straight_through(output.scores)
        read = label_loss(self.classes(symbols.flatten(1)), labels, multilabel=self.multilabel)
        away = (values - symbols.detach()).abs().pow(3).mean()
        terms["symbols"] = settings.symbol_weight * read
        terms["quantisation"] = settings.symbol_weight * settings.quantisation_weight * away
        return terms
