"""How Milvus stores a row of codes, keys and metadata: fields, values, and conditions on them.

A column becomes a scalar field where all its rows have a value and its name is one that expressions can name; any other
becomes part of Milvus' dynamic field, where a row need not have a value. Times are whole numbers in the unit of their
column, since Milvus 2.3 has no times; the Arrow schema that is kept beside them says what they were. Labels are an
array in the dynamic field, in which Milvus finds each; texts have composed accents, as conditions have.
"""

from __future__ import annotations

import hashlib
import json
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as kinds

from ordhash.codes import LABELS, CodeTable, composed, joined_labels, labels_in
from ordhash.errors import InputError
from ordhash.index import Condition, asks_for_labels, typed_value, unfit_value, unknown_column
from ordhash.milvus.simplex import simplex_of
from ordhash.support import is_text

__all__ = [
    "CODE",
    "DIGEST",
    "DIGESTS",
    "KEY",
    "LONGEST_TEXT",
    "Columns",
    "any_of",
    "digest_of",
    "digests_of",
    "entities_of",
    "literal",
]

KEY, CODE, DIGEST = "key", "code", "ordhash_digest"
DIGESTS = 1 << 63
"""How many digests there are: whole numbers from 0 that fit into 64 bits with sign."""

LONGEST_TEXT = 65_535
"""Bytes of a text that Milvus keeps."""

_ROWS_AT_ONCE = 2_048  # taken apart into Python's values

# Words that are reserved in Milvus' expressions, Python's among them.
_TAKEN = {*map(str.lower, keyword.kwlist), "like", "exists", "array", "json_contains", "count", KEY, CODE, DIGEST}


@dataclass(frozen=True)
class Columns:
    """The metadata columns of a table, and which of them are scalar fields.

    Attributes:
        schema: Their names and types in Arrow.
        scalars: Names of those that are scalar fields; the others are in the dynamic field.
    """

    schema: pa.Schema
    scalars: frozenset[str]

    @classmethod
    def of(cls, metadata: pa.Table | None) -> Columns:
        """The columns of a table.

        Raises:
            InputError: A column of a type that Milvus has no field for.

        >>> sorted(Columns.of(pa.table({"size": [1, 2], "a b": [1, 2], "place": ["sea", None]})).scalars)
        ['size']
        """
        if metadata is None:
            return cls(pa.schema([]), frozenset())
        plain = pa.schema([pa.field(field.name, _plain(field.name, field.type)) for field in metadata.schema])
        full = {name for name, column in zip(plain.names, metadata.columns, strict=True) if _is_full(column)}
        labels = {field.name for field in plain if _holds_labels(field)}
        return cls(plain, frozenset(name for name in full - labels if _can_be_named(name)))

    def __str__(self) -> str:
        return ", ".join(f"{field.name} ({field.type})" for field in self.schema) or "none"

    def rows(self, metadata: pa.Table | None, n: int) -> list[dict[str, Any]]:
        """Values of n rows as Milvus takes them, by name; a row without a value in a column is without the name.

        Raises:
            InputError: A row has no value in a column that is a scalar field, or one that does not fit.
        """
        rows: list[dict[str, Any]] = [{} for _ in range(n)]
        if metadata is None:
            return rows
        for field in self.schema:
            for row, value in zip(rows, _numbers(metadata[field.name].cast(field.type)).to_pylist(), strict=True):
                if value is not None and not (isinstance(value, float) and math.isnan(value)):
                    if isinstance(value, str):
                        value = composed(value)
                    _check_fits(field.name, value)
                    # An item without labels has the empty one, so that conditions can ask for it.
                    row[field.name] = (labels_in(value) or [""]) if _holds_labels(field) else value
                elif field.name in self.scalars:
                    raise InputError(
                        f"column {field.name!r} has rows without a value, and had none when the collection was made; "
                        "rebuild it with --replace"
                    )
        return rows

    def metadata(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table | None:
        """Invert [rows][ordhash.milvus.entities.Columns.rows]; None without columns."""
        if not len(self.schema):
            return None
        arrays = []
        for field in self.schema:
            values = [row.get(field.name) for row in rows]
            if _holds_labels(field):
                values = [None if labels is None else joined_labels(labels) for labels in values]
            stored = _stored(field.type)
            arrays.append(pa.array(values, field.type) if stored is None else pa.array(values, stored).cast(field.type))
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def expression(self, conditions: Sequence[Condition]) -> str:
        """Milvus' boolean expression of conditions, all of which must hold; empty for none.

        Raises:
            InputError: A condition names an unknown column, does not fit its values, or cannot be expressed in Milvus.

        >>> columns = Columns.of(pa.table({"size": [1], "place": [None]}, schema=pa.schema(
        ...     [("size", pa.int64()), ("place", pa.string())])))
        >>> columns.expression([Condition.parse("size>=9"), Condition.parse("place!=sea")])
        '(size >= 9) and ((exists $meta["place"]) and ($meta["place"] != "sea"))'
        """
        return " and ".join(f"({self._expression(condition)})" for condition in conditions)

    def _expression(self, condition: Condition) -> str:
        name = condition.column
        if name not in self.schema.names:
            raise unknown_column(condition, self.schema.names)
        kind = self.schema.field(name).type
        place = name if name in self.scalars else f"$meta[{literal(name)}]"
        by_labels = asks_for_labels(condition, kind)
        if condition.comparison == "~":
            raise InputError(
                f"Milvus cannot tell whether {name!r} contains {condition.value!r}; compare it by = != < <= > or >=, "
                "or search the collection here"
            )
        if by_labels:
            wanted = labels_in(condition.value) or [""]
            said = " and ".join(f"json_contains({place}, {literal(label)})" for label in wanted)
            if condition.comparison == "!=":
                said = f"not ({said})"
        else:
            try:
                written = literal(_numbers(typed_value(condition.value, kind)).as_py())
            except (pa.ArrowException, ValueError):
                raise unfit_value(condition, kind) from None
            said = f"{place} {'==' if condition.comparison == '=' else condition.comparison} {written}"
        # A row without a value differs from every value, for Milvus; here it meets no condition.
        return f"(exists {place}) and ({said})" if condition.comparison == "!=" and name not in self.scalars else said


def entities_of(table: CodeTable, columns: Columns, rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """Some rows of a table as Milvus takes them, each with its digest."""
    metadata = None if table.metadata is None else table.metadata.take(pa.array(rows))
    entities = columns.rows(metadata, len(rows))
    codes = simplex_of(table.codes[rows])
    for entity, key, code in zip(entities, table.keys[rows].tolist(), codes, strict=True):
        entity |= {KEY: key, CODE: code.tobytes()}
        entity[DIGEST] = digest_of(entity)
    return entities


def digests_of(table: CodeTable, columns: Columns) -> npt.NDArray[np.int64]:
    """Digests of all rows; also refuses values that Milvus cannot store."""
    rows = np.arange(len(table))
    blocks = (rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE))
    found = [entity[DIGEST] for block in blocks for entity in entities_of(table, columns, block)]
    return np.array(found, np.int64)


def digest_of(entity: Mapping[str, Any]) -> int:
    """Digest of key, code and metadata of a row, below DIGESTS, by which changed rows are found.

    >>> digest_of({"key": "a", "code": b"1"}) == digest_of({"code": b"1", "key": "a"})
    True
    """
    text = repr(sorted(entity.items())).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") % DIGESTS


def any_of(keys: Sequence[str] | Sequence[int]) -> str:
    r"""Expression that the key is one of some keys.

    Written here, because the client writes keys into its expressions without escapes: one with a quotation mark would
    end them early.

    >>> any_of(['say "ah".jpg', "b.jpg"])
    'key in ["say \\"ah\\".jpg", "b.jpg"]'
    """
    return f"{KEY} in [{', '.join(map(literal, keys))}]"


def literal(value: Any) -> str:
    r"""A value as expressions write it.

    Raises:
        ValueError: It is infinite or not a number, which they cannot write.

    >>> literal('a"b'), literal(True), literal(2.5)
    ('"a\\"b"', 'true', '2.5')
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _check_fits(name: str, value: Any) -> None:
    if isinstance(value, str) and len(value) > LONGEST_TEXT // 4 and len(value.encode()) > LONGEST_TEXT:
        raise InputError(
            f"column {name!r} holds a text of {len(value.encode())} bytes; Milvus keeps {LONGEST_TEXT}: shorten it"
        )
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise InputError(f"column {name!r} holds {value}, which does not fit into 64 bits with sign; make it a text")


def _holds_labels(field: pa.Field) -> bool:
    return field.name == LABELS and is_text(field.type)


def _plain(name: str, kind: pa.DataType) -> pa.DataType:
    """The type whose values are kept: of a dictionary that of its values."""
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    if kinds.is_null(kind):
        return pa.string()
    known = (kinds.is_string, kinds.is_large_string, kinds.is_boolean, kinds.is_integer, kinds.is_floating)
    if not (_stored(kind) or any(is_one(kind) for is_one in known)):
        raise InputError(
            f"column {name!r} is {kind}; Milvus keeps texts, numbers, yes or no, and times: leave the column out"
        )
    return kind


def _stored(kind: pa.DataType) -> pa.DataType | None:
    """The integers that times are stored as; None for other types."""
    if kinds.is_timestamp(kind) or kinds.is_duration(kind) or kinds.is_date64(kind) or kinds.is_time64(kind):
        return pa.int64()
    return pa.int32() if kinds.is_date32(kind) or kinds.is_time32(kind) else None


def _numbers(column: Any) -> Any:
    """A column, or an array, with times as numbers."""
    stored = _stored(column.type)
    return column if stored is None else column.cast(stored)


def _is_full(column: pa.ChunkedArray) -> bool:
    if column.null_count:
        return False
    return not kinds.is_floating(column.type) or not any(
        isinstance(value, float) and math.isnan(value) for value in column.to_pylist()
    )


def _can_be_named(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", name) is not None and name.lower() not in _TAKEN
