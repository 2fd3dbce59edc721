"""Colour spaces: which one an image is in, and the conversion from there to sRGB.

What says so, in the order in which browsers trust it: code points of PNG (``cICP``), an embedded ICC profile, code
points of AVIF (``nclx``, which beside a profile only say how its pixels are coded), PNG ``sRGB``, PNG ``gAMA`` and
``cHRM``, and the Exif mark of a camera that was set to Adobe RGB. An image without any of them is sRGB.
"""

from __future__ import annotations

import functools
import io
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

__all__ = ["MAX_PROFILE_BYTES", "colour_profile", "converter", "is_grey", "matrix_profile"]

MAX_PROFILE_BYTES = 4 << 20
"""Larger profiles are ignored; those of printing presses have up to 3 MB."""

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_PNG = b"\x89PNG"
_SAME = 2  # levels of 255 by which profiles of sRGB differ from each other

_D50 = np.array([0.9642, 1.0, 0.8249])  # white of every profile
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

_D65 = (0.3127, 0.329)
_SRGB = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_ADOBE_RGB = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_ADOBE_GAMMA = 563 / 256
# ITU-T H.273: white, red, green and blue of the code points that photographs have, and exponents. 0 is sRGB's curve.
_PRIMARIES = {
    1: _SRGB,
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # Rec. 2020
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # DCI-P3
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
}
_TRANSFERS = {1: 0.0, 4: 2.2, 5: 2.8, 6: 0.0, 8: 1.0, 13: 0.0, 14: 0.0, 15: 0.0}


def is_grey(mode: str) -> bool:
    """Whether images of a mode have no colours.

    >>> is_grey("LA"), is_grey("I;16"), is_grey("P")
    (True, True, False)
    """
    return mode in ("1", "L", "LA", "La", "F") or mode.startswith("I")


def colour_profile(image: Image.Image, head: bytes = b"") -> bytes | None:
    """ICC profile of the colour space that an image is in.

    Args:
        image: Not necessarily decoded.
        head: First bytes of its file, where code points are looked for.

    Returns:
        The profile that is embedded, or one made from what else the file says; None for sRGB.

    >>> colour_profile(Image.new("RGB", (2, 2)))
    """
    grey = is_grey(image.mode)
    embedded = image.info.get("icc_profile") or _profile_of_jpeg_2000(head)
    points = _code_points(head) if head.startswith(_PNG) or not embedded else None
    if points is not None and points[0] in _PRIMARIES and points[1] in _TRANSFERS:
        exponent = _TRANSFERS[points[1]]
        srgb = (points[0] == 1 or grey) and exponent == 0
        return None if srgb else matrix_profile(_PRIMARIES[points[0]], exponent, grey=grey)
    if embedded:
        return bytes(embedded) if len(embedded) <= MAX_PROFILE_BYTES else None
    if "srgb" in image.info:
        return None
    if "gamma" in image.info or "chromaticity" in image.info:
        return _profile_of_png(image.info.get("gamma"), image.info.get("chromaticity"), grey)
    return matrix_profile(_ADOBE_RGB, _ADOBE_GAMMA) if _says_adobe_rgb(image) else None


@functools.lru_cache(maxsize=16)
def converter(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Conversion of pixels to sRGB; it may be used by several threads at once.

    Args:
        profile: An ICC profile, or None.
        mode: Of the pixels: L, RGB, CMYK or LAB. LAB needs no profile.

    Returns:
        What ``ImageCms.applyTransform`` takes, from this mode to RGB. None if it would change nothing, and for a
        profile that is broken or of another kind of pixels.

    >>> converter(matrix_profile(_SRGB, 0), "RGB") is None, converter(b"no profile", "RGB") is None
    (True, True)
    """
    if profile is None:
        return _conversion(ImageCms.createProfile("LAB"), mode) if mode == "LAB" else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() == _SPACES[mode]:
            made = _conversion(source, mode)
            return None if _changes_nothing(made, mode) else made
    except Exception:  # Pillow does not document what a broken profile raises; the pixels are fine without it
        pass
    return converter(None, mode)


def _conversion(source: Any, mode: str) -> ImageCms.ImageCmsTransform:
    # Black point compensation and relative colours: white and black stay white and black.
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _changes_nothing(conversion: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode == "RGB":
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        samples = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(len(steps), -1, 3)
        plain = samples
    elif mode == "L":
        samples = np.arange(256, dtype=np.uint8)[None]
        plain = np.repeat(samples[..., None], 3, axis=2)
    else:
        return False
    converted = ImageCms.applyTransform(Image.fromarray(samples), conversion)
    return int(np.abs(np.asarray(converted).astype(np.int16) - plain).max()) <= _SAME


def matrix_profile(white_and_primaries: Sequence[float], exponent: float, *, grey: bool = False) -> bytes:
    """ICC profile of a colour space with three primaries and one curve.

    Args:
        white_and_primaries: Chromaticities x and y of white, red, green and blue: 8 numbers.
        exponent: Of the curve from values to light; 0 stands for the curve of sRGB.
        grey: Whether the profile is of grey pixels.

    Raises:
        ValueError: There is no such colour space.

    >>> len(matrix_profile((0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 2.2))
    344
    """
    places = np.array(white_and_primaries, dtype=np.float64).reshape(4, 2)
    if not (np.isfinite(places).all() and (places[:, 1] > 0).all() and math.isfinite(exponent)):
        raise ValueError("chromaticities must be above 0")
    x, y = places.T
    tristimulus = np.stack([x / y, np.ones(4), (1 - x - y) / y])  # a column each: white, red, green, blue
    white, primaries = tristimulus[:, 0], tristimulus[:, 1:]
    try:
        primaries = primaries * np.linalg.solve(primaries, white)
    except np.linalg.LinAlgError as error:
        raise ValueError("the primaries must not lie on one line") from error
    adaptation = np.linalg.solve(_BRADFORD, np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD)
    columns = (adaptation @ primaries).T
    parameters = (0, exponent) if exponent else (3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curve = b"para\0\0\0\0" + struct.pack(">HH", parameters[0], 0) + b"".join(map(_fixed, parameters[1:]))
    tags = {b"wtpt": _xyz(_D50)}
    if grey:
        tags[b"kTRC"] = curve
    else:
        tags |= {b"rXYZ": _xyz(columns[0]), b"gXYZ": _xyz(columns[1]), b"bXYZ": _xyz(columns[2])}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += value
    space = b"GRAY" if grey else b"RGB "
    header = struct.pack(">I 4x I 4s4s4s 12x 4s 28x", start + len(body), 0x04200000, b"mntr", space, b"XYZ ", b"acsp")
    return header + b"".join(map(_fixed, _D50)) + bytes(48) + table + body


def _fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def _xyz(vector: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, vector.tolist()))


def _code_points(head: bytes) -> tuple[int, int] | None:
    """Colour primaries and transfer characteristics, as ITU-T H.273 numbers them."""
    if head.startswith(_PNG):
        place = 8
        while place + 12 <= len(head):
            (length,) = struct.unpack_from(">I", head, place)
            kind = head[place + 4 : place + 8]
            if kind == b"cICP" and length == 4:
                return head[place + 8], head[place + 9]
            if kind in (b"PLTE", b"IDAT"):
                return None
            place += 12 + length
    elif head[4:8] == b"ftyp":
        found = head.find(b"colrnclx")
        if 0 <= found <= len(head) - 12:
            return struct.unpack_from(">HH", head, found + 8)
    return None


def _profile_of_jpeg_2000(head: bytes) -> bytes | None:
    """What a ``colr`` box of method 2 holds, which Pillow does not read."""
    if head[4:8] != b"jP  ":
        return None
    found = head.find(b"colr\x02")
    if found < 4:
        return None
    (length,) = struct.unpack_from(">I", head, found - 4)
    return head[found + 7 : found - 4 + length] or None


def _profile_of_png(gamma: object, chromaticity: object, grey: bool) -> bytes | None:
    exponent = 1 / gamma if isinstance(gamma, float) and 0.2 <= gamma <= 2 else 0.0
    if abs(exponent - 2.2) < 0.05:
        exponent = 0.0  # how writers of sRGB approximate its curve
    places = chromaticity if isinstance(chromaticity, tuple) and len(chromaticity) == 8 else _SRGB
    if exponent == 0 and (grey or np.allclose(places, _SRGB, atol=0.01)):
        return None
    try:
        return matrix_profile(places, exponent, grey=grey)
    except (ValueError, struct.error):
        return None


def _says_adobe_rgb(image: Image.Image) -> bool:
    if image.mode != "RGB":
        return False
    try:
        exif = image.getexif()
        if not exif:
            return False
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        if space == 2:  # not in the standard, but some cameras write it
            return True
        mark = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex) if space == 0xFFFF else None
        return mark in ("R03", b"R03", "R03\0")
    except Warning:
        raise
    except Exception:  # a broken EXIF block is ignored: the pixels are fine
        return False
