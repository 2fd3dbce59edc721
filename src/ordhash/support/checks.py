"""Checks of arguments that several rooms share, with one message each."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from ordhash.errors import ImageError, InputError

__all__ = ["integer_at_least", "some_usable"]


def integer_at_least(value: object, least: int, name: str) -> int:
    """``value`` as an int; it must be an integer (of Python or NumPy) of at least ``least``.

    Args:
        value: What a caller gave.
        least: The smallest that is allowed.
        name: Its name in the message.

    Raises:
        InputError: It is not an integer, or smaller.

    >>> integer_at_least(3, 1, "k")
    3
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # values without an index raise TypeError
    except TypeError:
        raise InputError(f"{name} is {value!r}; allowed are integers of at least {least}") from None
    if number < least:
        raise InputError(f"{name} is {number}; allowed are integers of at least {least}")
    return number


def some_usable(n_usable: int, failures: Sequence[ImageError]) -> None:
    """Raise unless at least one image can be used.

    Args:
        n_usable: Images that can be used.
        failures: Why the others cannot.

    Raises:
        InputError: None of the images can be used.

    >>> some_usable(1, [ImageError("cat.jpg", "the file is empty")])
    """
    if not n_usable:
        reason = f" ({failures[0]})" if failures else ""
        raise InputError(f"none of the {len(failures)} images can be used{reason}; give images that can be read")
