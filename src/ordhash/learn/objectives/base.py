"""What an objective is: a frozen description with its settings, and the loss module it builds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.codes import CodeSpec
from ordhash.learn.network import HeadOutput

__all__ = [
    "Objective",
    "Task",
    "class_loss",
    "label_similarity",
    "relaxed_code",
]


@dataclass(frozen=True)
class Task:
    """What an objective needs to know of the data and the code.

    Attributes:
        spec: Shape of the code.
        n_classes: Columns of the label matrix.
        multilabel: Whether images carry several labels.
        seed: Seed of whatever the objective draws at random.
    """

    spec: CodeSpec
    n_classes: int
    multilabel: bool = False
    seed: int = 0


class Objective(ABC):
    """A training objective: one file, one paper, one frozen dataclass of settings.

    A subclass is a frozen dataclass whose fields are its settings, with a name for the command line, a citation, and
    ``build``, which returns the loss: a module called with a HeadOutput and labels, float32 (n, n_classes) of zeros
    and ones (between them where ``blend`` mixes), that returns its named terms (scalars). Training minimises their sum.
    """

    name: ClassVar[str]
    citation: ClassVar[str]

    def blend(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Batch that the network learns from, made of the batch that was loaded; most objectives leave it as it is.

        Args:
            inputs: Features or pictures (n, ...).
            labels: float (n, n_classes).
        """
        return inputs, labels

    @abstractmethod
    def build(self, task: Task) -> nn.Module:
        """Loss module for a task; its parameters, if it has any, are trained with the network."""


def relaxed_code(scores: Tensor) -> Tensor:
    """Relaxed code h_r = softmax(z_r), flattened: float (n, n_segments * arity).

    >>> relaxed_code(torch.zeros(1, 2, 2)).tolist()
    [[0.5, 0.5, 0.5, 0.5]]
    """
    return torch.softmax(scores, dim=2).flatten(1)


def label_similarity(labels: Tensor) -> Tensor:
    """Similarity s_ij = min(1, y_i . y_j): 1 where two images share a label, else 0, graded for blended labels.

    Args:
        labels: float (n, n_classes).

    Returns:
        float (n, n).

    >>> label_similarity(torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.25, 0.75]])).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 0.75], [1.0, 0.75, 0.625]]
    """
    return (labels @ labels.T).clamp(max=1.0)


def class_loss(output: HeadOutput, labels: Tensor, *, multilabel: bool) -> Tensor:
    """Mean class loss of the streams: cross entropy for one label, binary cross entropy for many.

    Args:
        output: What the head said; its class logits are float (n, n_classes) a stream.
        labels: float (n, n_classes) of zeros and ones.
        multilabel: Whether images carry several labels.

    Returns:
        A scalar.
    """
    if multilabel:
        # Summed over classes, so that a few positives among many classes keep their weight.
        losses = [
            functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(dim=1).mean()
            for logits in output.class_logits
        ]
    else:
        losses = [functional.cross_entropy(logits, labels) for logits in output.class_logits]
    return torch.stack(losses).mean()
