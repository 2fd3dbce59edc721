"""SDH: bits that a linear classifier can read, optimised without relaxation, and a kernel machine that predicts them.

Supervised Discrete Hashing (SDH), Shen, Shen, Liu, Shen, CVPR 2015. y_i are the labels of an image, zeros and ones, and
phi(x) = [exp(-|x - a_1|^2 / sigma), ..., exp(-|x - a_m|^2 / sigma)] its kernel values with m anchors, images drawn at
random. The paper minimises, over W, P and bits b_i of -1 and 1,

    sum_i |y_i - W^T b_i|^2 + lambda |W|^2 + nu sum_i |b_i - P^T phi(x_i)|^2

by alternation: W is the ridge solution for fixed bits; bits are updated one position at a time for all images, with the
others fixed (discrete cyclic coordinate descent); P is the least-squares solution. The code of any image is
sgn(P^T phi(x)). m = 1000, lambda = 1, nu = 0.00001 and 5 turns are the paper's.

Our reading: as in the authors' code, the initial bits are random, phi ends with a constant 1, P has a ridge (nu mu
|P|^2 is added to the sum, mu = 0.01), and a turn has up to 10 sweeps over the bits. sigma is ``width`` times the mean
squared distance of images and anchors; the authors' code uses 0.32 for features of length 1. With fewer images than
anchors, all images are anchors. Images with several labels keep several ones. With such a small nu, the bits depend
only on the labels: images with equal labels get equal bits, and P fits them as well as it can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ordhash.learn.objectives import check_above_zero
from ordhash.learn.shallow.base import (
    Features,
    Labels,
    PooledHead,
    ShallowMethod,
    as_buffer,
    check_at_least_one,
    check_different,
    label_matrix,
)

__all__ = ["SDH", "Bits", "KernelHead", "descend", "ridge_solution"]

Matrix = npt.NDArray[np.float64]


class KernelHead(PooledHead):
    """u = W phi(f) + b, with phi_k(f) = exp(-|f - a_k|^2 / sigma).

    Args:
        anchors: a, float (m, D).
        width: sigma, above 0.
        weight: float (code_bits, m).
        bias: float (code_bits,).

    >>> head = KernelHead(np.eye(2), 2.0, np.eye(2), np.zeros(2))
    >>> [round(value, 4) for value in head.values(torch.tensor([[1.0, 0.0]]))[0].tolist()]
    [1.0, 0.3679]
    """

    anchors: Tensor
    width: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, anchors: npt.ArrayLike, width: float, weight: npt.ArrayLike, bias: npt.ArrayLike) -> None:
        rows = as_buffer(anchors)
        super().__init__(rows.shape[1])
        self.register_buffer("anchors", rows)
        self.register_buffer("width", as_buffer(width))
        self.register_buffer("weight", as_buffer(weight))
        self.register_buffer("bias", as_buffer(bias))

    def values(self, pooled: Tensor) -> Tensor:
        """The value u of every bit, float (n, code_bits)."""
        lengths = pooled.square().sum(dim=1, keepdim=True) + self.anchors.square().sum(dim=1)
        near = torch.exp((2 * pooled @ self.anchors.T - lengths) / self.width)
        return near @ self.weight.T + self.bias


@dataclass(frozen=True, eq=False)
class Bits:
    """State of the alternation after a turn.

    Attributes:
        bits: B, float64 (n, code_bits) of -1 and 1.
        classifier: W, float64 (code_bits, n_classes).
        predictor: P, float64 (m + 1, code_bits).
        objective: Value of the minimised sum.
    """

    bits: Matrix
    classifier: Matrix
    predictor: Matrix
    objective: float


@dataclass(frozen=True)
class SDH(ShallowMethod):
    """Settings of SDH.

    Attributes:
        anchors: m, number of anchors of the kernel.
        width: sigma, in units of the mean squared distance of images and anchors.
        class_ridge: lambda, weight of |W|^2.
        prediction_weight: nu, weight of the prediction error of P.
        prediction_ridge: mu, weight of |P|^2.
        turns: Alternations of W, bits and P.
        sweeps: Maximum sweeps over all bits in a turn; stops early when none changes.

    Raises:
        InputError: A value is not above 0.

    >>> labels = np.arange(100)[:, None] % 3 == np.arange(3)
    >>> features = (labels @ np.eye(3, 8) + np.random.default_rng(0).normal(size=(100, 8))).astype(np.float32)
    >>> SDH(anchors=20).fit(features, labels, code_bits=4, seed=0).weight.shape
    torch.Size([4, 20])
    """

    name: ClassVar[str] = "sdh"
    citation: ClassVar[str] = "Shen et al., CVPR 2015"
    supervision: ClassVar[Literal["none", "labels"]] = "labels"
    also_tried: ClassVar[tuple[Mapping[str, float], ...]] = tuple({"width": width} for width in (1 / 3, 3.0))

    anchors: int = 1000
    width: float = 1.0
    class_ridge: float = 1.0
    prediction_weight: float = 1e-5
    prediction_ridge: float = 0.01
    turns: int = 5
    sweeps: int = 10

    def __post_init__(self) -> None:
        check_above_zero(self, "width", "class_ridge", "prediction_weight", "prediction_ridge")
        check_at_least_one(self, "anchors", "turns", "sweeps")

    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> KernelHead:
        """Fit the kernel machine that predicts the bits.

        Raises:
            InputError: There are no labels, fewer than two classes with images, or no two different images.
        """
        targets = label_matrix(labels, self.name)
        check_different(features, self.name)
        rng = np.random.default_rng(seed)
        anchors = features[rng.permutation(len(features))[: self.anchors]]
        distances = _squared_distances(features, anchors)
        width = self.width * float(distances.mean())
        kernel = np.column_stack([np.exp(-distances / width), np.ones(len(features))])
        start = np.where(rng.random((len(features), code_bits)) < 0.5, -1.0, 1.0)
        *_, last = self.alternate(kernel, targets, start)
        return KernelHead(anchors, width, last.predictor[:-1].T, last.predictor[-1])

    def alternate(self, kernel: Matrix, labels: Matrix, bits: Matrix) -> Iterator[Bits]:
        """Alternate W, bits and P; yields the state after each turn.

        Args:
            kernel: phi, float64 (n, m + 1).
            labels: y, float64 (n, n_classes).
            bits: The initial bits, float64 (n, code_bits) of -1 and 1; not modified.
        """
        predictor = ridge_solution(kernel, bits, self.prediction_ridge)
        for _ in range(self.turns):
            classifier = ridge_solution(bits, labels, self.class_ridge)
            bits = descend(bits, labels, classifier, kernel @ predictor, self.prediction_weight, self.sweeps)
            predictor = ridge_solution(kernel, bits, self.prediction_ridge)
            yield Bits(bits, classifier, predictor, self.objective(kernel, labels, bits, classifier, predictor))

    def objective(self, kernel: Matrix, labels: Matrix, bits: Matrix, classifier: Matrix, predictor: Matrix) -> float:
        """Value of the minimised sum; arguments as in ``alternate`` and ``Bits``."""
        classes = np.square(labels - bits @ classifier).sum() + self.class_ridge * np.square(classifier).sum()
        values = np.square(bits - kernel @ predictor).sum() + self.prediction_ridge * np.square(predictor).sum()
        return float(classes + self.prediction_weight * values)


def ridge_solution(inputs: Matrix, targets: Matrix, ridge: float) -> Matrix:
    """The S that minimises |targets - inputs S|^2 + ridge |S|^2.

    Args:
        inputs: float (n, m).
        targets: float (n, k).
        ridge: Above 0.

    Returns:
        float64 (m, k).

    >>> ridge_solution(np.ones((3, 1)), np.full((3, 1), 2.0), ridge=1.0).tolist()
    [[1.5]]
    """
    gram = inputs.T @ inputs + ridge * np.eye(inputs.shape[1])
    return np.asarray(np.linalg.solve(gram, inputs.T @ targets), dtype=np.float64)


def descend(bits: Matrix, labels: Matrix, classifier: Matrix, values: Matrix, weight: float, sweeps: int) -> Matrix:
    """Discrete cyclic coordinate descent on |labels - bits W|^2 + weight |bits - values|^2.

    Sets one position at a time, for all images, to the best bit with the others fixed.

    Args:
        bits: float (n, code_bits) of -1 and 1; not modified.
        labels: float (n, n_classes).
        classifier: W, float (code_bits, n_classes).
        values: float (n, code_bits), the predictions of P.
        weight: nu.
        sweeps: Maximum sweeps over all positions.

    Returns:
        float64 (n, code_bits) of -1 and 1; a bit that makes no difference becomes -1.

    >>> descend(-np.ones((2, 1)), np.array([[1.0], [-1.0]]), np.ones((1, 1)), np.zeros((2, 1)), 0.1, 1).tolist()
    [[1.0], [-1.0]]
    """
    bits = bits.copy()
    wanted = labels @ classifier.T + weight * values
    overlap = classifier @ classifier.T
    np.fill_diagonal(overlap, 0.0)  # a bit fits the residual of the others
    for _ in range(sweeps):
        before = bits.copy()
        for position in range(bits.shape[1]):
            bits[:, position] = np.where(wanted[:, position] > bits @ overlap[:, position], 1.0, -1.0)
        if np.array_equal(bits, before):
            break
    return bits


def _squared_distances(features: Features, anchors: Features) -> Matrix:
    x, a = features.astype(np.float64), anchors.astype(np.float64)
    distances: Matrix = np.square(x).sum(axis=1)[:, None] + np.square(a).sum(axis=1) - 2 * x @ a.T
    return np.maximum(distances, 0.0)
