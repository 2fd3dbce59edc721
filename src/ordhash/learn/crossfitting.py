"""Calibrate on all held-out images, and measure each pair of them at the epoch that the others choose.

An epoch that was chosen by some images looks better on these than on others. Splitting them, some to choose and some to
calibrate, would leave small folders without a calibration, which have two or three held-out images a class. So the
images are split into folds, and a pair is measured at the epoch that the folds without its two images choose
(cross-fitting: Chernozhukov et al., Econometrics Journal 2018). All images still choose the epoch that is kept, which
is nearly always the one that the others choose too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ordhash.codes import OrdinalCodes, asymmetric_distances, ordinal_distances
from ordhash.learn.validation import calibrations_of, latest_as_good, neighbour_counts, precisions_of_counts
from ordhash.model import Calibration

__all__ = ["crossfitted_calibrations", "epochs_of_pairs"]

_FOLDS = 6  # two thirds of the images choose for the other pairs

Scores = npt.NDArray[np.float32]


def crossfitted_calibrations(
    epochs: Sequence[Scores], labels: npt.NDArray[np.bool_]
) -> tuple[Calibration | None, Calibration | None]:
    """Calibration of ordinal and of asymmetric distances; None if no two images are relevant to each other.

    Args:
        epochs: Scores of the same n held-out images at every validated epoch, float32 (n, n_segments, arity).
        labels: bool (n, n_classes).
    """
    n = len(labels)
    chosen = epochs_of_pairs(epochs, labels)
    ordinal, asymmetric = np.zeros((n, n), np.uint16), np.zeros((n, n), np.float32)
    for epoch in np.unique(chosen).tolist():
        codes, here = OrdinalCodes.from_scores(epochs[epoch]), chosen == epoch
        ordinal[here] = ordinal_distances(codes, codes)[here]
        asymmetric[here] = asymmetric_distances(epochs[epoch], codes)[here]
    return calibrations_of(ordinal, asymmetric, labels)


def epochs_of_pairs(epochs: Sequence[Scores], labels: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """The epoch at which each pair of images is measured: the one that would be kept by the folds that hold neither.

    Args:
        epochs: Scores of the same n images at every epoch, float32 (n, n_segments, arity).
        labels: bool (n, n_classes).

    Returns:
        intp (n, n), symmetric.
    """
    n, last = len(labels), len(epochs) - 1
    chosen = np.full((n, n), last, np.intp)
    if not last:
        return chosen
    folds = np.arange(n) % _FOLDS  # images of a class stand together: every fold has some of each
    pairs = list(itertools.combinations_with_replacement(range(min(_FOLDS, n)), 2))
    precisions: list[list[npt.NDArray[np.float64]]] = [[] for _ in pairs]
    for scores in epochs:
        counts = neighbour_counts(OrdinalCodes.from_scores(scores), labels, folds)
        whole = counts.sum(axis=2)
        for row, (one, other) in enumerate(pairs):
            queries = (folds != one) & (folds != other)
            rest = whole - counts[:, :, one] - (counts[:, :, other] if other != one else 0)
            precisions[row].append(precisions_of_counts(*rest[:, queries]))
    for of_epochs, (one, other) in zip(precisions, pairs, strict=True):
        kept = latest_as_good(of_epochs)
        chosen[np.ix_(folds == one, folds == other)] = chosen[np.ix_(folds == other, folds == one)] = kept
    return chosen
