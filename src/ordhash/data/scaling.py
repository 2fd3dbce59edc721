"""Scale an image to what a network takes."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.errors import InputError

__all__ = ["LONGEST", "STEP", "Fit", "check_fit", "prepare", "scaled_sides", "step_for"]

Fit: TypeAlias = Literal["squash", "crop", "whole"]
"""``squash`` squeezes an image into a square, ``crop`` cuts its middle square out, ``whole`` keeps its aspect."""

STEP = 32
"""Of ``whole``: sides are multiples of it, as the maps of most networks are a 32nd as wide as the picture."""

LONGEST = 2
"""Of ``whole``: the longer side at most, in shorter ones. What is longer is squeezed."""


def step_for(reduction: int) -> int:
    """What sides are multiples of, if ``fit`` is ``whole``: ``STEP``, unless the network's own steps do not divide it.

    Args:
        reduction: Pixels of a picture's side for each location of the network's map.

    >>> step_for(16), step_for(14)
    (32, 14)
    """
    return reduction if STEP % reduction else STEP


def check_fit(fit: str, size: int, step: int = STEP) -> None:
    """Refuse what ``prepare`` cannot do.

    Args:
        fit: One of ``Fit``.
        size: Shorter side in pixels.
        step: What sides are multiples of, if ``fit`` is ``whole``.

    Raises:
        InputError: There is no such fit, or the size does not go with it.
    """
    if fit not in get_args(Fit):
        raise InputError(f"fit is {fit!r}; allowed are 'squash', 'crop' and 'whole': choose one")
    if size < 1:
        raise InputError(f"size is {size}; allowed is a side of 1 pixel or more: try 224")
    if fit == "whole" and size % step:
        near = max(round(size / step), 1) * step
        raise InputError(f"size is {size}; with fit 'whole' it must be a multiple of {step}: try {near}")


def scaled_sides(width: int, height: int, size: int, fit: Fit, step: int = STEP) -> tuple[int, int]:
    """Height and width of what ``prepare`` makes of an image.

    Args:
        width: Of the image.
        height: Of the image.
        size: Shorter side in pixels.
        fit: How it is scaled.
        step: What sides are multiples of, if ``fit`` is ``whole``.

    >>> scaled_sides(400, 300, 320, "whole"), scaled_sides(300, 4000, 320, "whole"), scaled_sides(4, 3, 320, "crop")
    ((320, 416), (640, 320), (320, 320))
    """
    if fit != "whole":
        return size, size
    longer = max(width, height) / min(width, height) * size
    side = min(round(longer / step) * step, LONGEST * size)
    return (size, side) if width >= height else (side, size)


def prepare(image: Image.Image, size: int, fit: Fit, step: int = STEP) -> npt.NDArray[np.uint8]:
    """Scale an image to what a network takes, bicubic with antialiasing.

    Args:
        image: Mode RGB, as [open_rgb][ordhash.data.open_rgb] returns it.
        size: Shorter side in pixels.
        fit: ``squash`` scales the whole picture to a square; ``crop`` scales its middle square, where pixels just
            outside the square contribute to those at its edge, as if the whole picture were scaled and then cropped;
            ``whole`` scales the whole picture and keeps its aspect, but for rounding to multiples of ``step`` and for
            pictures longer than ``LONGEST`` to 1.
        step: See there, in pixels.

    Returns:
        uint8 (size, size, 3), or (h, w, 3) as ``scaled_sides`` says.

    Raises:
        InputError: ``image`` is not RGB, or an option is not allowed.

    >>> prepare(Image.new("RGB", (30, 20), "red"), 8, "crop").shape
    (8, 8, 3)
    """
    if image.mode != "RGB":
        raise InputError(f"the image has mode {image.mode}; allowed is RGB: open it with open_rgb")
    check_fit(fit, size, step)
    width, height = image.size
    box = (0, 0, width, height)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
    rows, columns = scaled_sides(width, height, size, fit, step)
    # np.array, not asarray: a view of Pillow's memory is read-only, and the next library would warn.
    return np.array(image.resize((columns, rows), Image.Resampling.BICUBIC, box=box))
