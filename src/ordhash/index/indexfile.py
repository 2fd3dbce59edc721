"""The file of an index: Arrow IPC with one row, whose columns are whole arrays, so that it can be mapped.

Columns: ``count`` (int64), how many codes; ``planes`` (large_binary), the codes as
[PlaneCodes][ordhash.index.planes.PlaneCodes] holds them; ``offsets`` (large_list of int64) and ``rows`` (large_list of
uint32), the rows of every distinct code, empty if codes are stored row by row; ``items`` (large_list of a
struct), ``key`` and the metadata of every row: ``key`` is missing if items are numbered, the column if there are no
metadata either. If the index keeps parts: ``part_planes``, ``part_offsets`` and ``part_rows``, their codes in the same
way; ``part_owners`` (large_list of uint32), rows of items; ``part_boxes`` (large_binary), four bytes each. Length,
arity and model of the codes are in the metadata of the schema. Nothing is pickled.

Opening reads the file once, for its seal (``ordhash.support.seals``), and checks what compiled code and Arrow rely on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ordhash.codes import BOX_BYTES, CodeFacts, CodeSpec, OrdinalCodes, check_parts, checked_table, mapped_file
from ordhash.errors import DataError, InputError, first_line
from ordhash.index.items import Items, key_column
from ordhash.index.parts import PartArrays, PartStore
from ordhash.index.planes import BLOCK, PlaneCodes, width_of
from ordhash.index.stores import AnyStore, Distinct, Grown, Scan, Tabled, store_of
from ordhash.support import SEAL, StrPath, is_damaged, placeholder, replace_file, seal

__all__ = ["INDEX_FORMAT", "IndexContents", "packed_contents", "read_index", "write_index"]

INDEX_FORMAT = "index/2"

_STORE = {"planes": pa.large_binary(), "offsets": pa.large_list(pa.int64()), "rows": pa.large_list(pa.uint32())}
_COLUMNS = {"count": pa.int64(), **_STORE}
_PART = "part_"
_PARTS = {
    **{_PART + name: kind for name, kind in _STORE.items()},
    "part_owners": pa.large_list(pa.uint32()),
    "part_boxes": pa.large_binary(),
}


@dataclass(frozen=True, eq=False)
class IndexContents:
    """Contents of an index file.

    Attributes:
        store: The codes, in order and packed.
        facts: Length, arity and model of the codes.
        keys: large_string or int64 (n,), or None where the keys are row numbers.
        metadata: Table of n rows, or None.
        parts: Parts of the items, or None.
    """

    store: Scan | Distinct
    facts: CodeFacts
    keys: pa.ChunkedArray | None
    metadata: pa.Table | None
    parts: PartArrays | None = None


def packed_contents(store: AnyStore, facts: CodeFacts, items: Items, parts: PartStore | None) -> IndexContents:
    """Contents of an index without deleted items, and with those added later in their order.

    Args:
        store: Codes of all rows.
        facts: What they mean.
        items: Their keys and metadata.
        parts: Their parts, if any.
    """
    base = store.base if isinstance(store, Tabled) else store
    keys, metadata, rows = items.column, items.metadata, None
    if items.deleted:
        rows = items.live_rows()
        keys = key_column(items.keys[rows])  # numbers too: rows will change, keys must not
        metadata = None if metadata is None else metadata.take(rows)
    if rows is not None or isinstance(base, Grown):
        codes = OrdinalCodes(base.symbols(), facts.spec)
        base = store_of(codes if rows is None else codes[rows])
    return IndexContents(base, facts, keys, metadata, None if parts is None else parts.arrays(rows))


def write_index(path: StrPath, contents: IndexContents) -> None:
    """Write an index file; an existing one is replaced only when the new one is complete.

    Raises:
        InputError: The folder does not exist.
        OSError: The file cannot be written.
    """
    arrays: dict[str, pa.Array] = {"count": pa.array([contents.store.n], pa.int64()), **_arrays_of(contents.store)}
    if contents.parts is not None:
        arrays |= {_PART + name: array for name, array in _arrays_of(contents.parts.store).items()}
        arrays["part_owners"] = _whole(pa.array(contents.parts.owners, pa.uint32()))
        arrays["part_boxes"] = _bytes_of(contents.parts.boxes)
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
    kinds = _COLUMNS | (_PARTS if "part_planes" in names else {})
    if names not in ([*kinds], [*kinds, "items"]) or table.num_rows != 1:
        raise DataError(f"it holds {table.num_rows} rows of {', '.join(names) or 'nothing'}: build the index again")
    for name, kind in kinds.items():
        if table[name].type != kind or table[name].null_count:
            raise DataError(f"column {name!r} is {table[name].type} and must be {kind}: build the index again")
    n = table["count"][0].as_py()
    store = _store(n, table, "", facts.spec)
    parts = _parts(table, n, facts.spec) if "part_planes" in names else None
    if "items" not in names:
        return IndexContents(store, facts, None, None, parts)
    items = _array(table["items"])
    if not pa.types.is_struct(items.type) or len(items) != n:
        raise DataError(f"column 'items' holds {len(items)} {items.type} for {n} codes: build the index again")
    rest = pa.Table.from_struct_array(items)
    keys = None
    if "key" in rest.column_names:
        keys, rest = rest["key"], rest.drop_columns(["key"])
        if keys.null_count or keys.type not in (pa.int64(), pa.large_string()):
            raise DataError(f"keys are {keys.type} with {keys.null_count} missing: build the index again")
    metadata = rest.replace_schema_metadata(theirs or None) if rest.num_columns else None
    return IndexContents(store, facts, keys, metadata, parts)


def _arrays_of(store: Scan | Distinct) -> dict[str, pa.Array]:
    """The columns of a store."""
    offsets, rows = (store.offsets, store.rows) if isinstance(store, Distinct) else ([], [])
    return {
        "planes": _bytes_of(store.planes.blocks),
        "offsets": _whole(pa.array(offsets, pa.int64())),
        "rows": _whole(pa.array(rows, pa.uint32())),
    }


def _parts(table: pa.Table, n: int, spec: CodeSpec) -> PartArrays:
    """The parts of n items, checked."""
    owners = _array(table["part_owners"]).to_numpy()
    boxes = np.frombuffer(_content(table["part_boxes"]), dtype=np.uint8)
    store = _store(len(owners), table, _PART, spec)
    try:
        boxes = boxes.reshape(len(owners), BOX_BYTES)
        check_parts(len(owners), owners, boxes)
    except (InputError, ValueError) as error:
        raise DataError(f"its parts are damaged ({first_line(error)}): build the index again") from None
    if len(owners) and owners[-1] >= n:
        raise DataError(f"it has a part of item {owners[-1]} of {n}: build the index again")
    return PartArrays(store, owners, boxes)


def _store(n: int, table: pa.Table, prefix: str, spec: CodeSpec) -> Scan | Distinct:
    """A store of n codes, once the arrays that compiled code relies on are checked."""
    offsets, rows = (_array(table[f"{prefix}{name}"]).to_numpy() for name in ("offsets", "rows"))
    m = n if not len(offsets) else len(offsets) - 1
    shape = (-(-m // BLOCK), width_of(spec), BLOCK)
    buffer = _content(table[f"{prefix}planes"])
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
    """The list of a column of one row, all values of which are there."""
    values = column.chunk(0).flatten()
    if values.null_count:
        raise DataError(f"{values.null_count} values of a list are missing: build the index again")
    return values


def _bytes_of(values: npt.NDArray[np.uint8]) -> pa.Array:
    """One value, which holds all bytes of an array, in the order of its elements."""
    ends = np.array([0, values.nbytes], dtype=np.int64)
    return pa.Array.from_buffers(
        pa.large_binary(), 1, [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(values))]
    )


def _content(column: pa.ChunkedArray) -> pa.Buffer:
    """The one value of a column. Its own buffer would be a copy."""
    values = column.chunk(0)
    start, end = np.frombuffer(values.buffers()[1], dtype=np.int64, count=2, offset=8 * values.offset).tolist()
    return values.buffers()[2][start:end] if end > start else pa.py_buffer(b"")


def _columns(metadata: pa.Table | None) -> tuple[list[pa.Field], list[pa.ChunkedArray]]:
    return ([], []) if metadata is None else (list(metadata.schema), metadata.columns)
