"""The order in which people read names with numbers."""

from __future__ import annotations

import re

__all__ = ["natural_order"]

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")


def natural_order(name: str) -> list[str | float]:
    """A key to sort names by, in which numbers count as such.

    >>> sorted(["share 10-20 %", "share 5-10 %", "edges soft"], key=natural_order)
    ['edges soft', 'share 5-10 %', 'share 10-20 %']
    """
    return [float(part) if place % 2 else part for place, part in enumerate(_NUMBER.split(name))]
