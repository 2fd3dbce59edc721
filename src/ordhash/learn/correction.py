"""Labels that are probably wrong, found and replaced before a network learns them.

A network with enough parameters learns wrong labels by heart, and codes bring images together that do not belong
together. Which labels are wrong is seen before it starts: ridge regression on the features of a pretrained backbone
predicts the labels of one half of the images from those of the other, and a softmax at the temperature that suits the
given labels best makes probabilities of it.

The surest predictions are right. So the share of them that speaks against the given label is e, the share of wrong
labels (as confident learning compares sure predictions with labels: Northcutt et al., arXiv:1911.00068). It is taken
of every predicted class, and the median of the classes is believed, as some classes may look alike. With wrong labels
equally likely to be any other class, predictions of which a share a is right agree with given labels in

    a (1 - e) + (1 - a) e / (C - 1)

of all images, which gives a: where it is low, features say too little to correct anything by. Else Bayes' rule joins
prediction and given label,

    P(c | x, given g) ~ P(c | x) * (1 - e if c = g, else e / (C - 1)),

and the most probable class is the label that is learned. Regression and rule take turns a few times, each time on
labels with fewer errors. Where hardly any label is wrong nothing is changed: there, what looks wrong is mostly hard.
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

_LEAST_SHARE = 0.1  # of wrong labels; with fewer, hard images would be relabelled and little be won
_LARGEST_SHARE = 0.8  # of the share that labels drawn at random would have
_LEAST_ACCURACY = 0.7  # of predictions; with less, they are no better than what they would replace
_SUREST = 0.2  # share of the predictions of a class
LEAST_CLASSES = 3  # for an unasked correction: hard images of two classes look like wrong labels
_RARE = 20  # images; smaller classes keep their labels, as hardly anything predicts them
_PENALTIES = np.logspace(-5, -1.5, 8)  # l, a share of the images
_TEMPERATURES = tuple(2.0 ** (step / 2) for step in range(14))
_LEAST_PROBABILITY = 0.01  # of that of chance
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Correction:
    """What is known of the labels.

    Attributes:
        share: Estimated share of wrong ones, 0..1; None where features say too little.
        accuracy: Estimated share of images whose class features predict rightly.
        classes: Class of every image to learn, int64 (n,).
        changed: Whether it is another than the given one, bool (n,).
    """

    share: float | None
    accuracy: float
    classes: npt.NDArray[np.int64]
    changed: npt.NDArray[np.bool_]


def correct_labels(features: Floats, classes: npt.NDArray[np.int64]) -> Correction:
    """Replace labels that are probably wrong, if there are enough of them, and features that know better.

    Args:
        features: float32 (n, D), of a pretrained backbone; numbers all of them.
        classes: int64 (n,), one class an image.

    Returns:
        The given classes where fewer than a tenth are wrong, or features say too little.

    >>> rng = np.random.default_rng(0)
    >>> true = np.repeat(np.arange(4), 200)
    >>> features = (np.eye(4)[true] + 0.1 * rng.normal(size=(800, 4))).astype(np.float32)
    >>> given = np.where(rng.random(800) < 0.3, (true + 1) % 4, true)
    >>> found = correct_labels(features, given)
    >>> bool((found.classes == true).all()), round(found.share, 1)
    (True, 0.3)
    """
    names, given = np.unique(classes, return_inverse=True)  # a class without images is none
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
        # What predicts given labels predicts their errors too, at first.
        prior = ((probabilities - others) / (1 - share - others)).clip(least)
        for _ in range(_ROUNDS):
            taken = (prior * likelihood).argmax(axis=1)
            prior = _probabilities(regression, one_hot[taken]).clip(least)
        taken = (prior * likelihood).argmax(axis=1)
    return Correction(share if known else None, accuracy, names[taken], taken != given)


def wrong_share(
    probabilities: Floats, classes: npt.NDArray[np.int64], part: npt.NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """Estimated share of wrong labels, and of right predictions.

    Args:
        probabilities: float32 (n, C): of every class, from images of other parts; C at least 2.
        classes: The given classes, int64 (n,).
        part: Which images were predicted together, int64 (n,); the surest are taken of every part, because a wrong
            label makes predictions of the other part less sure. None: all.

    Returns:
        Of the surest fifth of the predictions of a class, the share that speaks against the given label; the
        median of all classes. The share of predictions that are right if so many labels are wrong; 0 if
        labels say nothing.

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
    """Refuse to correct labels of images that carry several.

    Raises:
        InputError: They do.
    """
    if multilabel:
        raise InputError("labels can be corrected only where every image has one; leave correct_labels out")


def corrected(images: ImageSet, correction: Correction) -> list[tuple[str, str, str]]:
    """Images whose label was replaced: key, given class, learned class.

    Args:
        images: n images, one label each.
        correction: Of these.
    """
    given, names = labels_of(images).argmax(axis=1), images.class_names
    changed = np.flatnonzero(correction.changed)
    return [(str(images.keys[row]), names[given[row]], names[correction.classes[row]]) for row in changed]


def write_corrected(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write a CSV file of such images, or remove an earlier one where there are none.

    Args:
        path: The file.
        rows: As ``corrected`` gives them.
    """
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_csv(path, [("image", "label", "learned_as"), *rows])


class _Halves:
    """Ridge regression on fixed features: each half of the rows is predicted from the other, by the best penalty."""

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
    """Softmax of the predictions, at the temperature under which the targets are most likely."""
    predictions = regression.predict(targets)
    below = predictions - predictions.max(axis=1, keepdims=True)

    def likelihood(temperature: float) -> float:
        own = (targets * below).sum(axis=1)
        return float((temperature * own - np.log(np.exp(temperature * below).sum(axis=1))).sum())

    powers: Floats = np.exp(np.float32(max(_TEMPERATURES, key=likelihood)) * below)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
