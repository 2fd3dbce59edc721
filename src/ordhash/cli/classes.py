"""What ``ordhash train`` says about classes before it learns them, so that wrong ones are noticed at once."""

from __future__ import annotations

import numpy as np

from ordhash.cli.output import say
from ordhash.data import ImageSet, class_folders, parts_of_a_set
from ordhash.errors import InputError

__all__ = ["check_classes", "say_classes"]

_SHOWN = 40  # classes; some sets have thousands


def check_classes(source: str, images: ImageSet) -> None:
    """Refuse a folder whose sub-folders are the parts of a data set, and say if they can be read in two ways.

    Args:
        source: The folder.
        images: Its images.

    Raises:
        InputError: The folder holds parts such as train and val: they are no classes, and learning from all of them
            leaves nothing to measure on.
    """
    keys = images.keys.tolist()
    parts = parts_of_a_set(keys)
    if parts:
        first = next((part for part in parts if part.lower().startswith("train")), parts[0])
        raise InputError(
            f"{source} holds the parts {', '.join(parts)} of a data set, which are not classes; give {source}/{first}"
        )
    if images.labels is None:
        return
    top, leaf = (len(set(class_folders(keys, how)) - {""}) for how in ("top", "leaf"))
    if top != leaf:
        what, other, number = (
            ("of the first level", "leaf", leaf) if len(images.class_names) == top else ("that hold images", "top", top)
        )
        say(f"{source}: the folders {what} are the classes; --classes {other} takes {number} others")


def say_classes(images: ImageSet) -> None:
    """Print the classes and the number of images of each to stderr.

    Args:
        images: The images to learn from.
    """
    if images.labels is None:
        return
    counts = images.labels.sum(axis=0)
    shown = [f"{name} {count:,}" for name, count in zip(images.class_names[:_SHOWN], counts, strict=False)]
    if len(counts) > _SHOWN:
        rest = counts[_SHOWN:]
        shown.append(f"and {len(rest):,} more with {rest.min():,} to {rest.max():,} each")
    say(f"{len(counts):,} {'class' if len(counts) == 1 else 'classes'}: {', '.join(shown)}")
    unlabelled = int(np.count_nonzero(~images.labels.any(axis=1)))
    if unlabelled:
        say(f"{unlabelled:,} of {len(images):,} images are in no class")
