"""Parquet files of codes: sealed when they are written; checked, and read within bounds.

A file of some kilobytes can claim millions of rows, or repeat one long value millions of times, so only a multiple of
its size is read. Keys differ and codes hardly compress, so files of codes hold less; what repeats more is written value
by value.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ordhash.errors import DataError, InputError, first_line
from ordhash.support import SEAL, is_damaged, placeholder, seal, sealed

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["parquet_bytes", "read_parquet", "write_parquet"]

_BYTES, _TIMES = 1 << 25, 100
_FORMS: tuple[dict[str, Any], ...] = ({}, {"use_dictionary": False}, {"use_dictionary": False, "compression": "none"})
"""How a table is written: the first that can be read back. Each makes larger files."""
_ROWS = 1 << 16  # of a batch at most; smaller ones take longer


def write_parquet(table: pa.Table, file: BinaryIO) -> None:
    """Write a table and seal the file.

    Args:
        table: The table.
        file: Open for reading and writing, empty.

    Raises:
        InputError: Parquet cannot hold a column, or nearly all values are missing, which is not read back.
    """
    seal(file, _write(table, file))


def parquet_bytes(table: pa.Table) -> bytes:
    """Content of the file that [write_parquet][ordhash.codes.parquet.write_parquet] writes; raises as it does."""
    content = io.BytesIO()
    empty = _write(table, content)
    return sealed(content.getvalue(), empty)


def _write(table: pa.Table, file: BinaryIO) -> str:
    """Write a table that can be read back; returns the placeholder of the seal."""
    import pyarrow as pa

    try:
        for options in _FORMS:
            file.seek(0)
            file.truncate()
            empty, readable = _written(table, file, options)
            if readable:
                return empty
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of Arrow
            raise
        raise InputError(f"the metadata do not fit into Parquet ({first_line(error)}): change the column") from None
    raise InputError(
        "columns of the metadata have hardly any values, and take far more memory than a file may: leave them out"
    )


def _written(table: pa.Table, file: BinaryIO, options: dict[str, Any]) -> tuple[str, bool]:
    """Write a table; returns the placeholder of the seal, and whether the file is read within its bounds."""
    import pyarrow.parquet as pq

    empty = placeholder()
    with pq.ParquetWriter(file, table.schema, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({SEAL: empty})  # not into the table's schema, which the file holds twice
    with pq.ParquetFile(file) as back:
        try:
            for _ in _batches(back, _limit(file.seek(0, io.SEEK_END))):
                pass
        except DataError:
            return empty, False
    return empty, True


def read_parquet(content: bytes | mmap.mmap) -> pa.Table:
    """The table of a file, if it is as it was written and not larger than 32 MiB and 100 times the file.

    Args:
        content: Of the whole file.

    Raises:
        DataError: It is not Parquet, is damaged, or holds more than that.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if is_damaged(content):
        raise DataError("the content has changed since it was written, by a damaged disk or copy: write it again")
    try:
        with pq.ParquetFile(pa.BufferReader(pa.py_buffer(content))) as file:
            table = pa.Table.from_batches(_batches(file, _limit(len(content))), file.schema_arrow)
            return table.unify_dictionaries().combine_chunks()
    # KeyError and TypeError: names and types that Arrow stored in the file and cannot read back.
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"it is not a Parquet file or is damaged ({first_line(error)}): write it again") from None


def _limit(size: int) -> int:
    """Bytes that a file of a size may hold."""
    return _BYTES + _TIMES * size


def _batches(file: pq.ParquetFile, limit: int) -> Iterator[pa.RecordBatch]:
    """The content of a file.

    Raises:
        DataError: It is larger than a limit.
    """
    import pyarrow as pa

    facts, schema = file.metadata, file.schema_arrow
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    parts = [group.column(column) for group in groups for column in range(facts.num_columns)]
    widths = [field.type.byte_width for field in schema if pa.types.is_fixed_size_binary(field.type)]
    claimed = max(sum(part.total_uncompressed_size for part in parts), facts.num_rows * max([1, *widths]))
    if claimed > limit:
        raise _too_much(claimed, limit)
    # A value is at most as long as its part of a column, and a dictionary may repeat it in every row.
    longest = max((part.total_uncompressed_size for part in parts), default=1)
    size = 0
    for batch in file.iter_batches(max(1, min(_ROWS, limit // max(1, longest)))):
        size += batch.nbytes
        if size > limit:
            raise _too_much(size, limit)
        yield batch


def _too_much(size: int, limit: int) -> DataError:
    return DataError(f"it holds more than {size:,} bytes, and a file of its size at most {limit:,}: check its source")
