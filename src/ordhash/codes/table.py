"""Codes with their keys and metadata, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.comparable import check_comparable
from ordhash.codes.parts import PartCodes
from ordhash.errors import InputError, first_line
from ordhash.support import wide_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RESERVED_COLUMNS", "CodeTable", "Keys", "Metadata", "key_array", "typed_keys"]

Keys: TypeAlias = Sequence[str] | Sequence[int] | npt.NDArray[Any]
Metadata: TypeAlias = "pa.Table | Mapping[str, Sequence[Any] | npt.NDArray[Any]]"

RESERVED_COLUMNS = ("key", "code", "part_codes")


@dataclass(frozen=True, eq=False, init=False)
class CodeTable:
    """Codes of n items, with the user's keys and metadata.

    Args:
        codes: n codes; if their model is unknown, it is that of the parts.
        keys: n different strings or integers; None numbers them from 0.
        metadata: Table of n rows, or n values by column name (``key``, ``code`` and ``part_codes`` are reserved); None
            for no metadata. Columns get types for any size, such as ``large_string``.
        model_path: Path of the model file, a hint for programs that encode queries later.
        parts: Codes of parts of the items; None where parts were not asked for.

    Raises:
        InputError: Keys or metadata of another length, duplicate keys, or keys of another type; parts of other codes
            or items.

    >>> table = CodeTable(OrdinalCodes.from_symbols([[0, 1], [1, 1]], arity=2), ["a", "b"], {"label": [7, 8]})
    >>> table.keys.tolist(), table.metadata.column_names
    (['a', 'b'], ['label'])
    """

    codes: OrdinalCodes
    keys: npt.NDArray[Any]
    """int64 or object (of str) (n,), read-only."""
    metadata: pa.Table | None
    model_path: str | None
    parts: PartCodes | None

    def __init__(
        self,
        codes: OrdinalCodes,
        keys: Keys | None = None,
        metadata: Metadata | None = None,
        model_path: str | None = None,
        parts: PartCodes | None = None,
    ) -> None:
        if parts is not None:
            check_comparable(parts.codes, codes, what="the parts", of="the codes")
            if len(parts) and parts.owners[-1] >= len(codes):
                raise InputError(f"there is a part of item {parts.owners[-1]}, and {len(codes)} codes; leave it out")
            if codes.model_id is None and parts.codes.model_id is not None:  # or parts of another could join them
                codes = dataclasses.replace(codes, model_id=parts.codes.model_id)
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "keys", _check_keys(keys, len(codes)))
        object.__setattr__(self, "metadata", _check_metadata(metadata, len(codes)))
        object.__setattr__(self, "model_path", model_path)
        object.__setattr__(self, "parts", parts)

    def __len__(self) -> int:
        return len(self.codes)


def key_array(keys: npt.NDArray[Any], strings: pa.DataType) -> pa.Array:
    """Keys as an Arrow array: int64, or ``strings``, the type for text.

    Raises:
        InputError: A key is not valid Unicode.

    >>> import pyarrow as pa
    >>> str(key_array(np.array(["a"], dtype=object), pa.string()).type)
    'string'
    """
    import pyarrow as pa

    try:
        return pa.array(keys, type=pa.int64() if keys.dtype == np.int64 else strings)
    except UnicodeEncodeError:
        raise InputError("a key is not valid Unicode (a file name in another encoding?); rename it") from None


def _check_keys(keys: Keys | None, n: int) -> npt.NDArray[Any]:
    """Keys as a read-only copy: int64, or object (of str)."""
    checked = np.arange(n, dtype=np.int64) if keys is None else typed_keys(keys)
    if len(checked) != n:
        raise InputError(f"there are {len(checked)} keys for {n} codes; give one key for each code")
    duplicate = _duplicate(checked)
    if duplicate is not None:
        raise InputError(f"key {duplicate!r} is given more than once; keys must differ: make them unique")
    checked.flags.writeable = False
    return checked


def typed_keys(keys: Keys) -> npt.NDArray[Any]:
    """Keys as int64, or object (of str), (n,).

    Raises:
        InputError: They are neither all strings nor all integers that fit.

    >>> typed_keys([3, 1]).dtype, typed_keys(["a"]).tolist()
    (dtype('int64'), ['a'])
    """
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        raise InputError(f"keys are a {type(keys).__name__}; allowed is a sequence of strings or of integers")
    if hasattr(keys, "__array__"):  # also a column of Arrow or pandas
        keys = np.asarray(keys)
    if isinstance(keys, np.ndarray) and keys.ndim != 1:
        raise InputError(f"keys have shape {keys.shape}; allowed is (n,)")
    if isinstance(keys, np.ndarray) and keys.dtype.kind in "iu":
        if keys.size and int(keys.max()) > np.iinfo(np.int64).max:
            raise InputError(f"key {keys.max()} does not fit into 64 bits with sign; use a smaller one or a string")
        return keys.astype(np.int64)
    # NumPy would turn a mix of strings and integers into strings without a word, so the items are looked at.
    items = list(keys)
    if all(isinstance(item, str) for item in items) and (items or isinstance(keys, np.ndarray)):
        strings = np.empty(len(items), dtype=object)
        strings[:] = [str(item) for item in items]
        return strings
    if all(isinstance(item, int | np.integer) and not isinstance(item, bool) for item in items):
        try:
            return np.array(items, dtype=np.int64)
        except OverflowError:
            raise InputError("a key does not fit into 64 bits with sign; use a smaller one or a string") from None
    kinds = sorted({type(item).__name__ for item in items})
    raise InputError(f"keys are of type {', '.join(kinds)}; allowed are all strings or all integers")


def _duplicate(keys: npt.NDArray[Any]) -> Any:
    if keys.dtype == np.int64:
        if (keys[1:] > keys[:-1]).all():  # rising, the usual case: no sort needed
            return None
        ordered = np.sort(keys)
        again = np.flatnonzero(ordered[1:] == ordered[:-1])
        return int(ordered[again[0]]) if len(again) else None
    if len(set(keys)) == len(keys):
        return None
    seen: set[str] = set()
    return next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]


def _check_metadata(metadata: Metadata | None, n: int) -> pa.Table | None:
    if metadata is None:
        return None
    import pyarrow as pa

    table = metadata if isinstance(metadata, pa.Table) else _table_of(metadata)
    names = table.column_names
    for name in names:
        if name in RESERVED_COLUMNS:
            raise InputError(f"metadata have a column {name!r}, a name the package uses itself: rename the column")
        if names.count(name) > 1:
            raise InputError(f"metadata have {names.count(name)} columns named {name!r}; names must differ: rename one")
    if not names:
        return None
    if table.num_rows != n:
        raise InputError(f"metadata have {table.num_rows} rows for {n} codes; give one row for each code")
    columns = [_wide(name, column) for name, column in zip(names, table.columns, strict=True)]
    fields = [field.with_type(column.type) for field, column in zip(table.schema, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields, table.schema.metadata))


def _wide(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    try:
        return wide_column(column)
    except pa.ArrowException as error:
        raise InputError(
            f"metadata column {name!r} is {column.type}, which cannot be kept ({first_line(error)}): change it"
        ) from None


def _table_of(columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> pa.Table:
    import pyarrow as pa

    if not isinstance(columns, Mapping):
        raise InputError(
            f"metadata are a {type(columns).__name__}; allowed are a pyarrow.Table and a mapping of columns"
        )
    names, arrays = [str(name) for name in columns], []
    for name, values in columns.items():
        # Arrow takes arrays of NumPy and columns of pandas as they are, and their owner may change them.
        own = values.copy() if hasattr(values, "__array__") and hasattr(values, "copy") else values
        try:
            arrays.append(pa.array(own))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"metadata column {name!r} cannot become an Arrow column ({first_line(error)}): change it"
            ) from None
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise InputError(f"metadata columns have lengths {sorted(lengths)}; give every column one value for each code")
    try:
        return pa.table(arrays, names)
    except UnicodeEncodeError:
        raise InputError("the name of a metadata column is not valid Unicode; rename it") from None
