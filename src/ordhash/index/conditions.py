"""Conditions on the metadata of an index, as users write them: ``labels=cat``, ``size>=100000``, ``folder~2024``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError, did_you_mean
from ordhash.index.index import OrdinalIndex

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Comparison", "Condition", "rows_that_meet", "typed_value"]

Comparison: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
"""``~`` tests for a substring, ignoring case."""

_FUNCTIONS = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
"""Functions of ``pyarrow.compute``."""


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a value. An item without a value in the column meets no condition on it.

    Attributes:
        column: Name of the column.
        comparison: The comparison.
        value: As text; for a column of times, a date or a date and time as in ISO 8601.
    """

    column: str
    comparison: Comparison
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parse a condition.

        Raises:
            InputError: The text is not a condition.

        >>> Condition.parse("size>=100000")
        Condition(column='size', comparison='>=', value='100000')
        """
        found = re.match(r"([^=!<>~]+)(!=|<=|>=|=|<|>|~)(.*)", text, re.DOTALL)
        if not found:
            raise InputError(
                f"the condition is {text!r}; give COLUMN, one of {' '.join(get_args(Comparison))}, and a value, as in "
                "labels=cat"
            )
        return cls(found[1].strip(" "), found[2], found[3].strip(" "))  # type: ignore[arg-type]  # the pattern allows no other


def rows_that_meet(index: OrdinalIndex, conditions: Sequence[Condition]) -> npt.NDArray[np.bool_] | None:
    """Which rows of an index meet all conditions, bool (n_rows,); None without conditions.

    Raises:
        InputError: A condition names an unknown column, or does not fit its values.

    >>> from ordhash.codes import OrdinalCodes
    >>> codes = OrdinalCodes.from_symbols([[0, 1], [1, 1], [2, 2]], arity=4)
    >>> index = OrdinalIndex(codes, ["a", "b", "c"], {"size": [10, 200, None]})
    >>> rows_that_meet(index, [Condition.parse("size>=100")])
    array([False,  True, False])
    """
    if not conditions:
        return None
    mask = np.ones(index.n_rows, dtype=np.bool_)
    for condition in conditions:
        mask &= _meets(index, condition)
    return mask


def _meets(index: OrdinalIndex, condition: Condition) -> npt.NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [] if index.metadata is None else index.metadata.column_names
    if index.metadata is None or condition.column not in names:
        raise InputError(
            f"there is no column {condition.column!r}; the index has {', '.join(names) or 'no columns'}"
            f"{did_you_mean(condition.column, names)}"
        )
    column, kind = index.metadata[condition.column], index.metadata[condition.column].type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    try:
        if condition.comparison == "~":
            found = pc.match_substring(column, condition.value, ignore_case=True)
        else:
            found = pc.call_function(_FUNCTIONS[condition.comparison], [column, typed_value(condition.value, kind)])
    except (pa.ArrowException, ValueError):
        raise InputError(
            f"column {condition.column!r} cannot be compared by {condition.comparison} with {condition.value!r}; its "
            f"values are {kind}"
        ) from None
    met: npt.NDArray[np.bool_] = pc.fill_null(found, False).to_numpy()
    return met


def typed_value(text: str, kind: pa.DataType) -> pa.Scalar:
    """The value of a condition, converted to the type of its column.

    Raises:
        pyarrow.ArrowException: The text is not a value of this type.

    >>> import pyarrow as pa
    >>> typed_value("2024-01-01", pa.timestamp("s")).as_py().year
    2024
    """
    import pyarrow as pa

    if pa.types.is_timestamp(kind) and kind.tz is not None:  # Arrow parses such text only with a zone
        return pa.scalar(text).cast(pa.timestamp(kind.unit)).cast(kind)
    return pa.scalar(text).cast(kind)
