"""Checks of arguments that several rooms share, with one message each."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from ordhash.errors import ImageError, InputError

__all__ = ["check_types", "integer_at_least", "some_usable"]


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


def check_types(values: Mapping[str, object], kinds: Mapping[str, Any]) -> None:
    """Check values, as from a file, against the types that they are declared with.

    A whole number is a number too; true and false are not.

    Args:
        values: By name; those that have no type are not looked at.
        kinds: Types by name, as ``typing.get_type_hints`` gives them: plain ones, ``Literal``, unions, lists of
            these, and dictionaries of anything.

    Raises:
        InputError: A value is of another type.

    >>> check_types({"epochs": 3, "rate": 1}, {"epochs": int, "rate": float})
    >>> check_types({"devices": "two"}, {"devices": int | Literal["auto"]})
    Traceback (most recent call last):
    ordhash.errors.InputError: devices is 'two'; allowed are whole numbers and 'auto'
    """
    for name, value in values.items():
        if name in kinds and not _is(value, kinds[name]):
            *first, last = _names(kinds[name])
            raise InputError(f"{name} is {value!r}; allowed are {', '.join(first)}{' and ' if first else ''}{last}")


def _is(value: object, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin is dict:
        return isinstance(value, dict)
    if origin is list:
        return isinstance(value, list) and all(_is(one, inner[0]) for one in value)
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return isinstance(value, kind)


_NAMES = {bool: ["true", "false"], int: ["whole numbers"], float: ["numbers"], str: ["texts"], dict: ["tables"]}


def _names(kind: Any) -> list[str]:
    """What a type allows, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return [name for one in inner for name in _names(one)]
    if origin is Literal:
        return [repr(one) for one in inner]
    if origin is list:
        return [f"lists of {' and '.join(_names(inner[0]))}"]
    return ["None"] if kind is NoneType else _NAMES.get(origin or kind, [kind.__name__])
