"""Find and replace probably wrong labels before a network learns them.

A network with enough parameters memorises wrong labels, and its codes then group images that do not belong together.
Wrong labels are detected before training: ridge regression on the features of a pretrained backbone predicts the labels
of each half of the images from the other half, and a softmax, at the temperature under which the given labels are most
likely, turns the predictions into probabilities.

The most confident predictions are assumed to be right, so the share of them that contradicts the given label estimates
e, the share of wrong labels (similar to confident learning: Northcutt et al., arXiv:1911.00068). It is computed per
predicted class, and the median over classes is used, because some classes may look alike. If a wrong label is equally
likely to be any other class, predictions of which a share a is right agree with the given labels for

    a (1 - e) + (1 - a) e / (C - 1)

of all images, which yields a. If a is low, the features are too weak to correct labels. Otherwise Bayes' rule combines
prediction and given label,

    P(c | x, given g) ~ P(c | x) * (1 - e if c = g, else e / (C - 1)),

and the most probable class becomes the training label. Regression and Bayes' rule alternate for a few rounds, each on
labels with fewer errors. If few labels are wrong nothing is changed: then most images that look mislabelled are just
hard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ordhash.data import ImageSet
from ordhash.errors import InputError
from ordhash.learn.validation import labels_of
from ordhash.support import write_csv

__all__ = [
    "CORRECTED_FILE",
    "Correction",
    "check_one_label",
    "correct_labels",
    "corrected",
    "write_corrected",
    "wrong_share",
]

CORRECTED_FILE = "corrected.csv"  # beside a model

Floats = npt.NDArray[np.float32]

_LEAST_SHARE = 0.1  # of wrong labels; below it, hard images would be relabelled for little gain
_LARGEST_SHARE = 0.8  # relative to the share among random labels
_LEAST_ACCURACY = 0.7  # of predictions; below it, they are no better than the labels they would replace
_SUREST = 0.2  # share of the predictions of a class
LEAST_CLASSES = 3  # for correction by default: with two classes, hard images look like wrong labels
_RARE = 20  # images; smaller classes keep their labels, because they are hard to predict
_PENALTIES = np.logspace(-5, -1.5, 8)  # ridge penalties, relative to the number of images
_TEMPERATURES = tuple(2.0 ** (step / 2) for step in range(14))
_LEAST_PROBABILITY = 0.01  # relative to chance
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Correction:
    """Result of a label correction.

    Attributes:
        share: Estimated share of wrong labels, 0..1; None if the features predict labels too badly.
        accuracy: Estimated accuracy of the class predictions from the features.
        classes: Class to learn for every image, int64 (n,).
        changed: Whether it differs from the given class, bool (n,).
    """

    share: float | None
    accuracy: float
    classes: npt.NDArray[np.int64]
    changed: npt.NDArray[np.bool_]


def correct_labels(features: Floats, classes: npt.NDArray[np.int64]) -> Correction:
    """Replace probably wrong labels, if there are enough of them and the features predict labels well enough.

    Args:
        features: float32 (n, D), finite, from a pretrained backbone.
        classes: int64 (n,), one class per image.

    Returns:
        The classes to learn: the given ones if fewer than a tenth are wrong, or the features predict them too badly.

    >>> rng = np.random.default_rng(0)
    >>> true = np.repeat(np.arange(4), 200)
    >>> features = (np.eye(4)[true] + 0.1 * rng.normal(size=(800, 4))).astype(np.float32)
    >>> given = np.where(rng.random(800) < 0.3, (true + 1) % 4, true)
    >>> found = correct_labels(features, given)
    >>> bool((found.classes == true).all()), round(found.share, 1)
    (True, 0.3)
    """
    names, given = np.unique(classes, return_inverse=True)  # drops classes without images
    one_hot, n_classes = np.eye(len(names), dtype=np.float32), len(names)
    if n_classes < 2:
        return Correction(None, 1.0, classes, np.zeros(len(classes), dtype=bool))
    regression = _Halves(features)
    probabilities = _probabilities(regression, one_hot[given])
    share, accuracy = wrong_share(probabilities, given, regression.part)
    others = share / (n_classes - 1)
    known = share <= _LARGEST_SHARE * (1 - 1 / n_classes) and accuracy >= _LEAST_ACCURACY
    taken = given
    if known and share >= _LEAST_SHARE:
        own = one_hot[given] > 0
        likelihood = np.where(own, 1 - share, others).astype(np.float32)
        rare = np.bincount(given)[given] < _RARE
        likelihood[rare] *= own[rare]
        least = _LEAST_PROBABILITY / n_classes
        # At first, the regression on the given labels also predicts their errors.
        prior = ((probabilities - others) / (1 - share - others)).clip(least)
        for _ in range(_ROUNDS):
            taken = (prior * likelihood).argmax(axis=1)
            prior = _probabilities(regression, one_hot[taken]).clip(least)
        taken = (prior * likelihood).argmax(axis=1)
    return Correction(share if known else None, accuracy, names[taken], taken != given)


def wrong_share(
    probabilities: Floats, classes: npt.NDArray[np.int64], part: npt.NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """Estimate the share of wrong labels and the accuracy of predictions.

    Args:
        probabilities: float32 (n, C), C at least 2: class probabilities, predicted from the images of other parts.
        classes: The given classes, int64 (n,).
        part: The part each image belongs to, int64 (n,). The most confident predictions are taken from each part,
            because a wrong label makes the predictions of the other part less confident. None: one part.

    Returns:
        The share of wrong labels: among the most confident fifth of the predictions of each class, the share that
        contradicts the given label, as the median over classes. And the share of right predictions that follows from
        it; 0 if the labels carry no information.

    >>> sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.05, 0.95]], np.float32)
    >>> wrong_share(sure, np.array([0, 0, 1, 1]))
    (0.0, 1.0)
    """
    n, n_classes = probabilities.shape
    predicted, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    against = np.zeros((n_classes, 2))
    for own in [np.arange(n)] if part is None else [np.flatnonzero(part == one) for one in np.unique(part)]:
        for c in np.unique(predicted[own]):
            rows = own[predicted[own] == c]
            surest = rows[np.argsort(-sure[rows], kind="stable")[: math.ceil(_SUREST * len(rows))]]
            against[c] += (classes[surest] != c).sum(), len(surest)
    wrong, looked_at = against[against[:, 1] > 0].T
    share = float(np.median(wrong / looked_at))
    by_chance = share / (n_classes - 1)
    agreeing = float((predicted == classes).mean())
    accuracy = (agreeing - by_chance) / (1 - share - by_chance) if share + by_chance < 1 else 0.0
    return share, accuracy


def check_one_label(multilabel: bool) -> None:
    """Check that images have one label each, which label correction needs.

    Raises:
        InputError: Images have several labels.
    """
    if multilabel:
        raise InputError("labels can be corrected only where every image has one; leave correct_labels out")


def corrected(images: ImageSet, correction: Correction) -> list[tuple[str, str, str]]:
    """Images whose label was replaced: key, given class, learned class.

    Args:
        images: n images, one label each.
        correction: The correction of their labels.
    """
    given, names = labels_of(images).argmax(axis=1), images.class_names
    changed = np.flatnonzero(correction.changed)
    return [(str(images.keys[row]), names[given[row]], names[correction.classes[row]]) for row in changed]


def write_corrected(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write corrected labels as CSV; without any, delete an existing file.

    Args:
        path: The file.
        rows: As returned by ``corrected``.
    """
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_csv(path, [("image", "label", "learned_as"), *rows])


class _Halves:
    """Ridge regression that predicts each half of the rows from the other, with the best penalty."""

    def __init__(self, features: Floats) -> None:
        centred = features - features.mean(axis=0)
        centred /= np.sqrt((centred**2).sum(axis=1).mean()).clip(1e-12)
        self.part = np.random.default_rng(0).permutation(len(features)) % 2
        self._halves = []
        for one in (0, 1):
            own, other = self.part == one, centred[self.part != one]
            values, vectors = np.linalg.eigh((other.T @ other).astype(np.float64))
            turn = vectors.astype(np.float32)
            self._halves.append((own, centred[own] @ turn, values.clip(0), other @ turn))

    def predict(self, targets: Floats) -> Floats:
        """Predictions float32 (n, C) of targets (n, C)."""
        mean = targets.mean(axis=0)
        centred = targets - mean
        best: tuple[float, Floats] | None = None
        products = [other.T @ centred[~own] for own, _, _, other in self._halves]
        for penalty in _PENALTIES * len(targets):
            predictions = np.empty_like(targets)
            for (own, rotated, values, _), product in zip(self._halves, products, strict=True):
                predictions[own] = rotated @ ((1 / (values + penalty)).astype(np.float32)[:, None] * product) + mean
            error = float(((predictions - targets) ** 2).mean())
            if best is None or error < best[0]:
                best = error, predictions
        if best is None:
            raise RuntimeError("there are penalties")  # for the type checker
        return best[1]


def _probabilities(regression: _Halves, targets: Floats) -> Floats:
    """Softmax of the predictions, at the temperature that maximises the likelihood of the targets."""
    predictions = regression.predict(targets)
    below = predictions - predictions.max(axis=1, keepdims=True)

    def likelihood(temperature: float) -> float:
        own = (targets * below).sum(axis=1)
        return float((temperature * own - np.log(np.exp(temperature * below).sum(axis=1))).sum())

    powers: Floats = np.exp(np.float32(max(_TEMPERATURES, key=likelihood)) * below)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
