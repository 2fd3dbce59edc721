"""A baseline for comparison: the code encodes only the predicted class.

Ours, not from a paper: the class index is written in base K, and every segment learns one of its digits by cross
entropy; the digits repeat until every segment has one. Images of the same predicted class have equal codes, and images
of different classes differ in some segments. A retrieval method that does not beat this baseline has learned to
classify, but not to rank images within a class or ambiguous ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import Objective, Task

__all__ = ["Classifier", "class_digits"]


def class_digits(n_classes: int, n_segments: int, arity: int) -> Tensor:
    """Digits of every class index in base ``arity``, the lowest first, repeated over the segments.

    Args:
        n_classes: Number of classes.
        n_segments: Segments of a code.
        arity: K, the base.

    Returns:
        int64 (n_classes, n_segments).

    Raises:
        InputError: There are more classes than codes.

    >>> class_digits(3, 5, 2).tolist()
    [[0, 0, 0, 0, 0], [1, 0, 1, 0, 1], [0, 1, 0, 1, 0]]
    """
    n_digits = 1
    while arity**n_digits < n_classes:
        n_digits += 1
    if n_digits > n_segments:
        raise InputError(
            f"{n_classes} classes need {n_digits} segments of arity {arity}; the code has {n_segments}: "
            "set code_bits higher"
        )
    powers = arity ** (torch.arange(n_segments) % n_digits)
    return torch.arange(n_classes)[:, None] // powers % arity


@dataclass(frozen=True)
class Classifier(Objective):
    """The predicted class as a code, for images with one label; has no settings."""

    name: ClassVar[str] = "classifier"
    citation: ClassVar[str] = "ordhash; a bound to compare with, not a retrieval method"
    supervision: ClassVar[str] = "classes"
    binary: ClassVar[bool] = False
    one_label: ClassVar[bool] = True

    def loss(self, task: Task) -> nn.Module:
        """The loss module.

        Raises:
            InputError: There are more classes than codes.
        """
        return _ClassifierLoss(class_digits(task.n_classes, task.spec.n_segments, task.spec.arity))


class _ClassifierLoss(nn.Module):
    digits: Tensor

    def __init__(self, digits: Tensor) -> None:
        super().__init__()
        self.register_buffer("digits", digits)

    def forward(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        spelled = functional.one_hot(self.digits, output.scores.shape[2]).to(labels.dtype)
        wanted = torch.einsum("nc,crk->nrk", labels, spelled)  # of images of several classes, a share for each
        return {"digits": functional.cross_entropy(output.scores.flatten(0, 1), wanted.flatten(0, 1))}
