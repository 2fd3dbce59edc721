"""Which images are learned from and which are held out, and how good codes are on the latter."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from ordhash import metrics
from ordhash.checks import some_usable
from ordhash.codes import OrdinalCodes
from ordhash.data.images import open_rgb
from ordhash.data.imageset import ImageSet
from ordhash.distances import ordinal_distances
from ordhash.errors import ImageError, InputError
from ordhash.progress import Advance

__all__ = ["held_out", "held_out_mask", "labelled", "labels_of", "leave_one_out_map", "usable"]


def labels_of(images: ImageSet) -> npt.NDArray[np.bool_]:
    """Labels of images, bool (n, n_classes).

    Raises:
        InputError: There are none.
    """
    if images.labels is None:
        raise InputError(
            "the images have no labels; give one sub-folder per class, or a manifest with a column 'labels'"
        )
    return images.labels


def labelled(images: ImageSet) -> ImageSet:
    """The images that carry a label.

    Raises:
        InputError: There are no labels, or there are images of fewer than two classes.
    """
    labels = labels_of(images)
    classes = int(labels.any(axis=0).sum())
    if classes < 2:
        raise InputError(f"the images have {classes} classes; learning needs at least two, with images in each")
    return images.subset(labels.any(axis=1))


def usable(images: ImageSet, advance: Advance) -> tuple[ImageSet, list[ImageError]]:
    """The images that can be read, and why the others cannot; every image is decoded once.

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
    """Training and validation images, as [held_out_mask][ordhash.learn.validation.held_out_mask] divides them."""
    chosen = held_out_mask(images, fraction, seed)
    return images.subset(~chosen), images.subset(chosen)


def held_out_mask(images: ImageSet, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which images are for validation: a share of every class, and never a class's last image.

    Images with many labels count for the rarest of them. The order is given by digests of the keys.

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
    # With many labels, every image of a class may have been taken for a rarer one: it gets one back.
    for label in np.flatnonzero(labels.any(axis=0) & ~labels[~chosen].any(axis=0)).tolist():
        chosen[min(np.flatnonzero(labels[:, label]).tolist(), key=lambda row: digests[row])] = False
    return chosen


def leave_one_out_map(codes: OrdinalCodes, labels: npt.NDArray[np.bool_]) -> float | None:
    """Tie-aware mAP of every image searched among the others; None where no image has a relevant other.

    Args:
        codes: n codes.
        labels: bool (n, n_classes).
    """
    others = ~np.eye(len(codes), dtype=bool)
    relevance = (labels.astype(np.float32) @ labels.T.astype(np.float32) > 0) & others
    rows = np.flatnonzero(relevance.any(axis=1))
    if len(rows) == 0:
        return None
    # Leaving out the diagonal shifts what is right of it by one.
    distances = ordinal_distances(codes[rows], codes)[others[rows]].reshape(len(rows), -1)
    relevance = relevance[rows][others[rows]].reshape(len(rows), -1)
    return float(np.mean(metrics.average_precision(distances, relevance)))
