"""Codes with their keys and metadata as Arrow tables and Parquet files: what `ordhash encode` writes.

One table holds everything: a column ``key`` (string or int64), a column ``code`` (fixed-size binary, the packed
code), perhaps a column ``part_codes`` (a list for each image: of every part the packed code and four bytes for its box)
and the user's metadata columns. What the codes mean (length, arity, model) is in the metadata of the schema, so any
Parquet reader sees it and none is needed that knows this package. Nothing is pickled.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.parquet import read_parquet, write_parquet
from ordhash.codes.parts import BOX_BYTES, PartCodes
from ordhash.codes.spec import CodeSpec
from ordhash.codes.table import RESERVED_COLUMNS, CodeTable, Keys, Metadata, key_array
from ordhash.errors import DataError, InputError, first_line
from ordhash.support import StrPath, replace_file

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CODES_AT_ONCE",
    "CODES_FORMAT",
    "CodeFacts",
    "checked_table",
    "codes_to_table",
    "existing_file",
    "mapped_file",
    "read_codes",
    "table_to_codes",
    "write_codes",
]

CODES_FORMAT = "codes/1"

_PREFIX = b"ordhash."
CODES_AT_ONCE = 1 << 16
"""Codes packed or unpacked at once: for a moment that takes about ten times their size."""


@dataclass(frozen=True)
class CodeFacts:
    """The description of codes in the metadata of an Arrow schema.

    Attributes:
        spec: Shape of a code.
        model_id: The model that made them; None if unknown.
        model_path: Path of the model file; None if unknown.
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
                f"code_bits is {ours.get('code_bits')!r} and arity {ours.get('arity')!r}, which is not a valid code: "
                "the file is damaged, write it again"
            ) from None
        theirs = {name: value for name, value in entries.items() if not name.startswith(_PREFIX)}
        return cls(spec, ours.get("model_id"), ours.get("model_path")), theirs


def checked_table(table: pa.Table) -> pa.Table:
    """``table`` if its arrays are in order: a damaged offset of a string could point outside the file.

    Raises:
        DataError: They are not.
    """
    import pyarrow as pa

    try:
        table.validate(full=True)
        table.column_names  # noqa: B018 - raises if a name is not text
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"the table is damaged ({first_line(error)}): write it again") from None
    return table


def codes_to_table(
    codes: OrdinalCodes,
    keys: Keys | None = None,
    metadata: Metadata | None = None,
    *,
    model_path: str | None = None,
    parts: PartCodes | None = None,
    file_format: str = CODES_FORMAT,
) -> pa.Table:
    r"""Arrow table of codes: columns ``key``, ``code``, perhaps ``part_codes``, the metadata; the spec in its schema.

    Args:
        codes: n codes.
        keys: As in [CodeTable][ordhash.codes.CodeTable].
        metadata: As in CodeTable; metadata of its schema (as pandas writes) is kept.
        model_path: As in CodeTable.
        parts: As in CodeTable.
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
    import pyarrow as pa

    contents = CodeTable(codes, keys, metadata, model_path, parts)
    spec = codes.spec
    packed = np.empty((len(codes), spec.packed_bytes), dtype=np.uint8)
    for start in range(0, len(codes), CODES_AT_ONCE):
        packed[start : start + CODES_AT_ONCE] = codes[start : start + CODES_AT_ONCE].packed()
    code_type = pa.binary(spec.packed_bytes)
    code_column = pa.FixedSizeBinaryArray.from_buffers(code_type, len(codes), [None, pa.py_buffer(packed)])
    keys_column = key_array(contents.keys, pa.string())

    columns = [keys_column, code_column]
    fields = [pa.field("key", keys_column.type, nullable=False), pa.field("code", code_type, nullable=False)]
    if parts is not None:
        columns.append(_column_of(parts, len(codes)))
        fields.append(pa.field("part_codes", columns[-1].type, nullable=False))
    schema_metadata: dict[bytes, bytes] = {}
    if contents.metadata is not None:
        columns += contents.metadata.columns
        fields += list(contents.metadata.schema)
        schema_metadata |= contents.metadata.schema.metadata or {}
    schema_metadata |= CodeFacts(spec, contents.codes.model_id, model_path).to_schema(file_format)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=schema_metadata))


def table_to_codes(table: pa.Table, *, file_format: str = CODES_FORMAT) -> CodeTable:
    """Invert [codes_to_table][ordhash.codes.file.codes_to_table].

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
    import pyarrow as pa

    facts, theirs = CodeFacts.of_schema(table.schema, file_format)
    spec = facts.spec
    names = checked_table(table).column_names

    held = [name for name in RESERVED_COLUMNS if name != "part_codes" or name in names]
    for name in held:
        if names.count(name) != 1:
            raise DataError(f"the table has {names.count(name)} columns named {name!r}; it needs one: write it again")
        if table[name].null_count:
            raise DataError(f"column {name!r} has {table[name].null_count} empty rows; every row needs a value")
    if table["code"].type != pa.binary(spec.packed_bytes):
        raise DataError(
            f"column 'code' is {table['code'].type}; {spec} needs fixed_size_binary[{spec.packed_bytes}]: "
            "write it again"
        )
    codes = OrdinalCodes(_symbols(table["code"], spec), spec, facts.model_id)
    rest = table.drop_columns(held)
    metadata = rest.replace_schema_metadata(theirs or None) if rest.num_columns else None
    try:
        parts = _parts_in(table["part_codes"], facts) if "part_codes" in held else None
        return CodeTable(codes, _keys_of_column(table["key"]), metadata, facts.model_path, parts)
    except InputError as error:
        raise DataError(str(error)) from None


def write_codes(
    path: StrPath,
    codes: OrdinalCodes,
    keys: Keys | None = None,
    metadata: Metadata | None = None,
    *,
    model_path: str | None = None,
    parts: PartCodes | None = None,
) -> None:
    """Write codes to a Parquet file, the exchange file between `ordhash encode` and everything that reads codes.

    An existing file is replaced only when the new one is complete.

    Args:
        path: The file.
        codes: n codes.
        keys: As in [CodeTable][ordhash.codes.CodeTable].
        metadata: As in CodeTable.
        model_path: As in CodeTable.
        parts: As in CodeTable.

    Raises:
        InputError: As CodeTable, metadata that Parquet cannot hold, or a folder that does not exist.
        OSError: The file cannot be written.
    """
    table = codes_to_table(codes, keys, metadata, model_path=model_path, parts=parts)

    replace_file(path, lambda file: write_parquet(table, file))


def read_codes(path: StrPath) -> CodeTable:
    """Read a file of [write_codes][ordhash.codes.write_codes].

    Args:
        path: The file.

    Returns:
        The codes with keys and metadata.

    Raises:
        DataError: No such file, not a file of codes, of a newer version, truncated or damaged.
    """
    source, content = mapped_file(path)
    try:
        return table_to_codes(read_parquet(content))
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


def existing_file(path: StrPath) -> Path:
    """``path``, if it is a file; DataError otherwise."""
    source = Path(path)
    if not source.is_file():
        raise DataError(f"{source} is {'a folder, not a file' if source.is_dir() else 'missing'}: check the path")
    return source


def mapped_file(path: StrPath) -> tuple[Path, mmap.mmap | bytes]:
    """A file, and its content, mapped: unused parts stay on disk.

    Raises:
        DataError: It is missing, a folder, or cannot be read.
    """
    source = existing_file(path)
    try:
        with source.open("rb") as file:  # Python also opens names that are not valid Unicode
            return source, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DataError(f"{source} cannot be read ({first_line(error)}): check its permissions and the disk") from None
    except ValueError:
        return source, b""  # an empty file cannot be mapped


def _check_format(found: str | None, wanted: str) -> None:
    if found is None:
        raise DataError("the schema has no entry 'ordhash.format', so it was not written by ordhash: check the path")
    kind, _, version = found.partition("/")
    wanted_kind, _, wanted_version = wanted.partition("/")
    if kind != wanted_kind:
        raise DataError(f"its format is {found!r}, and {wanted!r} is needed: give a file of kind {wanted_kind!r}")
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise DataError(f"its format is {found!r}, not a version of {wanted_kind!r}: write it again")
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
        for start in range(0, len(packed), CODES_AT_ONCE):
            block = OrdinalCodes.from_packed(packed[start : start + CODES_AT_ONCE], spec).symbols
            symbols[done : done + len(block)] = block
            done += len(block)
    return symbols


def _column_of(parts: PartCodes, n: int) -> pa.ListArray:
    """The parts of n images, a list for each."""
    import pyarrow as pa

    records = parts.records()
    kind = pa.binary(records.shape[1])
    values = pa.FixedSizeBinaryArray.from_buffers(kind, len(parts), [None, pa.py_buffer(records)])
    return pa.ListArray.from_arrays(pa.array(parts.starts(n), pa.int32()), values)


def _parts_in(column: pa.ChunkedArray, facts: CodeFacts) -> PartCodes:
    import pyarrow as pa
    import pyarrow.compute as pc

    width = facts.spec.packed_bytes + BOX_BYTES
    if not pa.types.is_list(column.type) or column.type.value_type != pa.binary(width):
        raise DataError(
            f"column 'part_codes' is {column.type}; {facts.spec} needs list<fixed_size_binary[{width}]>: write it again"
        )
    if pc.list_flatten(column).null_count:
        raise DataError("column 'part_codes' has an empty part; every part needs a value: write it again")
    packed = [b"".join(one) for one in column.to_pylist()]
    return PartCodes.from_packed(packed, facts.spec, model_id=facts.model_id)


def _keys_of_column(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"column 'key' is {kind}; allowed are strings and integers: write it again")
    keys: npt.NDArray[Any] = column.to_numpy()
    return keys
