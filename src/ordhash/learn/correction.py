"""Labels that are probably wrong, found and replaced before a network learns them.

A network with enough parameters learns wrong labels by heart, and codes bring images together that do not belong
together. Which labels are wrong is seen before it starts: features of a pretrained backbone predict every label from
the labels of all other images, by ridge regression whose leave-one-out predictions have a closed form,

    p_i = (f_i - h_i y_i) / (1 - h_i),    h = diag(X (X'X + l I)^-1 X'),

and a softmax at the temperature that suits the given labels best makes probabilities of them. Labels are counted
against predictions as in confident learning (Northcutt et al., arXiv:1911.00068): an image counts where its probability
of some class is at least the mean one of that class's own members, and counts for the most probable of such classes. So
every pair of classes has the share of one that counts for the other. Classes that look alike have much of that among
themselves, wrong labels spread over all pairs: the mean over the middle half of the pairs, times C - 1, is taken for e,
the share of wrong labels. With those equally likely to be any other class, Bayes' rule joins prediction and given
label,

    P(c | x, g) ~ P(c | x) * (1 - e if c = g, else e / (C - 1)),

and the most probable class is the label that is learned. Regression and rule take turns a few times, each time on
labels with fewer errors. Where hardly any label is wrong nothing is changed: there, what looks wrong is mostly hard.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import trim_mean

from ordhash.data.imageset import ImageSet
from ordhash.files import replace_file
from ordhash.learn.validation import labels_of

__all__ = ["Correction", "correct_labels", "corrected", "write_corrected", "wrong_share"]

Floats = npt.NDArray[np.float64]

LEAST_SHARE = 0.1  # of wrong labels; with fewer, hard images would be relabelled and little be won
IMAGES_A_CLASS = 100  # with fewer, a wrong label is not told from a rare sight
_PENALTIES = np.logspace(-5, -1.5, 8)  # l, a share of the images
_TEMPERATURES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
_LEAST_PROBABILITY = 1e-3
_ROUNDS = 5
_ROWS = 4096  # at a time


@dataclass(frozen=True, eq=False)
class Correction:
    """What is known of the labels.

    Attributes:
        share: Estimated share of wrong ones, 0..1.
        classes: Class of every image to learn, int64 (n,).
        changed: Whether it is another than the given one, bool (n,).
    """

    share: float
    classes: npt.NDArray[np.int64]
    changed: npt.NDArray[np.bool_]


def correct_labels(features: npt.NDArray[np.float32], classes: npt.NDArray[np.int64], n_classes: int) -> Correction:
    """Replace labels that are probably wrong, if there are enough of them.

    Args:
        features: float32 (n, D), of a pretrained backbone.
        classes: int64 (n,) in 0..n_classes - 1, one class an image.
        n_classes: C, at least 2.

    Returns:
        The given classes where fewer than a tenth are wrong, or so many that labels say nothing.

    >>> rng = np.random.default_rng(0)
    >>> true = np.repeat([0, 1], 200)
    >>> features = (true[:, None] + 0.2 * rng.normal(size=(400, 3))).astype(np.float32)
    >>> given = np.where(rng.random(400) < 0.3, 1 - true, true)
    >>> found = correct_labels(features, given, 2)
    >>> bool((found.classes == true).all()), round(found.share, 1)
    (True, 0.3)
    """
    regression = _LeaveOneOut(features)
    probabilities = _probabilities(regression, np.eye(n_classes)[classes])
    share = wrong_share(probabilities, classes)
    taken = classes
    if LEAST_SHARE <= share < 1 - 1 / n_classes:  # with more, labels say nothing, or the opposite
        others = share / (n_classes - 1)
        likelihood = np.where(np.eye(n_classes, dtype=bool)[classes], 1 - share, others)
        # What predicts given labels predicts their errors too, at first.
        prior = ((probabilities - others) / (1 - share - others)).clip(_LEAST_PROBABILITY)
        for _ in range(_ROUNDS):
            taken = (prior * likelihood).argmax(axis=1)
            prior = _probabilities(regression, np.eye(n_classes)[taken]).clip(_LEAST_PROBABILITY)
        taken = (prior * likelihood).argmax(axis=1)
    return Correction(share, taken, taken != classes)


def wrong_share(probabilities: Floats, classes: npt.NDArray[np.int64]) -> float:
    """Estimated share of labels that are wrong in any way, those aside that confuse classes that look alike.

    Args:
        probabilities: float64 (n, C): of every class, from the other images; C at least 2.
        classes: The given classes, int64 (n,).

    Returns:
        C - 1 times the interquartile mean, over pairs of classes, of the share of one that counts for the other, and 1
        at most.

    >>> sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.95, 0.05]])
    >>> wrong_share(sure, np.array([0, 0, 1, 1]))
    0.25
    """
    n_classes = probabilities.shape[1]
    own = [probabilities[classes == c, c] for c in range(n_classes)]
    thresholds = np.array([part.mean() if len(part) else np.inf for part in own])
    candidates = np.where(probabilities >= thresholds, probabilities, -np.inf)
    counts = np.isfinite(candidates).any(axis=1)
    pairs = np.zeros((n_classes, n_classes))
    np.add.at(pairs, (classes[counts], candidates.argmax(axis=1)[counts]), 1)
    shares = pairs / pairs.sum(axis=1, keepdims=True).clip(1)
    return min(1.0, float((n_classes - 1) * trim_mean(shares[~np.eye(n_classes, dtype=bool)], 0.25)))


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
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["image", "label", "learned_as"])
    table.writerows(rows)
    replace_file(path, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape")))


class _LeaveOneOut:
    """Ridge regression on fixed features, each row predicted from all others; the penalty is the best of some."""

    def __init__(self, features: npt.NDArray[np.float32]) -> None:
        centred = features - features.mean(axis=0)
        centred /= np.sqrt((centred**2).sum(axis=1).mean()).clip(1e-12)
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        self._values = values.clip(0)
        self._rotated = centred @ vectors.astype(np.float32)

    def predict(self, targets: Floats) -> Floats:
        """Predictions float64 (n, C) of targets (n, C)."""
        n, mean = len(targets), targets.mean(axis=0)
        centred = targets - mean
        products = sum(
            self._rotated[start : start + _ROWS].T.astype(np.float64) @ centred[start : start + _ROWS]
            for start in range(0, n, _ROWS)
        )
        best: tuple[float, Floats] | None = None
        for penalty in _PENALTIES * n:
            inverse = 1 / (self._values + penalty)
            fitted = self._rotated @ (inverse[:, None] * products).astype(np.float32)
            leverage = np.einsum("nd,nd,d->n", self._rotated, self._rotated, inverse.astype(np.float32), optimize=True)
            # The mean is of all images, and so takes a share of each.
            own = (leverage.astype(np.float64) + 1 / n).clip(0, 1 - 1e-6)[:, None]
            predictions = (fitted + mean - own * targets) / (1 - own)
            error = float(((predictions - targets) ** 2).mean())
            if best is None or error < best[0]:
                best = error, predictions
        if best is None:
            raise RuntimeError("there are penalties")  # for the type checker
        return best[1]


def _probabilities(regression: _LeaveOneOut, targets: Floats) -> Floats:
    """Softmax of the predictions, at the temperature under which the targets are most likely."""
    predictions = regression.predict(targets)
    best: tuple[float, Floats] | None = None
    for temperature in _TEMPERATURES:
        powers = np.exp(temperature * (predictions - predictions.max(axis=1, keepdims=True)))
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        likely = float((targets * np.log(probabilities.clip(1e-12))).sum())
        if best is None or likely > best[0]:
            best = likely, probabilities
    if best is None:
        raise RuntimeError("there are temperatures")  # for the type checker
    return best[1]
