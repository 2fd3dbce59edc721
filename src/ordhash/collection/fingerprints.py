"""Fingerprints tell the same picture from one that looks alike.

A fingerprint is a perceptual hash, by which candidates are found, and a small picture, by which they are compared
([ordhash.collection.likeness][]). Copies of a photograph that were scaled, compressed, brightened a little, turned by
quarters or mirrored have near fingerprints; a picture whose contents differ somewhere does not.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.codes import CodeSpec
from ordhash.collection.likeness import SIDE, cosines, unlikeness

__all__ = [
    "CANDIDATE",
    "CANDIDATE_SKETCH",
    "FINGERPRINT",
    "NEAR_DUPLICATE",
    "distances_to",
    "fingerprint",
    "fingerprint_distance",
    "first_alike",
    "hash_of",
    "sketches_of",
    "turned_hashes",
]

# The hash is a code of arity 2: for each of 12 x 12 frequencies, whether it is clearly
# positive, and whether it is clearly negative.
_FREQUENCIES = 12
FINGERPRINT = CodeSpec(2 * _FREQUENCIES**2, 2)
CANDIDATE = 48
"""Bits of the hash in which pictures may differ to be compared; those of unrelated pictures differ in about 100."""

CANDIDATE_SKETCH = 14
"""Bits of the sketch in which they may differ; those of unrelated pictures differ in about 20 of 56."""

NEAR_DUPLICATE = 32
"""Up to this distance two pictures count as the same."""

_FARTHEST = 256
_GROUPED = 2  # pictures that each of some is compared with, those with the nearest hashes
_PAIRS = 256  # compared in all, which takes five seconds at most
_CLEARLY = 0.4 * SIDE  # of an orthonormal transform: a wave of about half a grey level
_LEAST_CONTRAST = 2.0  # levels; below it there is nothing to compare
_QUALITIES, _BYTES = (95, 85), 2200  # of the small picture: the better one where it takes few bytes, as of documents


def fingerprint(pixels: npt.NDArray[np.uint8]) -> bytes | None:
    """Hash and small picture of a picture.

    Args:
        pixels: uint8 (h, w, 3), of about 80 pixels a side or more.

    Returns:
        36 bytes of the hash (signs of the 12 x 12 lowest frequencies of its grey values), and a WebP file of 80 x 80
        pixels: in all about 2.4 kB for a photograph, at most about 3. None for a picture of nearly one colour, which
        has nothing that could be compared.

    >>> fingerprint(np.zeros((64, 64, 3), np.uint8)) is None
    True
    """
    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    if np.asarray(small.convert("YCbCr")).std(axis=(0, 1)).max() < _LEAST_CONTRAST:
        return None
    for quality in _QUALITIES:
        file = io.BytesIO()
        small.save(file, "WEBP", quality=quality, method=4)
        if file.tell() <= _BYTES:
            break
    waves = _waves(np.asarray(small.convert("L"), dtype=np.float32))
    packed: bytes = _hashes(waves[None])[0].tobytes()
    return packed + file.getvalue()


def fingerprint_distance(one: bytes, other: bytes) -> int:
    """How far two pictures are from showing the same, 0 to 256; up to ``NEAR_DUPLICATE`` they do.

    The smallest over the eight ways to turn one of them by quarters and mirror it.

    >>> picture = np.zeros((80, 80, 3), np.uint8)
    >>> picture[:, :20] = 200, 30, 30
    >>> one = fingerprint(picture)
    >>> fingerprint_distance(one, fingerprint(picture[:, ::-1])) <= NEAR_DUPLICATE
    True
    >>> fingerprint_distance(one, fingerprint(picture[..., ::-1])) <= NEAR_DUPLICATE
    False
    """
    return int(distances_to(one, [other])[0])


def distances_to(one: bytes, others: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Distances of some fingerprints to one, each as ``fingerprint_distance`` gives it.

    Args:
        one: A fingerprint.
        others: m fingerprints.

    Returns:
        int64 (m,).
    """
    if not others:
        return np.zeros(0, dtype=np.int64)
    differing = _differing(one, np.stack([hash_of(other) for other in others]))
    distances = np.asarray(np.clip(differing.min(axis=0), NEAR_DUPLICATE + 1, _FARTHEST), dtype=np.int64)
    for row, ways in _candidates(differing, CANDIDATE):
        found = _distance(one, others[row], ways)
        if found is not None:
            distances[row] = found
    return distances


def _differing(one: bytes, hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Bits in which the hashes of m others differ from the eight of a picture, (8, m)."""
    mine, theirs = turned_hashes(one).view(np.uint32), hashes.view(np.uint32)
    return np.asarray(np.bitwise_count(mine[:, None] ^ theirs).sum(axis=2, dtype=np.int64))


def _candidates(differing: npt.NDArray[np.int64], limit: int) -> list[tuple[int, tuple[int, ...]]]:
    """The others whose hashes are near, nearest first, and the ways in which they are.

    Of plain pictures all eight hashes are alike; a copy was turned in one of the two nearest ways.
    """
    nearest = differing.min(axis=0)
    rows = np.flatnonzero(nearest <= limit)
    rows = rows[np.argsort(nearest[rows], kind="stable")]
    order = np.argsort(differing[:, rows], axis=0, kind="stable")[:2].T
    return [
        (row, tuple(way for way in ways if differing[way, row] <= limit))
        for row, ways in zip(rows.tolist(), order.tolist(), strict=True)
    ]


@functools.lru_cache(maxsize=8192)  # 40 MB; up to twenty milliseconds each
def _distance(one: bytes, other: bytes, ways: tuple[int, ...]) -> int | None:
    """Distance of two pictures, the other turned back in some ways; None if a fingerprint is damaged."""
    mine, theirs = _picture(one), _picture(other)
    if mine is None or theirs is None:
        return None
    turned = np.stack([_turn_back(theirs, way) for way in ways])
    return min(math.ceil(float(unlikeness(mine, turned).min()) * NEAR_DUPLICATE), _FARTHEST)


def first_alike(fingerprints: Sequence[bytes | None], others: Sequence[bytes] | None = None) -> list[int | None]:
    """For each picture the position of the first of some others that shows the same; None where none does.

    For the results of a search: each picture is compared with the two of the nearest hashes, and so many in all that
    it takes some seconds at most, however alike all of them are.

    Args:
        fingerprints: Of n pictures.
        others: Of the others; None compares each picture with those before it that are themselves like none before
            them, so that every picture of a group is near to the first.

    >>> stripes = np.zeros((2, 80, 80, 3), np.uint8)
    >>> stripes[0, :20], stripes[1, 20:60] = 255, 255
    >>> one, other = map(fingerprint, stripes)
    >>> first_alike([one, other, None, one])
    [None, None, None, 0]
    """
    found: list[int | None] = [None] * len(fingerprints)
    among = fingerprints if others is None else others
    # Places of those that pictures are compared with, and their hashes in an array that has room for all.
    firsts = [] if others is None else list(range(len(among)))
    hashes = np.stack([hash_of(one or b"") for one in among]) if len(among) else np.zeros((0, 0), np.uint8)
    left = _PAIRS
    for place, one in enumerate(fingerprints):
        if one is None:
            continue
        near = []
        if firsts and left > 0:
            limit = CANDIDATE if left > _PAIRS // 2 else CANDIDATE // 3  # the nearest have the other half
            for row, ways in _candidates(_differing(one, hashes[: len(firsts)]), limit)[: min(_GROUPED, left)]:
                left -= 1
                bits = _distance(one, among[firsts[row]] or b"", ways)
                near += [row] if bits is not None and bits <= NEAR_DUPLICATE else []
        if near:
            found[place] = firsts[min(near)]
        elif others is None:
            hashes[len(firsts)] = hash_of(one)
            firsts.append(place)
    return found


def hash_of(one: bytes) -> npt.NDArray[np.uint8]:
    """The hash of a fingerprint, uint8 (FINGERPRINT.packed_bytes,)."""
    size = FINGERPRINT.packed_bytes
    return np.frombuffer(one[:size].ljust(size, b"\0"), dtype=np.uint8)


def sketches_of(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The bits of the lowest frequencies of some hashes: one word each, so that very many are compared quickly.

    Args:
        hashes: uint8 (n, FINGERPRINT.packed_bytes).

    Returns:
        uint64 (n,), of which 56 bits are used.
    """
    rows = np.arange(_FREQUENCIES)
    low = (rows[:, None] + rows <= 6).ravel()
    bits = np.unpackbits(hashes, axis=1).reshape(len(hashes), 2, -1)[..., low].reshape(len(hashes), -1)
    padded = np.pad(bits, ((0, 0), (0, 64 - bits.shape[1])))
    return np.packbits(padded, axis=1).view(np.uint64).ravel()


def turned_hashes(one: bytes) -> npt.NDArray[np.uint8]:
    """The hashes of the eight ways to turn a picture by quarters and mirror it, uint8 (8, FINGERPRINT.packed_bytes).

    Mirrored, every odd wave changes its sign; turned, the two directions change places.

    Args:
        one: Its fingerprint.
    """
    positive, negative = np.unpackbits(hash_of(one)).reshape(2, _FREQUENCIES, _FREQUENCIES)
    odd = np.arange(_FREQUENCIES) % 2
    hashes = []
    for way in range(8):
        swapped = (odd[:, None] * (way >> 1 & 1) + odd * (way & 1)) % 2 == 1
        bits = np.stack([np.where(swapped, negative, positive), np.where(swapped, positive, negative)])
        hashes.append(np.packbits(bits.swapaxes(1, 2) if way & 4 else bits))
    return np.stack(hashes)


def _turn_back(picture: npt.NDArray[np.uint8], way: int) -> npt.NDArray[np.uint8]:
    """What a picture was before it was turned in one of the eight ways of ``turned_hashes``."""
    if way & 4:
        picture = picture.swapaxes(0, 1)
    if way & 2:
        picture = picture[::-1]
    return picture[:, ::-1] if way & 1 else picture


def _waves(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows = cosines(SIDE, _FREQUENCIES)
    waves = np.asarray(rows @ grey @ rows.T, dtype=np.float32)
    waves[0, 0] = 0  # the mean
    return waves


def _hashes(waves: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    bits = np.stack([waves > _CLEARLY, waves < -_CLEARLY], axis=1)
    return np.packbits(bits.reshape(len(waves), -1), axis=1)


@functools.lru_cache(maxsize=4096)  # 80 MB
def _picture(one: bytes) -> npt.NDArray[np.uint8] | None:
    """The small picture of a fingerprint, YCbCr; None if it is damaged."""
    try:
        with Image.open(io.BytesIO(one[FINGERPRINT.packed_bytes :]), formats=["WEBP"]) as file:
            picture = np.array(file.convert("YCbCr"))
    except Exception:  # Pillow does not say what a decoder may raise; `verify` names the row
        return None
    return picture if picture.shape == (SIDE, SIDE, 3) else None
