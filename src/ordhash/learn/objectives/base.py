"""What an objective is: a frozen description with its settings, and the loss module it builds; what losses share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ordhash.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput

MANY_IMAGES = 100  # a class: enough to meet in batches, and to tell a wrong label from a rare sight

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
    """What an objective needs to know of the data and the code.

    Attributes:
        spec: Shape of the code.
        n_classes: Columns of the label matrix.
        multilabel: Whether images carry several labels.
        seed: Seed of what the objective draws at random.
        n_images: Images to learn from; None where that is not known.
        soft: Whether labels are memberships in clusters of several scales, since none were given
            (``ordhash.learn.pseudolabels``).
        fineness: By which share the clearest scale of soft labels is clearer than the coarsest.
        accuracy: Share of images whose class the frozen features of a pretrained backbone predict rightly, as
            estimated; None where it was not estimated, or the backbone learns too.
        class_features: float (n_classes, D): the mean features of the images of every class, less those of all images
            (0 for a class without any), for an objective that asks for them (``wants_class_features``); else None.
    """

    spec: CodeSpec
    n_classes: int
    multilabel: bool = False
    seed: int = 0
    n_images: int | None = None
    soft: bool = False
    fineness: float = 0.0
    accuracy: float | None = None
    class_features: Tensor | None = None


class Objective(ABC):
    """A training objective: one file, one paper, one frozen dataclass of settings.

    A subclass is a frozen dataclass whose fields are its settings, with a name for the command line, a citation, and
    ``loss``, which returns the loss: a module called with a HeadOutput and labels, float32 (n, n_classes) of zeros
    and ones (between them where ``blend`` mixes, and where labels are soft), that returns its named terms (scalars).
    Training minimises their sum.

    Attributes:
        name: Its name on the command line.
        citation: The paper.
        supervision: What it makes of the labels: pairwise, triplet, classes, centres or proxies.
        binary: Whether it makes codes of bits, that is, of arity 2, and no others.
        one_label: Whether images must carry one label each.
        wants_class_features: Whether it looks at the mean features of the classes; they cost a pass over the images.
        corrects_labels: Whether it learns other labels where given ones are probably wrong
            (``ordhash.learn.correction``), unless settings decide that.
    """

    name: ClassVar[str]
    citation: ClassVar[str]
    supervision: ClassVar[str]
    binary: ClassVar[bool] = False
    one_label: ClassVar[bool] = False
    wants_class_features: ClassVar[bool] = False
    corrects_labels: ClassVar[bool] = False

    def check_spec(self, spec: CodeSpec) -> None:
        """Refuse codes that this objective cannot make.

        Raises:
            InputError: It makes binary codes, and ``spec`` has another arity.
        """
        if self.binary and spec.arity != 2:
            raise InputError(f"objective {self.name} makes binary codes; set arity to 2, it is {spec.arity}")

    def suited(self, task: Task) -> Objective:
        """What is trained for a task: this objective, except where it chooses among others."""
        return self

    def blend(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Batch that the network learns from, made of the batch that was loaded; most objectives leave it as it is.

        Args:
            inputs: Features or pictures (n, ...).
            labels: float (n, n_classes).
        """
        return inputs, labels

    def build(self, task: Task) -> nn.Module:
        """Loss module for a task; its parameters, if it has any, are trained with the network.

        Raises:
            InputError: The objective cannot be used for this task.
        """
        self.check_spec(task.spec)
        if self.one_label and task.multilabel:
            raise InputError(f"objective {self.name} needs images with one label each; choose another objective")
        return self.loss(task)

    @abstractmethod
    def loss(self, task: Task) -> nn.Module:
        """The loss module; called by ``build`` with a task that has passed the checks."""


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


def label_shares(labels: Tensor) -> Tensor:
    """Labels whose several ones share the weight of one; an image without any keeps none.

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
    """Weights that give similar and dissimilar pairs of a batch the same share: |S| / |S_1| and |S| / |S_0|.

    Args:
        similarity: float (n, n), 1 for similar pairs and 0 for dissimilar ones; pairs i != j are counted.

    Returns:
        float (n, n).

    >>> balanced_pair_weights(torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))[0].tolist()
    [3.0, 3.0, 1.5]
    """
    similar, dissimilar = pair_balances(similarity)
    return similarity * similar + (1 - similarity) * dissimilar


def pair_balances(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """|S| / |S_1| and |S| / |S_0|: what gives similar and dissimilar pairs i != j of a batch the same share.

    Args:
        similarity: float (n, n) in 0..1; a pair counts as similar by its share.

    Returns:
        Two scalars; where a kind of pair is missing, nothing is multiplied by its own.

    >>> [float(one) for one in pair_balances(torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))]
    [3.0, 1.5]
    """
    n = len(similarity)
    pairs = n * (n - 1)
    similar = similarity.sum() - similarity.diagonal().sum()
    return pairs / similar.clamp_min(1), pairs / (pairs - similar).clamp_min(1)


def binary_values(scores: Tensor) -> Tensor:
    """The real number u behind every bit: a bit has the scores (-u/2, +u/2), so u = z_1 - z_0.

    Args:
        scores: float (n, code_bits, 2).

    Returns:
        float (n, code_bits), above 0 where the symbol is 1.

    >>> binary_values(torch.tensor([[[-1.0, 1.0], [0.5, 0.0]]])).tolist()
    [[2.0, -0.5]]
    """
    return scores[..., 1] - scores[..., 0]


def binary_signs(values: Tensor) -> Tensor:
    """The bits as -1 and 1: 1 where u is above 0, as the symbols are; no gradient.

    Args:
        values: float, of any shape.

    >>> binary_signs(torch.tensor([-0.3, 0.0, 2.0])).tolist()
    [-1.0, -1.0, 1.0]
    """
    return torch.where(values > 0, 1.0, -1.0).to(values.dtype)


def label_loss(logits: Tensor, labels: Tensor, *, multilabel: bool) -> Tensor:
    """Cross entropy for one label; binary cross entropy, summed over classes, for many.

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
        # Summed over classes, so that a few positives among many classes keep their weight.
        return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(dim=1).mean()
    return functional.cross_entropy(logits, labels)


def class_loss(output: HeadOutput, labels: Tensor, *, multilabel: bool) -> Tensor:
    """Mean class loss of the streams: cross entropy for one label, binary cross entropy for many.

    Args:
        output: What the head said; its class logits are float (n, n_classes) a stream.
        labels: float (n, n_classes) of zeros and ones.
        multilabel: Whether images carry several labels.

    Returns:
        A scalar.
    """
    losses = [label_loss(logits, labels, multilabel=multilabel) for logits in output.class_logits]
    return torch.stack(losses).mean()


def check_not_negative(objective: Objective, *settings: str) -> None:
    """Refuse settings below 0.

    Raises:
        InputError: One is below 0, or no number.
    """
    for name in settings:
        if not getattr(objective, name) >= 0:
            raise InputError(f"{name} is {getattr(objective, name)}; allowed are 0 and more")


def check_above_zero(objective: object, *settings: str) -> None:
    """Refuse settings that are not above 0.

    Raises:
        InputError: One is 0 or below, or no number.
    """
    for name in settings:
        if not getattr(objective, name) > 0:
            raise InputError(f"{name} is {getattr(objective, name)}; it must be above 0")
