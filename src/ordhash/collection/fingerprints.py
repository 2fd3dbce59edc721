"""Fingerprints: perceptual hashes, which tell the same picture from one that looks alike.

Copies of a photograph that were scaled, recompressed or brightened a little have nearly equal fingerprints; different
photographs of the same thing do not, however near their ordinal codes are.
"""

from __future__ import annotations

from collections.abc import Sequence

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.codes import CodeSpec

__all__ = ["FINGERPRINT", "NEAR_DUPLICATE", "fingerprint", "fingerprint_distance", "first_alike"]

# A fingerprint is a code of arity 2, so an index finds near ones.
FINGERPRINT = CodeSpec(256, 2)
# Chosen with benchmarks/likeness.py: copies found, and different pictures mistaken for copies.
NEAR_DUPLICATE = 32
_LEAST_CONTRAST = 2.0  # grey levels; below it the bits are noise


def fingerprint(pixels: npt.NDArray[np.uint8]) -> bytes | None:
    """Perceptual hash of a picture: signs of the 16 x 16 lowest frequencies of its grey values, against their median.

    pHash as the package ImageHash computes it.

    Args:
        pixels: uint8 (h, w, 3), of about 64 pixels a side or more.

    Returns:
        32 bytes; None for a picture of nearly one colour, which has no features that could be compared.

    >>> fingerprint(np.zeros((64, 64, 3), np.uint8)) is None
    True
    """
    grey = Image.fromarray(pixels).convert("L")
    if np.asarray(grey).std() < _LEAST_CONTRAST:
        return None
    return np.packbits(imagehash.phash(grey, hash_size=16).hash.ravel()).tobytes()


def fingerprint_distance(one: bytes, other: bytes) -> int:
    """Bits that differ, 0 to 256; up to ``NEAR_DUPLICATE`` two pictures count as the same.

    >>> fingerprint_distance(bytes(32), bytes([3]) + bytes(31))
    2
    """
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def first_alike(fingerprints: Sequence[bytes | None], others: Sequence[bytes] | None = None) -> list[int | None]:
    """For each picture the position of the first of some others that shows the same; None where none does.

    Args:
        fingerprints: Of n pictures.
        others: Of the others; None compares each picture with those before it.

    >>> first_alike([bytes(32), bytes([255]) * 32, bytes([1]) + bytes(31)])
    [None, None, 0]
    """
    bits = _bits(fingerprints if others is None else others)
    found: list[int | None] = []
    for place, one in enumerate(fingerprints):
        among = bits[:place] if others is None else bits
        if one is None or not len(among):
            found.append(None)
            continue
        differing = np.bitwise_count(among ^ np.frombuffer(one, dtype=np.uint8)).sum(axis=1)
        known = differing <= NEAR_DUPLICATE
        if others is None:
            known &= np.array([other is not None for other in fingerprints[:place]])
        found.append(int(known.argmax()) if known.any() else None)
    return found


def _bits(fingerprints: Sequence[bytes | None]) -> npt.NDArray[np.uint8]:
    packed = b"".join(one or bytes(FINGERPRINT.packed_bytes) for one in fingerprints)
    return np.frombuffer(packed, dtype=np.uint8).reshape(len(fingerprints), FINGERPRINT.packed_bytes)
