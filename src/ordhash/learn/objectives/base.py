"""Base class of objectives (frozen settings that build a loss module), and functions that losses share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput

MANY_IMAGES = 100  # per class: enough for pairs in a batch, and to tell a wrong label from a rare image

__all__ = [
    "MANY_IMAGES",
    "Objective",
    "Task",
    "balanced_pair_weights",
    "binary_signs",
    "binary_values",
    "check_above_zero",
    "check_not_negative",
    "class_loss",
    "label_loss",
    "label_shares",
    "label_similarity",
    "pair_balances",
    "pair_mean",
    "relaxed_code",
]


@dataclass(frozen=True)
class Task:
    """Data and code that an objective is built for.

    Attributes:
        spec: Shape of the code.
        n_classes: Columns of the label matrix.
        multilabel: Whether images carry several labels.
        seed: Seed of the objective's random draws.
        n_images: Number of training images; None if unknown.
        scenes: Whether the images are also learned from as small things in scenes.
        soft: Whether labels are soft memberships in clusters of several scales (``ordhash.learn.pseudolabels``).
        fineness: How much clearer the clearest scale of soft labels is than the coarsest, relatively.
        accuracy: Estimated accuracy of class predictions from the frozen features of a pretrained backbone; None if it
            was not estimated, or the backbone is trained too.
        class_features: float (n_classes, D): mean features of each class minus the mean of all images (0 for a class
            without images), for objectives with ``wants_class_features``; else None.
    """

    spec: CodeSpec
    n_classes: int
    multilabel: bool = False
    seed: int = 0
    n_images: int | None = None
    scenes: bool = False
    soft: bool = False
    fineness: float = 0.0
    accuracy: float | None = None
    class_features: Tensor | None = None


class Objective(ABC):
    """A training objective: one file, one paper, one frozen dataclass of settings.

    A subclass is a frozen dataclass whose fields are its settings, with a name for the command line, a citation, and
    ``loss``, which returns the loss: a module that takes a HeadOutput and labels, float32 (n, n_classes) of zeros and
    ones (in between after ``blend`` and for soft labels), and returns named scalar terms. Training minimises their sum.

    Attributes:
        name: Its name on the command line.
        citation: The paper.
        supervision: How it uses labels: pairwise, triplet, classes, centres or proxies.
        binary: Whether it supports only binary codes, of arity 2.
        one_label: Whether images must have one label each.
        wants_class_features: Whether it needs the mean features of the classes, which cost a pass over the images.
        corrects_labels: Whether it replaces probably wrong labels by default (``ordhash.learn.correction``).
        authors_also_use: Further settings that its authors use; a search for settings tries them too.
    """

    name: ClassVar[str]
    citation: ClassVar[str]
    supervision: ClassVar[str]
    binary: ClassVar[bool] = False
    one_label: ClassVar[bool] = False
    wants_class_features: ClassVar[bool] = False
    corrects_labels: ClassVar[bool] = False
    authors_also_use: ClassVar[tuple[dict[str, float], ...]] = ()

    def check_spec(self, spec: CodeSpec) -> None:
        """Check that this objective supports a code.

        Raises:
            InputError: It needs binary codes, and ``spec`` has another arity.
        """
        if self.binary and spec.arity != 2:
            raise InputError(f"objective {self.name} makes binary codes; set arity to 2, it is {spec.arity}")

    def suited(self, task: Task) -> Objective:
        """The objective to train for a task: this one, unless it selects another."""
        return self

    def fitted_segments(self, task: Task) -> int:
        """How many segments are fitted to the features (``ordhash.learn.fitted``) instead of trained."""
        return 0

    def blend(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Transform a loaded batch before training; most objectives return it unchanged.

        Args:
            inputs: Features or pictures (n, ...).
            labels: float (n, n_classes).
        """
        return inputs, labels

    def build(self, task: Task) -> nn.Module:
        """Build the loss module for a task; its parameters, if any, are trained with the network.

        Raises:
            InputError: The objective does not support this task.
        """
        self.check_spec(task.spec)
        if self.one_label and task.multilabel:
            raise InputError(f"objective {self.name} needs images with one label each; choose another objective")
        return self.loss(task)

    @abstractmethod
    def loss(self, task: Task) -> nn.Module:
        """The loss module; ``build`` calls it after checking the task."""


def relaxed_code(scores: Tensor) -> Tensor:
    """Relaxed code h_r = softmax(z_r), flattened: float (n, n_segments * arity).

    >>> relaxed_code(torch.zeros(1, 2, 2)).tolist()
    [[0.5, 0.5, 0.5, 0.5]]
    """
    return torch.softmax(scores, dim=2).flatten(1)


def label_similarity(labels: Tensor) -> Tensor:
    """Similarity s_ij = min(1, y_i . y_j): 1 if two images share a label, else 0; graded for blended labels.

    Args:
        labels: float (n, n_classes).

    Returns:
        float (n, n).

    >>> label_similarity(torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.25, 0.75]])).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 0.75], [1.0, 0.75, 0.625]]
    """
    return (labels @ labels.T).clamp(max=1.0)


def label_shares(labels: Tensor) -> Tensor:
    """Labels normalised to sum to 1; an image without labels keeps zeros.

    Args:
        labels: float (n, n_classes) of zeros and ones.

    Returns:
        float (n, n_classes).

    >>> label_shares(torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])).tolist()
    [[0.5, 0.5], [0.0, 1.0], [0.0, 0.0]]
    """
    return labels / labels.sum(dim=1, keepdim=True).clamp_min(1)


def pair_mean(values: Tensor) -> Tensor:
    """Mean over the pairs i != j; 0 for a batch of one image.

    Args:
        values: float (n, n).

    Returns:
        A scalar.

    >>> float(pair_mean(torch.tensor([[9.0, 1.0], [3.0, 9.0]])))
    2.0
    """
    n = len(values)
    itself = torch.eye(n, dtype=torch.bool, device=values.device)
    return values.masked_fill(itself, 0.0).sum() / max(1, n * (n - 1))


def balanced_pair_weights(similarity: Tensor) -> Tensor:
    """Weights that balance similar and dissimilar pairs of a batch: |S| / |S_1| and |S| / |S_0|.

    Args:
        similarity: float (n, n), 1 for similar pairs and 0 for dissimilar ones; only pairs i != j count.

    Returns:
        float (n, n).

    >>> balanced_pair_weights(torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))[0].tolist()
    [3.0, 3.0, 1.5]
    """
    similar, dissimilar = pair_balances(similarity)
    return similarity * similar + (1 - similarity) * dissimilar


def pair_balances(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """|S| / |S_1| and |S| / |S_0|, the factors that balance similar and dissimilar pairs i != j of a batch.

    Args:
        similarity: float (n, n) in 0..1; a graded pair counts in part as similar.

    Returns:
        Two scalars, finite even if a kind of pair is missing.

    >>> [float(one) for one in pair_balances(torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))]
    [3.0, 1.5]
    """
    n = len(similarity)
    pairs = n * (n - 1)
    similar = similarity.sum() - similarity.diagonal().sum()
    return pairs / similar.clamp_min(1), pairs / (pairs - similar).clamp_min(1)


def binary_values(scores: Tensor) -> Tensor:
    """The real value u of every bit: a bit has the scores (-u/2, +u/2), so u = z_1 - z_0.

    Args:
        scores: float (n, code_bits, 2).

    Returns:
        float (n, code_bits), above 0 where the symbol is 1.

    >>> binary_values(torch.tensor([[[-1.0, 1.0], [0.5, 0.0]]])).tolist()
    [[2.0, -0.5]]
    """
    return scores[..., 1] - scores[..., 0]


def binary_signs(values: Tensor) -> Tensor:
    """Bits as -1 and 1: 1 where u > 0, like the symbols; has no gradient.

    Args:
        values: float, of any shape.

    >>> binary_signs(torch.tensor([-0.3, 0.0, 2.0])).tolist()
    [-1.0, -1.0, 1.0]
    """
    return torch.where(values > 0, 1.0, -1.0).to(values.dtype)


def label_loss(logits: Tensor, labels: Tensor, *, multilabel: bool) -> Tensor:
    """Cross entropy for one label; binary cross entropy, summed over classes, for several.

    Args:
        logits: float (n, n_classes).
        labels: float (n, n_classes) of zeros and ones.
        multilabel: Whether images carry several labels.

    Returns:
        A scalar, the mean over images.

    >>> round(float(label_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), multilabel=False)), 4)
    0.6931
    """
    if multilabel:
        # Summed over classes, so that few positives among many classes keep their weight.
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(dim=1).mean()
    return functional.cross_entropy(logits, labels)


def class_loss(output: HeadOutput, labels: Tensor, *, multilabel: bool) -> Tensor:
    """Mean class loss of the streams; see ``label_loss``.

    Args:
        output: Head output, with class logits float (n, n_classes) per stream.
        labels: float (n, n_classes) of zeros and ones.
        multilabel: Whether images carry several labels.

    Returns:
        A scalar.
    """
    losses = [label_loss(logits, labels, multilabel=multilabel) for logits in output.class_logits]
    return torch.stack(losses).mean()


def check_not_negative(objective: Objective, *settings: str) -> None:
    """Check that settings are 0 or above.

    Raises:
        InputError: A setting is below 0, infinite or NaN.
    """
    for name in settings:
        if not 0 <= getattr(objective, name) < math.inf:
            raise InputError(f"{name} is {getattr(objective, name)}; allowed are 0 and more")


def check_above_zero(objective: object, *settings: str) -> None:
    """Check that settings are above 0.

    Raises:
        InputError: A setting is 0, below 0, infinite or NaN.
    """
    for name in settings:
        if not 0 < getattr(objective, name) < math.inf:
            raise InputError(f"{name} is {getattr(objective, name)}; it must be a number above 0")
