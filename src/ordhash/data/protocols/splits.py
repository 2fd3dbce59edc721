"""How images are divided where a source leaves it open: by digests of their keys, never by a random generator.

The same division on every machine, and with every version of NumPy.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from ordhash.data.imageset import ImageSet
from ordhash.errors import InputError

__all__ = ["split_by_class", "together"]


def split_by_class(images: ImageSet, counts: dict[str, int | float], *, salt: str) -> dict[str, ImageSet]:
    """Divide images class by class, in an order given by digests of their keys.

    Args:
        images: Images with one label each.
        counts: Part -> images a class, or (below 1) share of a class; what is left over goes to ``rest``.
        salt: Another salt gives another split.

    Returns:
        The parts, and ``rest``; each in the order of ``images``.

    Raises:
        InputError: An image carries no label.
    """
    if images.labels is None:
        raise InputError("images without labels cannot be divided by class; give labels")
    unlabelled = np.flatnonzero(images.labels.sum(axis=1) == 0)
    if len(unlabelled):
        name = images.name(int(unlabelled[0]))
        raise InputError(f"{name} carries no label ({len(unlabelled)} such images); leave them out")
    order = np.argsort([_digest(f"{salt}/{key}") for key in images.keys])
    parts: dict[str, list[int]] = {part: [] for part in (*counts, "rest")}
    first_label = images.labels.argmax(axis=1)
    for label in range(len(images.class_names)):
        rows = [int(row) for row in order if first_label[row] == label]
        start = 0
        for part, count in counts.items():
            stop = start + (round(count * len(rows)) if isinstance(count, float) else count)
            parts[part] += rows[start:stop]
            start = stop
        parts["rest"] += rows[start:]
    return {part: images.subset(np.array(sorted(rows), dtype=np.intp)) for part, rows in parts.items()}


def together(first: ImageSet, second: ImageSet) -> ImageSet:
    """The images of two sets with the same class names, one set after the other."""
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
        metadata = pa.concat_tables([first.metadata, second.metadata])
    return ImageSet(images, np.concatenate([first.keys, second.keys]), labels, first.class_names, metadata)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(
        text.encode("utf-8", "surrogateescape"), digest_size=8
    ).digest()  # file names: not all Unicode
