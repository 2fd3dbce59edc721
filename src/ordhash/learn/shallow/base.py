"""Base classes of shallow methods (frozen settings that fit a head) and of their heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput, uniform_attention
from ordhash.support import unit_rows

__all__ = [
    "Features",
    "Labels",
    "LinearHead",
    "PooledHead",
    "ShallowMethod",
    "as_buffer",
    "check_at_least_one",
    "check_different",
    "label_matrix",
]

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]


class ShallowMethod(ABC):
    """A shallow method: one file, one paper, one frozen dataclass of settings.

    A subclass is a frozen dataclass whose fields are its settings, with a name for the command line, a citation, and
    ``fit``, which returns a head for the features of a frozen backbone. Codes have arity 2.

    Attributes:
        name: Its name on the command line.
        citation: The paper.
        supervision: ``none`` to learn from features only, ``labels`` to learn from labels too.
        also_tried: Other settings that a benchmark tries on held-out images, beside the defaults: those of the authors,
            and those that suit other data.
    """

    name: ClassVar[str]
    citation: ClassVar[str]
    supervision: ClassVar[Literal["none", "labels"]]
    also_tried: ClassVar[tuple[Mapping[str, float], ...]] = ()

    def seen(self, pooled: Features, last_channels: int) -> Features:
        """Features for this method, rows of length 1, float32 (n, D or last_channels).

        A method without labels gets only the last map: earlier stages make it worse (docs/experiments.md).

        Args:
            pooled: float32 (n, D), feature maps averaged over locations.
            last_channels: Number of channels of the last map, which come first.
        """
        used = pooled if self.supervision == "labels" else pooled[:, :last_channels]
        return unit_rows(used)

    @abstractmethod
    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> nn.Module:
        """Fit a head, which returns a HeadOutput and has buffers but no parameters.

        Args:
            features: float32 (n, D), rows of length 1; not modified.
            labels: bool (n, n_classes), or None; ignored if ``supervision`` is ``none``.
            code_bits: Length of the codes.
            seed: Seed of random draws.

        Raises:
            InputError: There are too few images, or labels are needed and missing.
        """


class PooledHead(nn.Module):
    """A head on the first D channels of a feature map, averaged over locations and normalised to length 1.

    A subclass computes a value u for every bit; a bit has the scores (-u/2, +u/2), so it is 1 if u > 0.

    Args:
        depth: D.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def values(self, pooled: Tensor) -> Tensor:
        """The value u of every bit, float (n, code_bits).

        Args:
            pooled: float (n, D), rows of length 1.
        """
        raise NotImplementedError

    def forward(self, features: Tensor) -> HeadOutput:
        """HeadOutput without class logits and with uniform attention.

        Args:
            features: float (n, D or more, h, w).
        """
        pooled = nn.functional.normalize(features[:, : self.depth].mean(dim=(2, 3)), dim=1)
        u = self.values(pooled)
        return HeadOutput(torch.stack([-u / 2, u / 2], dim=2), (), uniform_attention(features))


class LinearHead(PooledHead):
    """u = W f + b.

    Args:
        weight: float (code_bits, D).
        bias: float (code_bits,).

    >>> head = LinearHead(np.eye(2), np.array([0.0, -0.5]))
    >>> head(torch.tensor([[3.0, 4.0]])[:, :, None, None]).scores.tolist()
    [[[-0.30000001192092896, 0.30000001192092896], [-0.15000000596046448, 0.15000000596046448]]]
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: npt.ArrayLike, bias: npt.ArrayLike) -> None:
        rows = as_buffer(weight)
        super().__init__(rows.shape[1])
        self.register_buffer("weight", rows)
        self.register_buffer("bias", as_buffer(bias))

    def values(self, pooled: Tensor) -> Tensor:
        """The value u of every bit, float (n, code_bits)."""
        return pooled @ self.weight.T + self.bias


def as_buffer(values: npt.ArrayLike) -> Tensor:
    """Copy as a float32 tensor."""
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


def label_matrix(labels: Labels | None, name: str) -> npt.NDArray[np.float64]:
    """Labels as zeros and ones, without classes that have no images.

    Args:
        labels: bool (n, n_classes), or None.
        name: Name of the method, for messages.

    Returns:
        float64 (n, classes that have images).

    Raises:
        InputError: There are no labels, fewer than two classes have images, or all images have the same labels.

    >>> label_matrix(np.array([[True, False, False], [False, False, True]]), "sdh").tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if labels is None:
        raise InputError(f"{name} learns from labels and the images have none; give labels, or choose itq")
    present = labels.any(axis=0)
    if present.sum() < 2:
        raise InputError(
            f"{name} learns from labels and needs images of at least two classes; there are {len(labels)} "
            f"images of {present.sum()} classes"
        )
    if (labels == labels[0]).all():
        raise InputError(f"{name} learns from labels, and all {len(labels)} images have the same; give some others")
    return labels[:, present].astype(np.float64)


def check_different(features: Features, name: str) -> None:
    """Check that at least two images have different features.

    Raises:
        InputError: There are no two different rows.
    """
    if len(features) < 2 or not np.ptp(features, axis=0).any():
        raise InputError(
            f"{name} needs two images that look different to the backbone; none do of the {len(features)} given"
        )


def check_at_least_one(method: ShallowMethod, *settings: str) -> None:
    """Check that settings are 1 or above.

    Raises:
        InputError: A setting is below 1.
    """
    for name in settings:
        if getattr(method, name) < 1:
            raise InputError(f"{name} is {getattr(method, name)}; allowed are 1 and more")
