"""Parquet files of codes: sealed when they are written; checked, and read within bounds.

A file of some kilobytes can claim millions of rows, or repeat one long value millions of times. Keys differ and codes
hardly compress, so a file that `write_codes` wrote holds only a few times its size.
"""

from __future__ import annotations

import io
import mmap
from typing import TYPE_CHECKING, BinaryIO

from ordhash.errors import DataError, first_line
from ordhash.support import SEAL, is_damaged, placeholder, seal, sealed

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["parquet_bytes", "read_parquet", "write_parquet"]

_BYTES, _TIMES = 1 << 25, 100
_ROWS = 1 << 16  # of a batch at most; smaller ones take longer


def write_parquet(table: pa.Table, file: BinaryIO) -> None:
    """Write a table and seal the file.

    Args:
        table: The table.
        file: Open for reading and writing, empty.
    """
    seal(file, _write(table, file))


def parquet_bytes(table: pa.Table) -> bytes:
    """Content of the file that [write_parquet][ordhash.codes.parquet.write_parquet] writes."""
    content = io.BytesIO()
    empty = _write(table, content)
    return sealed(content.getvalue(), empty)


def _write(table: pa.Table, file: BinaryIO) -> str:
    import pyarrow.parquet as pq

    empty = placeholder()
    with pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({SEAL: empty})  # not into the table's schema, which the file holds twice
    return empty


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
            return _read(file, _BYTES + _TIMES * len(content))
    # KeyError and TypeError: names and types that Arrow stored in the file and cannot read back.
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"it is not a Parquet file or is damaged ({first_line(error)}): write it again") from None


def _read(file: pq.ParquetFile, limit: int) -> pa.Table:
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
    batches, size = [], 0
    for batch in file.iter_batches(max(1, min(_ROWS, limit // max(1, longest)))):
        size += batch.nbytes
        if size > limit:
            raise _too_much(size, limit)
        batches.append(batch)
    return pa.Table.from_batches(batches, schema).unify_dictionaries().combine_chunks()


def _too_much(size: int, limit: int) -> DataError:
    return DataError(f"it holds more than {size:,} bytes, and a file of its size at most {limit:,}: check its source")
