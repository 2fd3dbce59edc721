"""Cells of tables as a person would write them: names, and labels, from columns of any type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ordhash.codes import composed, is_label, labels_in
from ordhash.errors import DataError
from ordhash.support import is_text, plain_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["labels_of_column", "names_of_column"]

_AS_PYTHON_WRITES = re.compile(r"""\s*(\[\s*\]|[\[({]\s*u?(['"]).*\2\s*,?\s*[\])}])\s*""", re.DOTALL)

_NAMES = "texts or whole numbers"
_LABELS = "texts, whole numbers, true or false, days, or lists of these"


def names_of_column(table: pa.Table, column: str, name: str) -> list[str]:
    """The texts of a column of names, such as paths; "" where there is none.

    Args:
        table: The table.
        column: Name of the column: of texts, which may be stored as binary, or of whole numbers.
        name: Name of the table in messages.

    Raises:
        DataError: The column is of another type.
    """
    import pyarrow as pa

    values = plain_column(table[column])
    kind = values.type
    if not (is_text(kind) or _is_binary(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise _unfit(column, name, table[column].type, _NAMES)
    return ["" if value is None else _text(value, column, name) for value in values.to_pylist()]


def labels_of_column(table: pa.Table, column: str, name: str) -> list[list[str]]:
    """The labels of every row; none where there is no value.

    Several labels are a text with ``;`` between them, or a list, of which every item is one label. The numbers of a
    ``ClassLabel`` of Hugging Face's ``datasets`` are replaced by the names that the table brings along.

    Args:
        table: The table.
        column: Name of the column.
        name: Name of the table in messages.

    Raises:
        DataError: The column is of a type that is not written like labels, such as one of fractions, or ``;`` is in the
            name of a class or an item of a list.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = plain_column(table[column])
    classes = _class_names(table.schema.metadata, column)
    kind = values.type
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        values = pa.chunked_array([values.to_pylist()], pa.large_list(kind.value_type))
        kind = values.type
    if not any(is_one(kind) for is_one in lists):
        texts = _label_texts(values, classes, column, name)
        return [labels_in(text) if classes is None else _one(text, column, name) for text in texts]
    parts = pa.chunked_array([pc.list_flatten(chunk) for chunk in values.chunks], kind.value_type)
    items = iter(_label_texts(plain_column(parts), classes, column, name))
    lengths = [length or 0 for length in pc.list_value_length(values).to_pylist()]
    return [[label for _ in range(length) for label in _one(next(items), column, name)] for length in lengths]


def _one(text: str, column: str, name: str) -> list[str]:
    """The label that a text is, or none."""
    if not is_label(text):
        raise DataError(f"column {column!r} of {name} has the label {text[:60]!r}, and ; separates labels; rename it")
    label = composed(text).strip()
    return [label] if label else []


def _label_texts(values: pa.ChunkedArray, classes: Sequence[str] | None, column: str, name: str) -> list[str]:
    """Texts of single values; "" where there is none."""
    import pyarrow as pa

    kind = values.type
    known = (
        is_text,
        _is_binary,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_boolean,
        pa.types.is_date,
        pa.types.is_null,
    )
    if not any(is_one(kind) for is_one in known):
        raise _unfit(column, name, kind, _LABELS)
    try:
        cells = values.to_pylist()
    except (ValueError, OverflowError):  # days beyond the year 9999
        raise _unfit(column, name, kind, _LABELS) from None
    if classes is not None and pa.types.is_integer(kind):
        return [_class_of(cell, classes, column, name) for cell in cells]
    texts = ["" if cell is None else _text(cell, column, name) for cell in cells]
    lists = [text for text in texts if _AS_PYTHON_WRITES.fullmatch(text)]
    if lists:
        raise DataError(
            f"column {column!r} of {name} has the text {lists[0][:60]!r}, as Python writes a list; separate labels by ;"
        )
    return texts


def _class_of(number: int | None, classes: Sequence[str], column: str, name: str) -> str:
    if number is None or number == -1:  # how datasets say that the label is unknown
        return ""
    if not 0 <= number < len(classes):
        raise DataError(f"{name} has the class {number} in column {column!r}, and names for {len(classes)}; mend it")
    return classes[number]


def _text(value: Any, column: str, name: str) -> str:
    """A value as a person would write it.

    Raises:
        DataError: It is a number with a fraction, or bytes that are no text.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise DataError(f"column {column!r} of {name} has bytes that are not text in UTF-8; write texts") from None
    if isinstance(value, str | int):
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    # A whole number, which pandas makes a float where a row of the column has none.
    if math.isnan(value):
        return ""
    if math.isinf(value) or value != int(value):
        raise DataError(f"column {column!r} of {name} has the number {value}; allowed are {_LABELS}: write texts")
    return str(int(value))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return kind in (pa.binary(), pa.large_binary())


def _unfit(column: str, name: str, kind: pa.DataType, allowed: str) -> DataError:
    return DataError(f"column {column!r} of {name} is {str(kind)[:80]}; allowed are {allowed}: convert or rename it")


def _class_names(metadata: dict[bytes, bytes] | None, column: str) -> list[str] | None:
    """Names of the classes of a column, which ``datasets`` writes into the schema; None if it did not."""
    try:
        feature = json.loads((metadata or {})[b"huggingface"])["info"]["features"][column]
        for _ in range(2):  # itself, or that of a list
            if isinstance(feature, list):
                feature = feature[0]
            if feature.get("_type") == "ClassLabel":
                names = feature["names"]
                return [str(one) for one in names] if isinstance(names, list) else None
            feature = feature.get("feature", {})
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        pass
    return None
