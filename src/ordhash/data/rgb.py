"""Convert pixels of any mode to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ordhash.errors import ImageError

__all__ = ["to_rgb"]


def to_rgb(image: Image.Image, label: str) -> Image.Image:
    """Convert a decoded image to RGB as [open_rgb][ordhash.data.open_rgb] describes.

    Args:
        image: Of any mode.
        label: Its name in errors.

    Raises:
        ImageError: Its pixels hold NaN or infinite values.
    """
    # Pillow's convert clips these modes at 255 or scales them, depending on its version.
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_from_numbers(image, label)
    if image.has_transparency_data:
        straight = image.convert("LA") if image.mode == "La" else image
        rgba = straight.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey_from_numbers(image: Image.Image, label: str) -> Image.Image:
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(label, "its pixels hold NaN or infinite values; convert it to an 8-bit JPEG or PNG")
    if np.issubdtype(values.dtype, np.integer) and low >= 0 and high <= 0xFFFF:
        # The high byte, as Pillow itself reads 16-bit colour.
        grey = (values >> 8).astype(np.uint8)
    else:
        span = max(float(high) - float(low), float(np.finfo(np.float32).tiny))
        grey = np.rint((values.astype(np.float64) - float(low)) * (255 / span)).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(values == transparent, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")
