"""Columns of Arrow tables in one of the plain types, however the table stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_text", "plain_column"]


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column without dictionaries, runs, views and extension types, which few functions take.

    Args:
        column: n values of any type.

    Returns:
        The same n values.

    >>> import pyarrow as pa
    >>> plain_column(pa.chunked_array([["a", "a"]]).dictionary_encode()).type
    DataType(string)
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return plain_column(pa.chunked_array(chunks, kind.storage_type))
    if pa.types.is_dictionary(kind):
        parts = [plain_column(pa.chunked_array([one.dictionary])).take(one.indices) for one in column.chunks]
        values = plain_column(pa.chunked_array([], kind.value_type))
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], values.type)
    if pa.types.is_run_end_encoded(kind):
        chunks = [pc.run_end_decode(chunk) for chunk in column.chunks]
        return plain_column(pa.chunked_array(chunks, kind.value_type))
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    return column.cast(views[kind]) if kind in views else column


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of texts.

    >>> import pyarrow as pa
    >>> is_text(pa.large_string()), is_text(pa.binary())
    (True, False)
    """
    import pyarrow as pa

    return kind in (pa.string(), pa.large_string(), pa.string_view())
