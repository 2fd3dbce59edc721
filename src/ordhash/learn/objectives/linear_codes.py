"""The largest minimum distance that is known of binary linear codes."""

from __future__ import annotations

__all__ = ["largest_distance"]

# By how much the shortest known codes are longer than the Griesmer bound (Griesmer, IBM Journal 1960): for each
# dimension a digit for d = 2, 4, 6, ...; nothing, beyond the last digit and for smaller dimensions. From the tables of
# Brouwer, Handbook of Coding Theory 1998, for lengths up to 256. Up to dimension 8 no shorter codes exist.
_LONGER = {
    5: "011",
    6: "0111111001",
    7: "0111112211112210011111",
    8: "0111222222113333222222222222231001111111111111000111",
    9: "011122333344444433334444444444443433443344333333344433335444431",
    10: "012122443344444444334444444455665555765555554444555544447877",
}


def largest_distance(length: int, dimension: int) -> int:
    """The largest d of which a binary linear code with minimum distance d is known.

    A code of length n and odd d exists wherever one of length n + 1 and d + 1 does, so even d tell all.

    Args:
        length: Bits of a code word.
        dimension: Bits that it encodes: 2^dimension words. Above 10, and from length 257, d is the Griesmer bound,
            which codes need not reach.

    Returns:
        d; 0 if the dimension is above the length.

    >>> largest_distance(12, 5), largest_distance(31, 5), largest_distance(64, 7)
    (4, 16, 32)
    """
    return max((d for d in range(1, length + 1) if _shortest(d, dimension) <= length), default=0)


def _shortest(d: int, dimension: int) -> int:
    """Length of the shortest known code of minimum distance d."""
    griesmer = sum(-(-d // (1 << i)) for i in range(dimension))
    longer = _LONGER.get(dimension, "")
    place = (d + 1) // 2 - 1
    return griesmer + (int(longer[place]) if place < len(longer) else 0)
