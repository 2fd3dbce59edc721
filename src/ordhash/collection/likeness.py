"""Whether two small pictures show the same: compared place by place, since what differs may be small.

Copies differ everywhere a little: they were compressed, scaled, blurred, brightened. So one picture is first made as
sharp, as bright and as contrasted as the other. What still differs is looked at in windows, each measured against the
detail that is there. In a copy no window stands out from the others; a face painted over, another number in a form or
an added object does. Colours are compared in larger blocks.

All limits were chosen with ``benchmarks/likeness.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SIDE", "cosines", "unlikeness"]

SIDE = 80
"""Side of a small picture, in pixels."""

Floats = npt.NDArray[np.floating[Any]]

# Light: root mean squares of windows, in units of _NOISE grey levels and half of the local contrast.
_WINDOW = 3
_NOISE, _SHARE = 6.0, 0.5
_LEAST, _SLOPE, _MOST = 0.5, 3.8, 2.3  # the limit of a window grows with the noise of the others, from least to most
_CONTRAST = 4.0  # grey levels; windows with more tell the noise
_WINDOWS = 20  # with fewer of those it is not known
_BLURS = np.linspace(0, 4, 17)  # pixels

# Tone: how much brighter or darker a copy may be on average, in grey levels.
_TONE, _TONE_OF_FLAT = 55.0, 7.0
_CLIPPED = 6  # grey levels from black or white, where a brighter copy lost what was there
_KEPT = (1e-5, 1e-5, 0.005, 0.005, *[1e-3] * 6)  # least squares' weight on no change
_REACH = 1.0  # pixels
_STEEP = (0.4, 2.5)  # levels of a copy to a level
_DETAIL = 1.5  # grey levels; a window with more has detail
_FLAT = 0.25  # share of windows with detail; with less a picture is a drawing, a flag, a gradient

# Colour: differences of blocks, in levels of Cb and Cr.
_BLOCK = 5
_COLOUR = 12.0
_GREY = 5.0  # a picture with less colour is grey
_SATURATION, _TINT = (0.65, 1.45), 6.0


def cosines(side: int, n: int | None = None) -> npt.NDArray[np.float32]:
    """The first n rows of the orthonormal cosine transform (DCT-II) of a number of samples.

    Args:
        side: How many samples.
        n: How many rows; None for all.

    >>> np.round(cosines(2), 2)
    array([[ 0.71,  0.71],
           [ 0.71, -0.71]], dtype=float32)
    """
    rows = np.arange(side if n is None else n)[:, None]
    matrix = np.cos(np.pi * rows * (2 * np.arange(side) + 1) / (2 * side)) * np.sqrt(2 / side)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, dtype=np.float32)


def unlikeness(one: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """How far pictures are from showing the same as one picture: up to 1 they do.

    Args:
        one: YCbCr, uint8 (SIDE, SIDE, 3).
        others: YCbCr, uint8 (m, SIDE, SIDE, 3).

    Returns:
        float32 (m,), at least 0.

    >>> drawing = np.full((80, 80, 3), 128, np.uint8)
    >>> drawing[20:40, 20:40, 0] = 250
    >>> other = drawing.copy()
    >>> other[30:36, 30:36, 0] = 60
    >>> unlikeness(drawing, np.stack([drawing, other])) > 1
    array([False,  True])
    """
    ours, theirs = np.repeat(one[None], len(others), axis=0).astype(np.float32), others.astype(np.float32)
    ours[..., 0], theirs[..., 0] = _equally_sharp(ours[..., 0], theirs[..., 0])
    flat = np.minimum(_detailed(ours[..., 0]), _detailed(theirs[..., 0])) < _FLAT
    # A picture can be made from a brighter one of it and not the other way round: what was white is lost.
    return np.minimum(_unlike(ours, theirs, flat), _unlike(theirs, ours, flat))


def _unlike(ours: Floats, theirs: Floats, flat: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """How far our picture of each equally sharp pair is from theirs, after it got tone and place of that."""
    fitted, change = _fitted(ours, theirs, flat)
    tone = change / np.where(flat, _TONE_OF_FLAT, _TONE)
    colour = _unlike_colours(fitted[..., 1:], theirs[..., 1:], change, flat)
    places = _unlike_places(fitted[..., 0], theirs[..., 0])
    return np.asarray(np.max([places, tone, colour], axis=0), dtype=np.float32)


def _equally_sharp(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Both pictures of each pair, the sharper one blurred until it has as much fine detail for its contrast.

    Along each axis on its own, since pictures that are not square are squeezed along one.
    """
    spectra = _COSINES @ np.stack([one, other]) @ _COSINES.T
    power = spectra**2
    power[..., 0, 0] = 0
    for axis in (2, 3):
        along = power.sum(axis=5 - axis)  # (2, m, SIDE)
        contrast = along @ _DAMPING.T + SIDE**2
        sharpness = along @ (_DAMPING * _FREQUENCIES).T / contrast  # (2, m, blurs)
        sharp = sharpness[..., 0]
        blur = np.abs(np.log((sharpness + 1e-9) / (sharp.min(axis=0)[None, :, None] + 1e-9))).argmin(axis=2)
        blur[sharp.argmin(axis=0), np.arange(len(one))] = 0
        spectra *= np.expand_dims(np.sqrt(_DAMPING)[blur], 5 - axis)
    blurred = _COSINES.T @ spectra @ _COSINES
    return blurred[0], blurred[1]


def _fitted(ours: Floats, theirs: Floats, flat: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Our picture of each pair with tone and place of theirs, by least squares, and how much its tone changed.

    Tone is brightness, contrast and gamma: a smooth curve of the light, applied to red, green and blue. Place is an
    affine map, linear in the gradient (Simard et al., 1993: tangent distance), so it reaches about a pixel. Where a
    colour of either picture is at its end, a copy perhaps lost what was there: it has no say, unless the pictures are
    flat, and so little else is there.
    """
    n = len(ours)
    rgb = _as_rgb(ours)
    ends = np.stack([rgb, _as_rgb(theirs)], axis=-1)
    seen = (ends.min(axis=(3, 4)) > _CLIPPED) & (ends.max(axis=(3, 4)) < 255 - _CLIPPED)
    seen |= flat[:, None, None]
    one, other = ours[..., 0], theirs[..., 0]
    down, across = np.gradient(one, axis=(1, 2))
    moved = [slope * way for slope in (down, across) for way in (1, _PLACE[:, None], _PLACE)]
    terms = np.stack([*_tones(one), *moved], axis=1).reshape(n, -1, SIDE * SIDE)
    weighted = terms * (seen + np.float32(1e-3)).reshape(n, 1, -1)
    products = weighted @ terms.swapaxes(1, 2) + np.diag(_KEPT).astype(np.float32) * SIDE * SIDE
    factors = np.linalg.solve(products, weighted @ (other - one).reshape(n, -1, 1))
    curves = _LEVELS + factors[:, :4, 0] @ np.stack(_tones(_LEVELS))
    steps = np.clip(np.diff(curves, axis=1), *_STEEP)  # a curve that falls would make any drawing any other
    curves[:, 1:] = curves[:, :1] + np.cumsum(steps, axis=1)
    at = np.clip(np.rint(np.concatenate([rgb, one[..., None]], axis=3)), 0, 255).astype(np.int64)
    toned = np.take_along_axis(curves, at.reshape(n, -1), axis=1).reshape(at.shape)
    place = (np.clip(factors[:, 4:], -_REACH, _REACH).swapaxes(1, 2) @ terms[:, 4:]).reshape(one.shape)
    left = np.where(seen, other - toned[..., 3] - place, 0)
    apart = left.mean(axis=(1, 2)) / np.maximum(seen.mean(axis=(1, 2), dtype=np.float32), 1e-3)
    fitted = np.clip(toned[..., :3] + apart[:, None, None, None], 0, 255) @ _FROM_RGB.T
    change = np.abs(fitted[..., 0] - one).mean(axis=(1, 2))
    fitted[..., 0] = np.clip(fitted[..., 0] + place, 0, 255)
    fitted[..., 1:] += 128
    return fitted, change


def _as_rgb(picture: Floats) -> Floats:
    return np.clip((picture - _GREY_POINT) @ _TO_RGB.T, 0, 255)


def _tones(light: Floats) -> list[Floats]:
    x = (light - 128) / 128
    return [np.ones_like(x), x, x * x, np.maximum(x - 0.4, 0)]


def _unlike_places(one: Floats, other: Floats) -> Floats:
    """The window in which two pictures of light differ most, against its limit."""
    windows = _means(np.stack([(one - other) ** 2, one, one**2, other, other**2]))
    contrast = np.maximum(windows[2] - windows[1] ** 2 + windows[4] - windows[3] ** 2, 0) / 2
    differing = np.sqrt(windows[0] / (_NOISE**2 + _SHARE**2 * contrast))
    where = contrast > _CONTRAST**2
    noise = np.array([np.median(a[b]) if b.sum() >= _WINDOWS else 0 for a, b in zip(differing, where, strict=True)])
    return np.asarray(differing.max(axis=(1, 2)) / np.minimum(_LEAST + _SLOPE * noise, _MOST), dtype=np.float32)


def _detailed(light: Floats) -> Floats:
    """Share of windows with detail: light that is neither even nor a gradient."""
    return np.asarray((np.abs(light - _means(light)) > _DETAIL).mean(axis=(1, 2)), dtype=np.float32)


def _means(pictures: Floats) -> Floats:
    return _WINDOWS_OF @ pictures @ _WINDOWS_OF.T


def _unlike_colours(ours: Floats, theirs: Floats, change: Floats, flat: npt.NDArray[np.bool_]) -> Floats:
    """The block in which the colours of two pictures differ most, against its limit.

    A photograph and its grey copy have the same light; then colours have no say. In drawings they always have.
    """
    mine, theirs = _blocks(ours), _blocks(theirs)
    saturation = ((mine * theirs).sum(axis=(1, 2)) + 1) / ((mine**2).sum(axis=(1, 2)) + 1)
    mine = mine * np.clip(saturation, *_SATURATION)[:, None, None]
    tint = np.clip((theirs - mine).mean(axis=1, keepdims=True), -_TINT, _TINT)
    apart = np.abs(theirs - mine - tint).max(axis=(1, 2)) / _COLOUR
    grey = np.minimum(np.abs(mine).max(axis=(1, 2)), np.abs(theirs).max(axis=(1, 2))) < _GREY
    return np.asarray(np.where(grey & ~flat, np.minimum(apart, change / _TONE_OF_FLAT), apart), dtype=np.float32)


def _blocks(colours: Floats) -> Floats:
    """Mean Cb and Cr of blocks, against grey: (m, blocks, 2)."""
    n, across = len(colours), SIDE // _BLOCK
    parts = colours.reshape(n, across, _BLOCK, across, _BLOCK, 2) - 128
    return np.asarray(parts.mean(axis=(2, 4)).reshape(n, across * across, 2), dtype=np.float32)


def _windows_of() -> npt.NDArray[np.float32]:
    rows = np.arange(SIDE)
    near = np.abs(rows[:, None] - rows) <= _WINDOW // 2
    return np.asarray(near / near.sum(axis=1, keepdims=True), dtype=np.float32)


_COSINES, _WINDOWS_OF = cosines(SIDE), _windows_of()
# Red, green and blue of light, Cb - 128 and Cr - 128 (JFIF).
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], dtype=np.float32)
_FROM_RGB = np.linalg.inv(_TO_RGB)
_GREY_POINT = np.array([0, 128, 128], dtype=np.float32)
_LEVELS = np.arange(256, dtype=np.float32)
_PLACE = np.linspace(-1, 1, SIDE, dtype=np.float32)
# Squared frequencies, of the gradient; a Gaussian blur of width s damps the power of frequency w by exp(-s^2 w^2).
_FREQUENCIES = np.asarray((np.pi * np.arange(SIDE) / SIDE) ** 2, dtype=np.float32)
_DAMPING = np.exp(-(_BLURS[:, None] ** 2) * _FREQUENCIES).astype(np.float32)  # (blurs, SIDE)
