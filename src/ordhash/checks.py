"""Checks that several modules make of what they are given, with one sentence each."""

from __future__ import annotations

import operator

from ordhash.errors import InputError

__all__ = ["integer_at_least"]


def integer_at_least(value: object, least: int, name: str) -> int:
    """``value`` as an int, if it is an integer (of Python or NumPy) of at least ``least``.

    Args:
        value: What a caller gave.
        least: The smallest that is allowed.
        name: What the caller knows it as.

    Raises:
        InputError: It is no integer, or is smaller.

    >>> integer_at_least(3, 1, "k")
    3
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # what has no index is what is looked for
    except TypeError:
        raise InputError(f"{name} is {value!r}; allowed are integers of at least {least}") from None
    if number < least:
        raise InputError(f"{name} is {number}; allowed are integers of at least {least}")
    return number
