"""Random draws that are the same on every machine and with every version of NumPy: by digests of texts."""

from __future__ import annotations

import hashlib
import struct

__all__ = ["draws"]


def draws(text: str, count: int) -> list[float]:
    """Numbers from 0 to below 1, equally likely.

    Args:
        text: Another text gives other numbers.
        count: How many, from 1 to 8.

    >>> [round(number, 3) for number in draws("a photograph", 2)]
    [0.279, 0.826]
    """
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8 * count).digest()
    return [number / 2**64 for number in struct.unpack(f"<{count}Q", digest)]
