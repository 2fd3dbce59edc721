"""Codes with their keys and metadata as Arrow tables and Parquet files: what `ordhash encode` writes.

One table holds everything: a column ``key`` (string or int64), a column ``code`` (fixed-size binary, the packed
code) and the user's metadata columns. What the codes mean (length, arity, model) is in the metadata of the schema, so
any Parquet reader sees it and none is needed that knows this package. Nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.errors import DataError, InputError
from ordhash.files import StrPath, replace_file

__all__ = [
    "CODES_FORMAT",
    "CodeFacts",
    "CodeTable",
    "Keys",
    "Metadata",
    "checked_table",
    "codes_to_table",
    "existing_file",
    "read_codes",
    "table_to_codes",
    "typed_keys",
    "write_codes",
]

Keys: TypeAlias = Sequence[str] | Sequence[int] | npt.NDArray[Any]
Metadata: TypeAlias = pa.Table | Mapping[str, Sequence[Any] | npt.NDArray[Any]]

CODES_FORMAT = "codes/1"
RESERVED_COLUMNS = ("key", "code")

_PREFIX = b"ordhash."
# Packing and unpacking take about ten times the size of the codes for a moment; in blocks that stays small.
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False, init=False)
class CodeTable:
    """Codes of n items, with what the user calls them and knows about them.

    Args:
        codes: n codes.
        keys: n different strings or integers; None numbers them from 0.
        metadata: Table of n rows, or n values by column name; the names ``key`` and ``code`` are taken. None is none.
        model_path: Where the file of the model was, a hint for programs that encode queries later.

    Raises:
        InputError: Keys or metadata of another length, duplicate keys, or keys of another type.

    >>> table = CodeTable(OrdinalCodes.from_symbols([[0, 1], [1, 1]], arity=2), ["a", "b"], {"label": [7, 8]})
    >>> table.keys.tolist(), table.metadata.column_names
    (['a', 'b'], ['label'])
    """

    codes: OrdinalCodes
    keys: npt.NDArray[Any]
    """int64 or object (of str) (n,), read-only."""
    metadata: pa.Table | None
    model_path: str | None

    def __init__(
        self,
        codes: OrdinalCodes,
        keys: Keys | None = None,
        metadata: Metadata | None = None,
        model_path: str | None = None,
    ) -> None:
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "keys", _check_keys(keys, len(codes)))
        object.__setattr__(self, "metadata", _check_metadata(metadata, len(codes)))
        object.__setattr__(self, "model_path", model_path)

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class CodeFacts:
    """What a file says of its codes, in the metadata of its Arrow schema.

    Attributes:
        spec: Shape of a code.
        model_id: The model that made them; None if unknown.
        model_path: Where the file of the model was; None if unknown.
    """

    spec: CodeSpec
    model_id: str | None
    model_path: str | None

    def to_schema(self, file_format: str) -> dict[bytes, bytes]:
        """Entries for the metadata of a schema; ``file_format`` is kind and version of the file."""
        ours = {
            "format": file_format,
            "code_bits": str(self.spec.code_bits),
            "arity": str(self.spec.arity),
            "model_id": self.model_id,
            "model_path": self.model_path,
        }
        # surrogateescape, because model_path may be a file name that is not valid Unicode.
        return {
            _PREFIX + name.encode(): value.encode(errors="surrogateescape")
            for name, value in ours.items()
            if value is not None
        }

    @classmethod
    def of_schema(cls, schema: pa.Schema, file_format: str) -> tuple[CodeFacts, dict[bytes, bytes]]:
        """The facts of a schema, and what else its metadata hold.

        Raises:
            DataError: Another kind of file than ``file_format``, a newer version, or damaged.
        """
        entries: dict[bytes, bytes] = schema.metadata or {}
        ours = {
            name.removeprefix(_PREFIX).decode(errors="replace"): value.decode(errors="surrogateescape")
            for name, value in entries.items()
            if name.startswith(_PREFIX)
        }
        _check_format(ours.get("format"), file_format)
        try:
            spec = CodeSpec(int(ours["code_bits"]), int(ours["arity"]))
        except (KeyError, ValueError):
            raise DataError(
                f"code_bits is {ours.get('code_bits')!r} and arity {ours.get('arity')!r}, which describe no code: "
                "the file is damaged, write it again"
            ) from None
        theirs = {name: value for name, value in entries.items() if not name.startswith(_PREFIX)}
        return cls(spec, ours.get("model_id"), ours.get("model_path")), theirs


def checked_table(table: pa.Table) -> pa.Table:
    """``table`` if its arrays are in order: a damaged offset of a string could point outside the file.

    Raises:
        DataError: They are not.
    """
    try:
        table.validate(full=True)
        table.column_names  # noqa: B018 - raises where a name is no text
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"the table is damaged ({_first_line(error)}): write it again") from None
    return table


def codes_to_table(
    codes: OrdinalCodes,
    keys: Keys | None = None,
    metadata: Metadata | None = None,
    *,
    model_path: str | None = None,
    file_format: str = CODES_FORMAT,
) -> pa.Table:
    r"""Arrow table of codes: columns ``key``, ``code`` and the metadata; the spec in the schema's metadata.

    Args:
        codes: n codes.
        keys: As in [CodeTable][ordhash.codefile.CodeTable].
        metadata: As in CodeTable; metadata of its schema (as pandas writes) is kept.
        model_path: As in CodeTable.
        file_format: Kind and version of the file that the table goes into.

    Returns:
        Table of n rows.

    Raises:
        InputError: As CodeTable.

    >>> table = codes_to_table(OrdinalCodes.from_symbols([[3, 0, 1, 2]], arity=4), ["cat.jpg"], {"label": ["cat"]})
    >>> table.to_pylist()
    [{'key': 'cat.jpg', 'code': b'\xc6', 'label': 'cat'}]
    >>> table.schema.metadata[b"ordhash.code_bits"], table.schema.metadata[b"ordhash.arity"]
    (b'8', b'4')
    """
    contents = CodeTable(codes, keys, metadata, model_path)
    spec = codes.spec
    packed = np.empty((len(codes), spec.packed_bytes), dtype=np.uint8)
    for start in range(0, len(codes), _BLOCK):
        packed[start : start + _BLOCK] = codes[start : start + _BLOCK].packed()
    code_type = pa.binary(spec.packed_bytes)
    code_column = pa.FixedSizeBinaryArray.from_buffers(code_type, len(codes), [None, pa.py_buffer(packed)])
    key_type = pa.int64() if contents.keys.dtype == np.int64 else pa.string()
    try:
        key_column = pa.array(contents.keys, type=key_type)
    except UnicodeEncodeError:
        raise InputError("a key is not valid Unicode (a file name in another encoding?); rename it") from None

    names, columns = list(RESERVED_COLUMNS), [key_column, code_column]
    fields = [pa.field("key", key_type, nullable=False), pa.field("code", code_type, nullable=False)]
    schema_metadata: dict[bytes, bytes] = {}
    if contents.metadata is not None:
        names += contents.metadata.column_names
        columns += contents.metadata.columns
        fields += list(contents.metadata.schema)
        schema_metadata |= contents.metadata.schema.metadata or {}
    schema_metadata |= CodeFacts(spec, codes.model_id, model_path).to_schema(file_format)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=schema_metadata))


def table_to_codes(table: pa.Table, *, file_format: str = CODES_FORMAT) -> CodeTable:
    """Invert [codes_to_table][ordhash.codefile.codes_to_table].

    The metadata columns are not copied: of a memory-mapped table they stay in the file until they are used.

    Args:
        table: As codes_to_table makes it.
        file_format: Kind and newest version that the caller can read.

    Returns:
        The codes with keys and metadata.

    Raises:
        DataError: The table is not one of these, is of a newer version, is damaged or contradicts itself.

    >>> table = codes_to_table(OrdinalCodes.from_symbols([[3, 0, 1, 2]], arity=4), ["cat.jpg"])
    >>> table_to_codes(table).codes.symbols
    array([[3, 0, 1, 2]], dtype=uint8)
    """
    facts, theirs = CodeFacts.of_schema(table.schema, file_format)
    spec = facts.spec
    names = checked_table(table).column_names

    for name in RESERVED_COLUMNS:
        if names.count(name) != 1:
            raise DataError(f"the table has {names.count(name)} columns named {name!r}; it needs one: write it again")
        if table[name].null_count:
            raise DataError(f"column {name!r} has {table[name].null_count} empty rows; every row needs a value")
    if table["code"].type != pa.binary(spec.packed_bytes):
        raise DataError(
            f"column 'code' is {table['code'].type}; {spec} needs fixed_size_binary[{spec.packed_bytes}]: write again"
        )
    codes = OrdinalCodes(_symbols(table["code"], spec), spec, facts.model_id)
    rest = table.drop_columns(list(RESERVED_COLUMNS))
    metadata = rest.replace_schema_metadata(theirs or None) if rest.num_columns else None
    try:
        return CodeTable(codes, _keys_of_column(table["key"]), metadata, facts.model_path)
    except InputError as error:
        raise DataError(str(error)) from None


def write_codes(
    path: StrPath,
    codes: OrdinalCodes,
    keys: Keys | None = None,
    metadata: Metadata | None = None,
    *,
    model_path: str | None = None,
) -> None:
    """Write codes to a Parquet file, the exchange file between `ordhash encode` and everything that reads codes.

    An existing file is replaced only when the new one is complete.

    Args:
        path: The file.
        codes: n codes.
        keys: As in [CodeTable][ordhash.codefile.CodeTable].
        metadata: As in CodeTable.
        model_path: As in CodeTable.

    Raises:
        InputError: As CodeTable, a metadata column that Parquet cannot hold, or a folder that does not exist.
        OSError: The file cannot be written.
    """
    table = codes_to_table(codes, keys, metadata, model_path=model_path)

    def write(file: BinaryIO) -> None:
        try:
            pq.write_table(table, file)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise InputError(
                f"the metadata do not fit into Parquet ({_first_line(error)}): change the column"
            ) from None

    replace_file(path, write)


def read_codes(path: StrPath) -> CodeTable:
    """Read a file of [write_codes][ordhash.codefile.write_codes].

    Args:
        path: The file.

    Returns:
        The codes with keys and metadata.

    Raises:
        DataError: No such file, not a file of codes, of a newer version, truncated or damaged.
    """
    source = existing_file(path)
    try:
        with pq.ParquetFile(source) as file:
            table = file.read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{source} is not a Parquet file or is damaged ({_first_line(error)}): write it again"
        ) from None
    try:
        return table_to_codes(table)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


def existing_file(path: StrPath) -> Path:
    """``path``, if it is a file; DataError otherwise."""
    source = Path(path)
    if not source.is_file():
        raise DataError(f"{source} is {'a folder, not a file' if source.is_dir() else 'missing'}: check the path")
    return source


def _check_format(found: str | None, wanted: str) -> None:
    if found is None:
        raise DataError("the schema has no entry 'ordhash.format', so it was not written by ordhash: check the path")
    kind, _, version = found.partition("/")
    wanted_kind, _, wanted_version = wanted.partition("/")
    if kind != wanted_kind:
        raise DataError(f"its format is {found!r}, and {wanted!r} is needed: give a file of kind {wanted_kind!r}")
    if not version.isdigit() or int(version) < 1:
        raise DataError(f"its format is {found!r}, which is no version of {wanted_kind!r}: write it again")
    if int(version) > int(wanted_version):
        raise DataError(f"its format {found!r} is newer than {wanted!r}, the newest known here: upgrade ordhash")


def _symbols(column: pa.ChunkedArray, spec: CodeSpec) -> npt.NDArray[np.uint8]:
    symbols = np.empty((len(column), spec.n_segments), dtype=np.uint8)
    done = 0
    for chunk in column.chunks:
        width = spec.packed_bytes
        if not len(chunk):
            continue
        flat = np.frombuffer(chunk.buffers()[1], dtype=np.uint8, count=len(chunk) * width, offset=chunk.offset * width)
        packed = flat.reshape(len(chunk), width)
        for start in range(0, len(packed), _BLOCK):
            block = OrdinalCodes.from_packed(packed[start : start + _BLOCK], spec).symbols
            symbols[done : done + len(block)] = block
            done += len(block)
    return symbols


def _keys_of_column(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"column 'key' is {kind}; allowed are strings and integers: write it again")
    keys: npt.NDArray[Any] = column.to_numpy()
    return keys


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
    return table


def _table_of(columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> pa.Table:
    if not isinstance(columns, Mapping):
        raise InputError(
            f"metadata are a {type(columns).__name__}; allowed are a pyarrow.Table and a mapping of columns"
        )
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[str(name)] = pa.array(values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"metadata column {name!r} is no Arrow column ({_first_line(error)}): change it") from None
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise InputError(f"metadata columns have lengths {sorted(lengths)}; give every column one value for each code")
    return pa.table(arrays)


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
