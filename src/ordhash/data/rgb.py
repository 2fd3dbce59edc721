"""Convert pixels of any mode to 8-bit sRGB, a strip of rows at a time."""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image, ImageCms

from ordhash.data.colour import converter, is_grey
from ordhash.errors import ImageError

__all__ = ["to_rgb"]

_STRIP = 1 << 20  # pixels converted at once, so that no image exists twice in another mode
_AVERAGED = frozenset({"L", "RGB", "CMYK", "YCbCr", "LAB", "I", "F"})  # modes that Pillow averages without a copy
_DEPTHS = (8, 10, 12)  # bits that grey values have in practice, if not 16
_NOT_FINITE = "its pixels hold NaN or infinite values; convert it to an 8-bit JPEG or PNG"


def to_rgb(
    image: Image.Image, label: str, *, profile: bytes | None = None, least_side: int | None = None
) -> Image.Image:
    """Convert a decoded image to RGB as [open_rgb][ordhash.data.open_rgb] describes.

    Args:
        image: Of any mode; it is not changed.
        label: Its name in errors.
        profile: ICC profile of its colours; None for sRGB.
        least_side: Pixels needed on the shorter side: an image of many pixels is averaged down to at least as many.

    Returns:
        An image of mode RGB; ``image`` itself if there is nothing to do.

    Raises:
        ImageError: Its pixels hold NaN or infinite values.
    """
    conversion = _Conversion(image, label, profile)
    large = image.width * image.height > _STRIP
    factor = max(min(image.size) // least_side, 1) if large and least_side else 1
    if factor > 1 and image.mode in _AVERAGED and not conversion.transparent:
        image, factor = image.reduce(factor), 1
    width, height = image.size
    if width * height <= _STRIP or (factor == 1 and conversion.changes_nothing):
        return conversion.of(image)
    out = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = max(_STRIP // width // factor, 1) * factor
    for top in range(0, height, rows):
        strip = conversion.of(image.crop((0, top, width, min(top + rows, height))))
        out.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return out


class _Conversion:
    """What is done to every strip of an image."""

    def __init__(self, image: Image.Image, label: str, profile: bytes | None) -> None:
        self._label = label
        self._mode = image.mode
        self._numbers = image.mode.startswith("I") or image.mode == "F"
        self.transparent = image.has_transparency_data
        plain = "L" if is_grey(image.mode) else "RGB"
        self._plain = image.mode if image.mode in ("CMYK", "LAB") else plain
        self._convert = converter(profile, self._plain)
        if self._numbers:
            self._black, self._span, self._shift = _levels(image)
            value = image.info.get("transparency")
            self._clear = value if isinstance(value, int) else None
            self.transparent = self._clear is not None

    @property
    def changes_nothing(self) -> bool:
        return self._mode == "RGB" and not self.transparent and self._convert is None

    def of(self, image: Image.Image) -> Image.Image:
        if self.changes_nothing:
            return image
        if self._numbers:
            return self._colours(self._grey(image))
        if not self.transparent:
            return self._colours(image)
        straight = image.convert("LA") if image.mode == "La" else image
        rgba = straight.convert("RGBA")
        if self._convert is not None:
            alpha = rgba.getchannel("A")
            rgba = self._colours(straight if self._plain == "L" else rgba)
            rgba.putalpha(alpha)
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")

    def _colours(self, image: Image.Image) -> Image.Image:
        if self._convert is None:
            return image.convert("RGB")
        converted = ImageCms.applyTransform(image.convert(self._plain), self._convert)
        return cast(Image.Image, converted)  # None only where it converts in place

    def _grey(self, image: Image.Image) -> Image.Image:
        # Pillow's convert clips these modes at 255 or scales them, depending on its version.
        values = np.asarray(image)
        if self._shift is None:
            if not np.isfinite(values).all():
                raise ImageError(self._label, _NOT_FINITE)
            scaled = (values.astype(np.float64) - self._black) * (255 / self._span)
            grey = np.rint(scaled.clip(0, 255)).astype(np.uint8)
        else:
            grey = (values >> self._shift).astype(np.uint8)
        if self._clear is not None:
            grey[values == self._clear] = 255
        return Image.fromarray(grey)


def _levels(image: Image.Image) -> tuple[float, float, int | None]:
    """Black, the distance to white, and how many low bits to drop; None if values are scaled instead."""
    low, high = _extremes(image)
    if image.mode != "F" and low >= 0 and high <= 0xFFFF:
        # The high byte, as Pillow itself reads 16-bit colour; of the depth that the values have, since software
        # writes 8, 10 and 12 bits into larger integers as they are, and the picture would be all but black.
        depth = next((bits for bits in _DEPTHS if high < 1 << bits), 16)
        return 0.0, 255.0, depth - 8
    return low, max(high - low, float(np.finfo(np.float32).tiny)), None


def _extremes(image: Image.Image) -> tuple[float, float]:
    if image.mode in ("I", "F", "I;16"):
        low, high = image.getextrema()  # of NaN it says nothing
    else:
        values = np.asarray(image)  # at most 16 bits each
        low, high = values.min(), values.max()
    return float(low), float(high)  # type: ignore[arg-type]  # one band has two numbers
