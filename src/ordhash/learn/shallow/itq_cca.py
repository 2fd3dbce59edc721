"""ITQ-CCA: the directions in which features correlate most with labels, rotated as in ITQ.

Iterative Quantization: A Procrustean Approach to Learning Binary Codes, Gong and Lazebnik, CVPR 2011, the
supervised variant. X are the centred features and Y the labels, zeros and ones, one column per class. The paper
specifies canonical correlation analysis with a ridge rho, whose directions w_k solve the generalised eigenvalue problem

    X^T Y (Y^T Y + rho I)^-1 Y^T X w = lambda^2 (X^T X + rho I) w

for the largest lambda. They are scaled by lambda, and the rotation of ITQ is applied to X [lambda_1 w_1, ...].

Our reading: Y is centred too (which does not change X^T Y); columns of classes without images are left out; an image
with several labels has several ones in its row. Products are means over images, and the ridge is relative: rho is
``ridge`` times the mean variance of a feature in one bracket, and of a label in the other. The paper uses 0.0001 for
its features, which have another scale; ours was chosen on held-out training images.

There are at most as many directions as classes, or one less if every image has one label. With more bits than
directions, the missing directions have lambda = 0, so they are columns of zeros: the rotation then moves the values of
an image, a point in few dimensions, near the corners of a cube of code_bits dimensions. So every bit is a hyperplane in
the space of the directions, and no bit uses directions that carry nothing about the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ordhash.learn.directions import canonical_directions
from ordhash.learn.objectives import check_above_zero
from ordhash.learn.shallow.base import Features, Labels, LinearHead, ShallowMethod, check_different, label_matrix
from ordhash.learn.shallow.itq import itq_rotation

__all__ = ["ITQCCA"]


@dataclass(frozen=True)
class ITQCCA(ShallowMethod):
    """Settings of ITQ-CCA.

    Attributes:
        ridge: rho, in units of the mean variance of a feature, or of a label.

    Raises:
        InputError: ``ridge`` is not above 0.

    >>> labels = np.arange(100)[:, None] % 3 == np.arange(3)
    >>> features = (labels @ np.eye(3, 8) + np.random.default_rng(0).normal(size=(100, 8))).astype(np.float32)
    >>> ITQCCA().fit(features, labels, code_bits=4, seed=0).weight.shape
    torch.Size([4, 8])
    """

    name: ClassVar[str] = "itq-cca"
    citation: ClassVar[str] = "Gong and Lazebnik, CVPR 2011"
    supervision: ClassVar[Literal["none", "labels"]] = "labels"
    also_tried: ClassVar[tuple[Mapping[str, float], ...]] = tuple({"ridge": ridge} for ridge in (1e-4, 0.1, 0.3, 3.0))

    ridge: float = 1.0

    def __post_init__(self) -> None:
        check_above_zero(self, "ridge")

    def fit(self, features: Features, labels: Labels | None, code_bits: int, seed: int) -> LinearHead:
        """Fit the rotated canonical directions.

        Raises:
            InputError: There are no labels, fewer than two classes with images, or no two different images.
        """
        targets = label_matrix(labels, self.name)
        check_different(features, self.name)
        mean = features.mean(axis=0, dtype=np.float64)
        directions, correlations = canonical_directions(features - mean, targets - targets.mean(axis=0), self.ridge)
        found = min(code_bits, len(correlations))
        embedding = np.zeros((features.shape[1], code_bits))
        embedding[:, :found] = directions[:, :found] * correlations[:found]
        weight = itq_rotation(((features - mean) @ embedding).astype(np.float32), seed) @ embedding.T
        return LinearHead(weight, -weight @ mean)
