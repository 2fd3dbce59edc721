"""Splits by digests of keys instead of a random generator, for sources without an official split.

The same split on every machine and with every version of NumPy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ordhash.data.imageset import ImageSet
from ordhash.errors import InputError

__all__ = [
    "hold_out_classes",
    "of_classes",
    "split_by_class",
    "split_by_concept",
    "split_by_digest",
    "together",
    "with_classes",
    "with_label_noise",
]


def split_by_class(images: ImageSet, counts: dict[str, int | float], *, salt: str) -> dict[str, ImageSet]:
    """Divide images class by class, in an order given by digests of their keys.

    Args:
        images: Images with one label each.
        counts: Part -> images a class, or (below 1) share of a class; the remaining images go to ``rest``.
        salt: Another salt gives another split.

    Returns:
        The parts, and ``rest``; each in the order of ``images``.

    Raises:
        InputError: An image carries no label, a count is negative, or a class has fewer images than the parts need.
    """
    if images.labels is None:
        raise InputError("images without labels cannot be divided by class; give labels")
    _check_counts(counts)
    unlabelled = np.flatnonzero(images.labels.sum(axis=1) == 0)
    if len(unlabelled):
        name = images.name(int(unlabelled[0]))
        raise InputError(f"{name} carries no label ({len(unlabelled)} such images); leave them out")
    order = _order(images, salt)
    parts: dict[str, list[int]] = {part: [] for part in (*counts, "rest")}
    first_label = images.labels.argmax(axis=1)
    for label in range(len(images.class_names)):
        rows = [int(row) for row in order if first_label[row] == label]
        start = 0
        for part, count in counts.items():
            stop = start + (round(count * len(rows)) if isinstance(count, float) else count)
            parts[part] += rows[start:stop]
            start = stop
        if rows and start > len(rows):
            raise InputError(
                f"the parts need {start:,} images of {images.class_names[label]} and there are {len(rows):,}; "
                "give more images, or take fewer"
            )
        parts["rest"] += rows[start:]
    return {part: images.subset(np.array(sorted(rows), dtype=np.intp)) for part, rows in parts.items()}


def split_by_digest(images: ImageSet, counts: Mapping[str, int], *, salt: str) -> dict[str, ImageSet]:
    """Divide images regardless of labels, in an order given by digests of their keys.

    Args:
        images: Images.
        counts: Part -> images; the remaining images go to ``rest``.
        salt: Another salt gives another split.

    Returns:
        The parts, and ``rest``; each in the order of ``images``.

    Raises:
        InputError: A count is negative, or there are fewer images than the parts need.

    >>> split = split_by_digest(ImageSet(["a.jpg", "b.jpg", "c.jpg"]), {"query": 1}, salt="s")
    >>> len(split["query"]), len(split["rest"])
    (1, 2)
    """
    _check_counts(counts)
    if sum(counts.values()) > len(images):
        raise InputError(
            f"the parts need {sum(counts.values()):,} images and there are {len(images):,}; give more images"
        )
    order = _order(images, salt)
    parts, start = {}, 0
    for part, count in counts.items():
        parts[part] = images.subset(np.sort(order[start : start + count]))
        start += count
    parts["rest"] = images.subset(np.sort(order[start:]))
    return parts


def split_by_concept(images: ImageSet, counts: Mapping[str, int], *, salt: str) -> dict[str, ImageSet]:
    """Divide images with several labels: a number of images for every class, no image twice.

    Parts are drawn one after the other, each class by class from the rarest to the most frequent (equal ones in their
    order), so that frequent classes do not use up the images of rare ones. A part may have more images of a class than
    were drawn for it: those drawn for another class.

    Args:
        images: Images with labels.
        counts: Part -> images a class; the remaining images go to ``rest``.
        salt: Another salt gives another split.

    Returns:
        The parts, and ``rest``; each in the order of ``images``.

    Raises:
        InputError: The images have no labels, a count is negative, or a class has too few images left.

    >>> labels = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 1]], dtype=bool)
    >>> pictures = ImageSet(np.zeros((5, 8, 8, 3), np.uint8), labels=labels, class_names=("sea", "sky"))
    >>> {part: len(images) for part, images in split_by_concept(pictures, {"query": 1}, salt="s").items()}
    {'query': 2, 'rest': 3}
    """
    if images.labels is None:
        raise InputError("images without labels cannot be divided by class; give labels")
    _check_counts(counts)
    order = _order(images, salt)
    free = np.ones(len(images), dtype=bool)
    parts = {}
    for part, count in counts.items():
        drawn: list[int] = []
        for label in np.argsort(images.labels.sum(axis=0), kind="stable"):
            rows = order[images.labels[order, label] & free[order]][:count]
            if len(rows) < count:
                raise InputError(
                    f"{images.class_names[label]} has {len(rows)} images left for the part {part}, which needs "
                    f"{count} of every class; give more images"
                )
            free[rows] = False
            drawn += rows.tolist()
        parts[part] = images.subset(np.array(sorted(drawn), dtype=np.intp))
    parts["rest"] = images.subset(free)
    return parts


def _check_counts(counts: Mapping[str, float]) -> None:
    for part, count in counts.items():
        if count < 0:
            raise InputError(f"{part} is {count}; allowed are 0 and more")


def with_classes(images: ImageSet, class_names: Sequence[str]) -> ImageSet:
    """The images that carry one of the given classes, with these classes alone, in the given order.

    Raises:
        InputError: The images have no labels.

    >>> pictures = ImageSet(["a.jpg", "b.jpg"], labels=np.eye(2, dtype=bool), class_names=("sea", "sky"))
    >>> with_classes(pictures, ["sky"]).images
    ['b.jpg']
    """
    if images.labels is None:
        raise InputError("images without labels cannot be chosen by class; give labels")
    kept = [column for column, name in enumerate(images.class_names) if name in set(class_names)]
    labels = images.labels[:, kept]
    names = tuple(images.class_names[column] for column in kept)
    return replace(images, labels=labels, class_names=names).subset(labels.any(axis=1))


def hold_out_classes(class_names: Sequence[str], count: int, *, salt: str) -> npt.NDArray[np.bool_]:
    """Classes to hold out of training, for a search among unseen classes.

    If queries share their classes with the training images, a classifier's prediction is a good code. So Sablayrolles
    et al. ("How should we evaluate supervised hashing?", arXiv:1609.06753) search among other classes.

    Args:
        class_names: n_classes names.
        count: Number of classes to hold out, from 1 to n_classes - 1.
        salt: Another salt gives other classes.

    Returns:
        bool (n_classes,), True for a class held out: the first ones in the order of digests of their names.

    Raises:
        InputError: ``count`` is out of range.

    >>> hold_out_classes(["ant", "bee", "cat"], 1, salt="s").tolist()
    [True, False, False]
    """
    if not 1 <= count < len(class_names):
        raise InputError(
            f"count is {count}; of {len(class_names)} classes, 1 to {len(class_names) - 1} can be held out"
        )
    order = np.argsort([_digest(f"{salt}/{name}") for name in class_names])
    held_out = np.zeros(len(class_names), dtype=bool)
    held_out[order[:count]] = True
    return held_out


def of_classes(images: ImageSet, classes: npt.NDArray[np.bool_]) -> ImageSet:
    """The images with a label of the given classes, a mask bool (n_classes,); all class names are kept.

    Raises:
        InputError: The images have no labels.
    """
    if images.labels is None:
        raise InputError("images without labels cannot be chosen by class; give labels")
    return images.subset(images.labels[:, classes].any(axis=1))


def with_label_noise(images: ImageSet, fraction: float, *, salt: str) -> ImageSet:
    """The same images, some with a wrong label: symmetric noise.

    A label is replaced by one of the other classes, all equally likely. Digests of the keys choose images and classes,
    so the result is the same everywhere, and the wrong labels of a small fraction are among those of a larger one.

    Args:
        images: n images with one label each.
        fraction: Share of images with a wrong label, from 0 to 1; their number is rounded.
        salt: Another salt gives other wrong labels.

    Returns:
        The images in their order, with a copy of the labels.

    Raises:
        InputError: A fraction outside 0..1, fewer than two classes, or an image without exactly one label.

    >>> pictures = ImageSet(np.zeros((4, 8, 8, 3), np.uint8), labels=np.eye(4, dtype=bool), class_names=tuple("abcd"))
    >>> noisy = with_label_noise(pictures, 0.5, salt="s")
    >>> int((noisy.labels != pictures.labels).any(axis=1).sum()), noisy.labels.sum(axis=1).tolist()
    (2, [1, 1, 1, 1])
    """
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction is {fraction}; allowed are shares from 0 to 1")
    if images.labels is None or len(images.class_names) < 2:
        raise InputError("wrong labels need labels of at least two classes; give such images")
    counts = images.labels.sum(axis=1)
    if (counts != 1).any():
        row = int(np.argmax(counts != 1))
        raise InputError(f"{images.name(row)} carries {counts[row]} labels; wrong labels are for images with one each")
    order = _order(images, salt)
    labels = images.labels.copy()
    for row in order[: round(fraction * len(images))]:
        right = int(labels[row].argmax())
        # 1 to n_classes - 1 steps on from the right class, wrapping around.
        step = 1 + int.from_bytes(_digest(f"{salt}/class/{images.keys[row]}"), "big") % (labels.shape[1] - 1)
        labels[row, right] = False
        labels[row, (right + step) % labels.shape[1]] = True
    return replace(images, labels=labels)


def together(first: ImageSet, second: ImageSet) -> ImageSet:
    """Concatenate two sets with the same class names."""
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    images = (
        np.concatenate([first.images, second.images])
        if isinstance(first.images, np.ndarray) and isinstance(second.images, np.ndarray)
        else [*first.images, *second.images]
    )
    metadata = None
    if first.metadata is not None and second.metadata is not None:
        import pyarrow as pa

        metadata = pa.concat_tables([first.metadata, second.metadata])
    return ImageSet(images, np.concatenate([first.keys, second.keys]), labels, first.class_names, metadata)


def _order(images: ImageSet, salt: str) -> npt.NDArray[np.intp]:
    return np.argsort(np.array([_digest(f"{salt}/{key}") for key in images.keys], dtype="S8"))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(
        text.encode("utf-8", "surrogateescape"), digest_size=8
    ).digest()  # file names need not be Unicode
