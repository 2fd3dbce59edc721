"""Scale an image to the square that a network takes."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.errors import InputError

__all__ = ["Fit", "prepare"]

Fit: TypeAlias = Literal["squash", "crop"]
"""How an image becomes square: the whole squeezed, or its middle square cropped."""


def prepare(image: Image.Image, size: int, fit: Fit) -> npt.NDArray[np.uint8]:
    """Scale an image to the square that a network takes, bicubic with antialiasing.

    Args:
        image: Mode RGB, as [open_rgb][ordhash.data.open_rgb] returns it.
        size: Side of the square in pixels.
        fit: ``squash`` scales the whole picture; ``crop`` scales its middle square. Pixels just outside the
            square contribute to those at its edge, as if the whole picture were scaled and then cropped.

    Returns:
        uint8 (size, size, 3).

    Raises:
        InputError: ``image`` is not RGB, or an option is not allowed.

    >>> prepare(Image.new("RGB", (30, 20), "red"), 8, "crop").shape
    (8, 8, 3)
    """
    if image.mode != "RGB":
        raise InputError(f"the image has mode {image.mode}; allowed is RGB: open it with open_rgb")
    if size < 1:
        raise InputError(f"size is {size}; allowed is a side of 1 pixel or more: try 224")
    width, height = image.size
    if fit == "squash":
        box = (0, 0, width, height)
    elif fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
    else:
        raise InputError(f"fit is {fit!r}; allowed are 'squash' and 'crop': choose one")
    # np.array, not asarray: a view of Pillow's memory is read-only, and the next library would warn.
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC, box=box))
