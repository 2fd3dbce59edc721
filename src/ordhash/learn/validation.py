"""Split images into training and held-out ones, and measure quality and calibration of codes on the latter."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.special import betaincinv

from ordhash.codes import OrdinalCodes, asymmetric_distances, ordinal_distances
from ordhash.data import ImageSet, open_rgb
from ordhash.errors import ImageError, InputError, TooFewImagesError
from ordhash.evaluation import expected_average_precision
from ordhash.model import MOST_LEARNED_FROM, Calibration
from ordhash.support import Advance, some_usable, spread_rows

__all__ = [
    "LEAST_UNLABELLED",
    "calibrate",
    "calibrated_rows",
    "calibrations",
    "calibrations_of",
    "check_neighbourhoods",
    "held_out",
    "held_out_mask",
    "labelled",
    "labels_of",
    "latest_as_good",
    "leave_one_out_map",
    "leave_one_out_precisions",
    "lower_bound",
    "neighbour_counts",
    "precisions_of_counts",
    "rows_of_neighbourhoods",
    "usable",
    "with_labels",
]

LEAST_UNLABELLED = 50
_CALIBRATED_IMAGES = 2000  # whose four million pairs are enough
_COUNTED_ROWS = 512  # at once, so that 10,000 images need no 10^8 distances in memory
_KNOTS = 64
_CONFIDENCE = 0.95


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
    return with_labels(images)


def with_labels(images: ImageSet) -> ImageSet:
    """The images that carry a label, of any number of classes; an image without would count as relevant to none.

    Raises:
        InputError: There are no labels.
    """
    return images.subset(labels_of(images).any(axis=1))


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
    precisions = leave_one_out_precisions(codes, labels)
    return float(precisions.mean()) if len(precisions) else None


def leave_one_out_precisions(codes: OrdinalCodes, labels: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Tie-aware average precision of each image that has a relevant other one, searched among the others.

    Args:
        codes: n codes.
        labels: bool (n, n_classes).
    """
    return precisions_of_counts(*neighbour_counts(codes, labels, np.zeros(len(codes), np.intp)).sum(axis=2))


def precisions_of_counts(items: npt.NDArray[np.int64], relevant: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Tie-aware average precisions of the queries that have a relevant item.

    Args:
        items: Items at every distance of every query, (q, distances).
        relevant: How many of them are relevant, (q, distances).
    """
    rows = relevant.any(axis=1)
    return np.asarray(expected_average_precision(items[rows], relevant[rows]), np.float64)


def latest_as_good(precisions: Sequence[npt.ArrayLike]) -> int:
    """The latest epoch that held-out images do not show to be worse than the best one.

    Held-out images are few, and once the learning rate falls their mAP wavers on a plateau while codes of the images
    that were learned from, most of many a database, still get better. The best of ten wavering values is an early one
    as often as a late one, which cost up to .03 mAP (docs/experiments.md). So an epoch is worse only if its mean falls
    behind the best by more than two standard errors of that difference, image by image; a rule in the spirit of
    Breiman et al., Classification and Regression Trees, 1984, who prefer the simplest tree within one.

    Args:
        precisions: Average precisions of the same q images at every epoch, float (epochs, q), at least one epoch.

    >>> latest_as_good([[0.2, 0.4, 0.3], [0.5, 0.9, 0.7], [0.6, 0.7, 0.7]])
    2
    >>> latest_as_good([[0.5, 0.9, 0.7], [0.2, 0.6, 0.3]])
    0
    """
    values = np.asarray(precisions, np.float64)
    last = len(values) - 1
    if values.shape[1] < 2:
        return last
    best = last - int(np.argmax(values.mean(axis=1)[::-1]))
    behind = values[best] - values
    errors = behind.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return int(np.flatnonzero(behind.mean(axis=1) <= 2 * errors).max())


def neighbour_counts(
    codes: OrdinalCodes, labels: npt.NDArray[np.bool_], folds: npt.NDArray[np.intp]
) -> npt.NDArray[np.int64]:
    """How many other images of each fold are at each distance of an image, and how many of these are relevant to it.

    Args:
        codes: n codes.
        labels: bool (n, n_classes).
        folds: Fold of every image, intp (n,), from 0.

    Returns:
        int64 (2, n, folds, n_segments + 1): all images, and the relevant ones.
    """
    n, n_folds, n_distances = len(codes), int(folds.max(initial=0)) + 1, codes.spec.n_segments + 1
    counts = np.empty((2, n, n_folds * n_distances), np.int64)
    given = labels.astype(np.float32)
    for start in range(0, n, _COUNTED_ROWS):
        rows = slice(start, start + _COUNTED_ROWS)
        tallies = folds * n_distances + ordinal_distances(codes[rows], codes)
        others = np.ones(tallies.shape, np.bool_)
        np.fill_diagonal(others[:, start:], False)
        tallies += np.arange(len(tallies))[:, None] * counts.shape[2]
        relevant = (given[rows] @ given.T > 0) & others
        for kind, wanted in enumerate((others, relevant)):
            tally = np.bincount(tallies[wanted], minlength=len(tallies) * counts.shape[2])
            counts[kind, rows] = tally.reshape(len(tallies), -1)
    return counts.reshape(2, n, n_folds, n_distances)


def calibrated_rows(n: int) -> npt.NDArray[np.intp]:
    """Rows of the images that calibrate: all, or of very many an even share.

    Args:
        n: Number of images, which may be sorted by class.
    """
    return spread_rows(n, _CALIBRATED_IMAGES)


def calibrations(
    scores: npt.NDArray[np.float32], labels: npt.NDArray[np.bool_]
) -> tuple[Calibration | None, Calibration | None]:
    """Calibration of ordinal and of asymmetric distances; None if no two images are relevant to each other.

    Args:
        scores: float32 (n, n_segments, arity) of images that the network has not learned from.
        labels: bool (n, n_classes).
    """
    rows = calibrated_rows(len(scores))
    codes = OrdinalCodes.from_scores(scores[rows])
    return calibrations_of(ordinal_distances(codes, codes), asymmetric_distances(scores[rows], codes), labels[rows])


def calibrations_of(
    ordinal: npt.NDArray[np.integer[Any]], asymmetric: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.bool_]
) -> tuple[Calibration | None, Calibration | None]:
    """Calibration of the distances between images; None if no two images are relevant to each other.

    Args:
        ordinal: Ordinal distances (n, n).
        asymmetric: Asymmetric distances (n, n).
        labels: bool (n, n_classes).
    """
    others = ~np.eye(len(labels), dtype=bool)
    relevance = (labels.astype(np.float32) @ labels.T.astype(np.float32) > 0)[others]
    if not relevance.any():
        return None, None
    images = np.nonzero(others)[0]
    return calibrate(ordinal[others], relevance, images), calibrate(asymmetric[others], relevance, images)


def calibrate(
    distances: npt.NDArray[Any], relevance: npt.NDArray[np.bool_], images: npt.NDArray[np.intp] | None = None
) -> Calibration:
    """What share of pairs is relevant at least, as a non-increasing function of distance.

    Pairs at the same integer distance form one point. Float distances (asymmetric) are binned by quantiles of the
    relevant pairs; each bin is one point, at its mean. Isotonic regression pools neighbouring points where the share
    rises. The bound of a point is that of the pairs from there to the end of its pool: nearer ones could only raise it.
    Of their share p the lower confidence bound is taken that is right in 95 % of all cases (Clopper and Pearson,
    Biometrika 1934): the 0.05-quantile of Beta(k, m - k + 1) with k = p m relevant among m independent pairs; 0 if
    k = 0. Pairs that share an image are not independent: their relevance is correlated by at most a half (Hoeffding,
    Annals of Mathematical Statistics 1948, on U-statistics of two arguments), so the mean of P pairs, N_i of them with
    image i, varies at most as that of m = 2 P^2 / sum N_i^2 independent ones. Of all pairs between n images that is
    n / 2; less where a few images between two kinds make up most pairs of a distance. Where a larger distance has a
    higher bound, that holds for the smaller one too, as the share never rises.

    Args:
        distances: Integers or floats (m,).
        relevance: bool (m,), with at least one True.
        images: One image of every pair, int from 0, (m,), where each pair stands twice, once with either image. None
            takes pairs for independent.

    >>> distances, relevance = np.repeat([0, 1], 40), np.repeat([True, False], 40)
    >>> calibrate(distances, relevance).likelihoods
    (0.927842, 0.0)
    """
    whole = np.issubdtype(distances.dtype, np.integer)
    if whole:
        groups = distances.astype(np.intp)
    else:
        quantiles = np.quantile(distances[relevance], np.linspace(0, 1, _KNOTS))
        groups = np.searchsorted(np.unique(quantiles), distances)
    there = np.bincount(groups) > 0
    groups = (np.cumsum(there) - 1)[groups]
    pairs = np.bincount(groups)
    means = np.bincount(groups, weights=distances.astype(np.float64)) / pairs
    hits = np.bincount(groups, weights=relevance)
    pools = isotonic_regression(hits / pairs, weights=pairs, increasing=False).blocks
    shares, independent = np.zeros(len(pairs)), np.zeros(len(pairs))
    of_images = None
    if images is not None:
        width = int(images.max()) + 1
        of_images = np.bincount(groups * width + images, minlength=len(pairs) * width).reshape(-1, width)
    for start, end in itertools.pairwise(pools.tolist()):
        backwards = slice(end - 1, start - 1 if start else None, -1)
        count = pairs[backwards].cumsum()
        shares[backwards] = hits[backwards].cumsum() / count
        independent[backwards] = count
        if of_images is not None:  # a pair stands twice, once with either image
            independent[backwards] = count**2 / (of_images[backwards].cumsum(axis=0) ** 2).sum(axis=1) / 2
    likelihoods = np.maximum.accumulate(lower_bound(shares, independent)[::-1])[::-1]
    knots = [round(mean) if whole else mean for mean in means.tolist()]
    return Calibration(tuple(knots), tuple(likelihoods.round(6).tolist()), len(distances))


def lower_bound(shares: npt.ArrayLike, counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The least shares that samples speak for, one-sided and with 95 % confidence (Clopper and Pearson 1934).

    Args:
        shares: Observed, from 0 to 1.
        counts: How many independent observations there are of each, above 0; need not be whole.

    >>> lower_bound([1.0, 1.0, 0.5, 0.0], [40, 1000, 1000, 10]).round(3)
    array([0.928, 0.997, 0.474, 0.   ])
    """
    shares, counts = np.clip(shares, 0, 1), np.asarray(counts, dtype=np.float64)
    hits = shares * counts
    bounds = betaincinv(np.maximum(hits, 1e-12), counts - hits + 1, 1 - _CONFIDENCE)  # it is defined above 0 only
    return np.asarray(np.where(hits > 0, bounds, 0.0), dtype=np.float64)
