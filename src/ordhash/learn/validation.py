"""Split images into training and held-out ones, and measure quality and calibration of codes on the latter."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from ordhash.codes import OrdinalCodes, asymmetric_distances, ordinal_distances
from ordhash.data import ImageSet, open_rgb
from ordhash.errors import ImageError, InputError, TooFewImagesError
from ordhash.evaluation import average_precision
from ordhash.model import MOST_LEARNED_FROM, Calibration
from ordhash.support import Advance, some_usable

__all__ = [
    "LEAST_UNLABELLED",
    "calibrate",
    "calibrations",
    "check_neighbourhoods",
    "held_out",
    "held_out_mask",
    "labelled",
    "labels_of",
    "leave_one_out_map",
    "rows_of_neighbourhoods",
    "usable",
]

LEAST_UNLABELLED = 50
_CALIBRATED_IMAGES = 2000  # whose four million pairs are enough
_KNOTS = 64


def labels_of(images: ImageSet) -> npt.NDArray[np.bool_]:
    """Labels of images, bool (n, n_classes).

    Raises:
        InputError: The images have no labels.
    """
    if images.labels is None:
        raise InputError(
            "the images have no labels; give one sub-folder per class, or a manifest with a column 'labels'"
        )
    return images.labels


def labelled(images: ImageSet) -> ImageSet:
    """The images that carry a label.

    Raises:
        InputError: There are no labels, or fewer than two classes have images.
    """
    labels = labels_of(images)
    classes = int(labels.any(axis=0).sum())
    if classes < 2:
        raise InputError(f"learning needs images of at least two classes; there are images of {classes}")
    return images.subset(labels.any(axis=1))


def check_neighbourhoods(n: int) -> None:
    """Check that there are enough images to learn from their neighbourhoods.

    Args:
        n: Number of images.

    Raises:
        TooFewImagesError: There are fewer than ``LEAST_UNLABELLED``.
    """
    if n < LEAST_UNLABELLED:
        raise TooFewImagesError(
            f"there are {n} images; to learn without labels takes at least {LEAST_UNLABELLED}: take more images, "
            "label a quarter of them, or take a model that was trained on others"
        )


def rows_of_neighbourhoods(n: int, seed: int, labels: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.intp]:
    """Rows to learn neighbourhoods from: all n images, or a sample of ``MOST_LEARNED_FROM``.

    Args:
        n: Number of images.
        seed: Seed of the sample.
        labels: bool (n, n_classes); labelled images are drawn first. None draws uniformly.

    Raises:
        InputError: There are too few images to learn from their neighbourhoods.
    """
    check_neighbourhoods(n)
    order = np.random.default_rng(seed).permutation(n)
    if labels is not None:
        order = order[np.argsort(~labels[order].any(axis=1), kind="stable")]
    return np.sort(order[:MOST_LEARNED_FROM])


def usable(images: ImageSet, advance: Advance) -> tuple[ImageSet, list[ImageError]]:
    """The readable images, and the errors of the others; decodes every image once.

    Args:
        images: n images.
        advance: Called with 1 after each image.

    Raises:
        InputError: None of the images can be used.
    """
    rows, failures = [], []
    for row, source in enumerate(images.images):
        try:
            open_rgb(source, name=images.name(row))
            rows.append(row)
        except ImageError as error:
            failures.append(error)
        advance(1)
    some_usable(len(rows), failures)
    return images.subset(rows), failures


def held_out(images: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and validation images, split by [held_out_mask][ordhash.learn.held_out_mask]."""
    chosen = held_out_mask(images, fraction, seed)
    return images.subset(~chosen), images.subset(chosen)


def held_out_mask(images: ImageSet, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Select validation images: a share of every class, but never a class's last image.

    An image that shares no label with another selected one could measure nothing, so it stays with those to learn from:
    of 6 to 14 images a tenth is one.

    An image with several labels counts for its rarest one. Images are ordered by hashes of their keys.

    Args:
        images: n images with labels.
        fraction: Share of each class.
        seed: Seed of the choice.

    Returns:
        bool (n,), True for validation.

    Raises:
        InputError: There are no labels.
    """
    labels = labels_of(images)
    counts = labels.sum(axis=0)
    rarest = np.where(labels, counts, np.inf).argmin(axis=1)
    digests = [
        hashlib.blake2b(f"{seed}/{key}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
        for key in images.keys
    ]
    chosen = np.zeros(len(images), dtype=bool)
    for label in range(labels.shape[1]):
        rows = sorted(np.flatnonzero(rarest == label), key=lambda row: digests[row])
        chosen[rows[: min(round(fraction * len(rows)), len(rows) - 1) if rows else 0]] = True
    # With several labels, all images of a class may have been held out for rarer classes: return one.
    for label in np.flatnonzero(labels.any(axis=0) & ~labels[~chosen].any(axis=0)).tolist():
        chosen[min(np.flatnonzero(labels[:, label]).tolist(), key=lambda row: digests[row])] = False
    chosen[~labels[:, labels[chosen].sum(axis=0) > 1].any(axis=1)] = False
    return chosen


def leave_one_out_map(codes: OrdinalCodes, labels: npt.NDArray[np.bool_]) -> float | None:
    """Tie-aware mAP of searching each image among the others; None if no image has a relevant one.

    Args:
        codes: n codes.
        labels: bool (n, n_classes).
    """
    others = ~np.eye(len(codes), dtype=bool)
    relevance = (labels.astype(np.float32) @ labels.T.astype(np.float32) > 0) & others
    rows = np.flatnonzero(relevance.any(axis=1))
    if len(rows) == 0:
        return None
    # Removing the diagonal shifts the entries right of it by one.
    distances = ordinal_distances(codes[rows], codes)[others[rows]].reshape(len(rows), -1)
    relevance = relevance[rows][others[rows]].reshape(len(rows), -1)
    return float(np.mean(average_precision(distances, relevance)))


def calibrations(
    scores: npt.NDArray[np.float32], labels: npt.NDArray[np.bool_]
) -> tuple[Calibration | None, Calibration | None]:
    """Calibration of ordinal and of asymmetric distances; None if no two images are relevant to each other.

    Args:
        scores: float32 (n, n_segments, arity) of held-out images.
        labels: bool (n, n_classes).
    """
    n = len(scores)
    rows = np.linspace(0, n - 1, min(n, _CALIBRATED_IMAGES)).astype(np.intp)  # images may be sorted by class
    scores, labels = scores[rows], labels[rows]
    codes = OrdinalCodes.from_scores(scores)
    others = ~np.eye(len(rows), dtype=bool)
    relevance = (labels.astype(np.float32) @ labels.T.astype(np.float32) > 0)[others]
    if not relevance.any():
        return None, None
    return (
        calibrate(ordinal_distances(codes, codes)[others], relevance),
        calibrate(asymmetric_distances(scores, codes)[others], relevance),
    )


def calibrate(distances: npt.NDArray[Any], relevance: npt.NDArray[np.bool_]) -> Calibration:
    """Fit the share of relevant pairs as a non-increasing function of distance (isotonic regression).

    Pairs at the same integer distance form one point. Float distances (asymmetric) are binned by quantiles of the
    relevant pairs; each bin is one point, at its mean.

    Args:
        distances: Integers or floats (m,).
        relevance: bool (m,), with at least one True.

    >>> calibrate(np.array([0, 0, 1, 1, 2, 2]), np.array([True, True, False, False, True, False])).likelihoods
    (1.0, 0.25, 0.25)
    """
    whole = np.issubdtype(distances.dtype, np.integer)
    if whole:
        groups = distances.astype(np.int64)
    else:
        quantiles = np.quantile(distances[relevance], np.linspace(0, 1, _KNOTS))
        groups = np.searchsorted(np.unique(quantiles), distances)
    pairs = np.bincount(groups)
    there = pairs > 0
    pairs = pairs[there]
    means = np.bincount(groups, weights=distances.astype(np.float64))[there] / pairs
    shares = np.bincount(groups, weights=relevance)[there] / pairs
    likelihoods = isotonic_regression(shares, weights=pairs, increasing=False).x
    knots = [round(mean) if whole else mean for mean in means.tolist()]
    return Calibration(tuple(knots), tuple(np.clip(likelihoods, 0, 1).round(6).tolist()), len(distances))
