"""The file of an index: Arrow IPC with one row, whose columns are whole arrays, so that it can be mapped.

Columns: ``count`` (int64), how many codes; ``planes`` (large_binary), the codes as
[PlaneCodes][ordhash.index.planes.PlaneCodes] holds them; ``offsets`` (large_list of int64) and ``rows`` (large_list of
uint32), the rows of every distinct code, empty if codes are stored row by row; ``items`` (large_list of a
struct), ``key`` and the metadata of every row: ``key`` is missing if items are numbered, the column if there are no
metadata either. Length, arity and model of the codes are in the metadata of the schema. Nothing is pickled.

Opening reads the file once, for its seal (``ordhash.support.seals``), and checks what compiled code and Arrow rely on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ordhash.codes import CodeFacts, CodeSpec, checked_table, mapped_file
from ordhash.errors import DataError, first_line
from ordhash.index.planes import BLOCK, PlaneCodes, width_of
from ordhash.index.stores import Distinct, Scan
from ordhash.support import SEAL, StrPath, is_damaged, placeholder, replace_file, seal

__all__ = ["INDEX_FORMAT", "IndexContents", "read_index", "write_index"]

INDEX_FORMAT = "index/2"

_COLUMNS = {
    "count": pa.int64(),
    "planes": pa.large_binary(),
    "offsets": pa.large_list(pa.int64()),
    "rows": pa.large_list(pa.uint32()),
}


@dataclass(frozen=True, eq=False)
class IndexContents:
    """Contents of an index file.

    Attributes:
        store: The codes, in order and packed.
        facts: Length, arity and model of the codes.
        keys: large_string or int64 (n,), or None where the keys are row numbers.
        metadata: Table of n rows, or None.
    """

    store: Scan | Distinct
    facts: CodeFacts
    keys: pa.ChunkedArray | None
    metadata: pa.Table | None


def write_index(path: StrPath, contents: IndexContents) -> None:
    """Write an index file; an existing one is replaced only when the new one is complete.

    Raises:
        InputError: The folder does not exist.
        OSError: The file cannot be written.
    """
    store, n = contents.store, contents.store.n
    offsets, rows = (store.offsets, store.rows) if isinstance(store, Distinct) else ([], [])
    arrays: dict[str, pa.Array] = {
        "count": pa.array([n], pa.int64()),
        "planes": pa.Array.from_buffers(
            pa.large_binary(),
            1,
            [None, _buffer(np.array([0, store.planes.blocks.nbytes])), pa.py_buffer(store.planes.blocks)],
        ),
        "offsets": _whole(pa.array(offsets, pa.int64())),
        "rows": _whole(pa.array(rows, pa.uint32())),
    }
    theirs: dict[bytes, bytes] = {}
    if contents.keys is not None or contents.metadata is not None:
        fields, columns = _columns(contents.metadata)
        if contents.keys is not None:
            fields, columns = [pa.field("key", contents.keys.type), *fields], [contents.keys, *columns]
        items = pa.table(columns, schema=pa.schema(fields))
        # The file format allows one dictionary for each column.
        arrays["items"] = _whole(items.unify_dictionaries().combine_chunks().to_struct_array().combine_chunks())
        theirs = {} if contents.metadata is None else contents.metadata.schema.metadata or {}
    empty = placeholder()
    ours = {**contents.facts.to_schema(INDEX_FORMAT), SEAL.encode(): empty.encode()}
    schema = pa.schema([(name, array.type) for name, array in arrays.items()], {**theirs, **ours})

    def write(file: BinaryIO) -> None:
        with pa.ipc.new_file(file, schema) as writer:
            writer.write_batch(pa.record_batch(list(arrays.values()), schema=schema))
        seal(file, empty)

    replace_file(path, write)


def read_index(path: StrPath) -> IndexContents:
    """Open an index file. It is mapped: unused parts stay on disk.

    Raises:
        DataError: No such file, not an index, of another version, truncated or damaged.
    """
    source, content = mapped_file(path)
    if is_damaged(content):
        raise DataError(f"{source} has changed since it was written, by a damaged disk or copy: build the index again")
    try:
        table = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(content))).read_all()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{source} is not an index or is damaged ({first_line(error)}): build the index again"
        ) from None
    try:
        facts, theirs = CodeFacts.of_schema(table.schema, INDEX_FORMAT)
        return _contents(checked_table(table), facts, theirs)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{source}: a name of a column is damaged: build the index again") from None


def _contents(table: pa.Table, facts: CodeFacts, theirs: dict[bytes, bytes]) -> IndexContents:
    names = table.column_names
    if names not in ([*_COLUMNS], [*_COLUMNS, "items"]) or table.num_rows != 1:
        raise DataError(f"it holds {table.num_rows} rows of {', '.join(names) or 'nothing'}: build the index again")
    for name, kind in _COLUMNS.items():
        if table[name].type != kind or table[name].null_count:
            raise DataError(f"column {name!r} is {table[name].type} and must be {kind}: build the index again")
    n, offsets, rows = table["count"][0].as_py(), _array(table["offsets"]), _array(table["rows"])
    store = _store(n, table["planes"], offsets.to_numpy(), rows.to_numpy(), facts.spec)
    if "items" not in names:
        return IndexContents(store, facts, None, None)
    items = _array(table["items"])
    if not pa.types.is_struct(items.type) or len(items) != n or items.null_count:
        raise DataError(f"column 'items' holds {len(items)} {items.type} for {n} codes: build the index again")
    rest = pa.Table.from_struct_array(items)
    keys = None
    if "key" in rest.column_names:
        keys, rest = rest["key"], rest.drop_columns(["key"])
        if keys.null_count or keys.type not in (pa.int64(), pa.large_string()):
            raise DataError(f"keys are {keys.type} with {keys.null_count} missing: build the index again")
    return IndexContents(store, facts, keys, rest.replace_schema_metadata(theirs or None) if rest.num_columns else None)


def _store(n: int, planes: pa.ChunkedArray, offsets: Any, rows: Any, spec: CodeSpec) -> Scan | Distinct:
    """The codes, once the arrays that compiled code relies on are checked."""
    m = n if not len(offsets) else len(offsets) - 1
    shape = (-(-m // BLOCK), width_of(spec), BLOCK)
    # The buffer of the value would be a copy.
    values = planes.chunk(0)
    start, end = np.frombuffer(values.buffers()[1], dtype=np.int64, count=2, offset=8 * values.offset).tolist()
    buffer = values.buffers()[2][start:end] if end > start else pa.py_buffer(b"")
    in_order = n >= 0 and buffer.size == math.prod(shape)
    if len(offsets):
        in_order = in_order and len(rows) == n and offsets[0] == 0 and offsets[-1] == n and (np.diff(offsets) > 0).all()
        in_order = in_order and _lists_each_row_once(n, offsets, rows)
    if not in_order:
        raise DataError(f"its arrays do not fit {n} codes of {spec}: build the index again")
    codes = PlaneCodes(np.frombuffer(buffer, dtype=np.uint8).reshape(shape), m, spec)
    return Distinct(codes, offsets, rows) if len(offsets) else Scan(codes)


def _lists_each_row_once(n: int, offsets: Any, rows: Any) -> bool:
    """Whether all codes together have each row once, in ascending order within a code."""
    if not n or int(rows.max()) >= n:
        return not n
    seen = np.zeros(n, dtype=np.bool_)
    seen[rows] = True
    rising = rows[1:] > rows[:-1]
    rising[offsets[1:-1] - 1] = True  # between two codes
    return bool(seen.all() and rising.all())


def _whole(values: pa.Array) -> pa.Array:
    """A list that holds all of ``values``."""
    return pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)


def _array(column: pa.ChunkedArray) -> pa.Array:
    """The list of a column of one row."""
    return column.chunk(0).flatten()


def _buffer(values: Any) -> pa.Buffer:
    return pa.py_buffer(np.asarray(values, dtype=np.int64))


def _columns(metadata: pa.Table | None) -> tuple[list[pa.Field], list[pa.ChunkedArray]]:
    return ([], []) if metadata is None else (list(metadata.schema), metadata.columns)
