"""Conditions on the metadata of an index, as users write them: ``labels=cat``, ``size>=100000``, ``folder~2024``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ordhash.codes import LABELS, has_label, has_label_with
from ordhash.errors import InputError, did_you_mean
from ordhash.index.index import OrdinalIndex
from ordhash.index.values import typed_value
from ordhash.support import is_text, plain_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Comparison", "Condition", "asks_for_labels", "rows_that_meet", "unfit_value", "unknown_column"]

Comparison: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
"""``~`` tests for a substring, in labels for whole words, ignoring case."""

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

    The column ``labels`` holds the labels of an item, separated by ``;``. ``labels=sea`` asks for the items that have
    the label, ``labels!=sea`` for the others, ``labels~sea`` for a label with the word: "North Sea" and not "season".
    A value with several labels asks for all of them, and ``labels=`` for items without labels. Composed and decomposed
    accents are the same in texts.

    Attributes:
        column: Name of the column.
        comparison: The comparison.
        value: As text; for a column of times, a date or a date and time as in ISO 8601. Without an offset from UTC it
            is in the local time zone.
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
                "folder~beach"
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
        raise unknown_column(condition, names)
    column = plain_column(index.metadata[condition.column])
    by_labels = asks_for_labels(condition, column.type)
    try:
        if by_labels:
            found = _meets_by_labels(column, condition)
        else:
            value = typed_value(condition.value, column.type)
            if is_text(column.type):
                column = _composed_column(column)
            if condition.comparison == "~":
                found = pc.match_substring(column, value.as_py(), ignore_case=True)
            else:
                found = pc.call_function(_FUNCTIONS[condition.comparison], [column, value])
                if pa.types.is_floating(column.type):  # NaN is no value, and would differ from every other
                    found = pc.and_kleene(found, pc.invert(pc.is_nan(column)))
    except (pa.ArrowException, ValueError, TypeError):
        raise unfit_value(condition, column.type) from None
    met: npt.NDArray[np.bool_] = pc.fill_null(found, False).to_numpy()
    return met


def _meets_by_labels(column: pa.ChunkedArray, condition: Condition) -> pa.ChunkedArray:
    """Whether items have, or have not, the labels of a condition; asked once for each different text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    meets = has_label_with if condition.comparison == "~" else has_label
    texts = column.unique()
    answers = [
        None if text is None else meets(text, condition.value) != (condition.comparison == "!=")
        for text in texts.to_pylist()
    ]
    return pa.chunked_array([answers], pa.bool_()).take(pc.index_in(column, texts))


def _composed_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts with composed accents, as in [composed][ordhash.codes.composed]."""
    import pyarrow.compute as pc

    if pc.all(pc.string_is_ascii(column)).as_py() is not False:
        return column
    return pc.utf8_normalize(column, form="NFC")


def asks_for_labels(condition: Condition, kind: pa.DataType) -> bool:
    """Whether a condition is on labels, which are compared one by one, in a column of this type.

    Raises:
        InputError: It is, and asks which label is less than another.
    """
    if condition.column != LABELS or not is_text(kind):
        return False
    if condition.comparison not in ("=", "!=", "~"):
        raise InputError(
            f"labels cannot be compared by {condition.comparison}; ask for a label by =, != or ~, as in labels=cat"
        )
    return True


def unknown_column(condition: Condition, names: Sequence[str]) -> InputError:
    """The error of a condition on a column that is not among those there are."""
    return InputError(
        f"there is no column {condition.column!r}; the index has {', '.join(names) or 'no columns'}"
        f"{did_you_mean(condition.column, names)}"
    )


def unfit_value(condition: Condition, kind: pa.DataType) -> InputError:
    """The error of a condition that a column of this type cannot be compared by."""
    return InputError(
        f"column {condition.column!r} cannot be compared by {condition.comparison} with {condition.value!r}; its "
        f"values are {kind}"
    )
