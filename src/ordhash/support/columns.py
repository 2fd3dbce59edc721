"""Columns of Arrow tables in types that Arrow's functions take, however the table stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_text", "plain_column", "wide_column"]


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column without dictionaries, runs, views and extension types, which few functions take.

    Args:
        column: n values of any type.

    Returns:
        The same n values.

    >>> import pyarrow as pa
    >>> plain_column(pa.chunked_array([["a", "a"]]).dictionary_encode()).type
    DataType(large_string)
    """
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return plain_column(pa.chunked_array(chunks, kind.storage_type))
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        nothing = plain_column(wide_column(pa.chunked_array([], kind.value_type)))
        parts = [_values(one) for one in column.chunks]
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], nothing.type)
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    return column.cast(views[kind]) if kind in views else column


def _values(array: Any) -> pa.ChunkedArray:
    """The values of an array of a dictionary, or of runs."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        different, places = array.dictionary, array.indices
    else:
        different, rows = array.values, array.offset + np.arange(len(array))
        places = pa.array(np.searchsorted(array.run_ends.to_numpy(), rows, side="right"))
    return plain_column(wide_column(pa.chunked_array([different]))).take(places)


def wide_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column in a type that Arrow can pick rows of, join and save at any size.

    It has no runs and views. Texts and lists have offsets of 64 bits, since those of 32 end at 2 GiB, and dictionaries
    indices of 32 bits.

    Args:
        column: n values of any type.

    Returns:
        The same n values.

    Raises:
        pyarrow.ArrowException: It has runs within lists or structs.

    >>> import pyarrow as pa
    >>> wide_column(pa.chunked_array([[["a"], []]])).type
    LargeListType(large_list<item: large_string>)
    """
    import pyarrow as pa

    kind = column.type
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if pa.types.is_run_end_encoded(kind) or (storage != kind and _wide(storage) != storage):
        return wide_column(plain_column(column))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        field = kind.value_field
        return wide_column(pa.chunked_array([_listed(one, field) for one in column.chunks], pa.large_list(field)))
    return column if _wide(kind) == kind else column.cast(_wide(kind))


def _listed(views: pa.Array, field: pa.Field) -> pa.LargeListArray:
    """An array of list views as one of lists; Arrow's cast gives wrong offsets where a list is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(views), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.append(0, np.cumsum(lengths, dtype=np.int64)))
    kind, mask = pa.large_list(field), views.is_null()
    return pa.LargeListArray.from_arrays(offsets, pc.list_flatten(views), type=kind, mask=mask)


def _wide(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    def wide(field: pa.Field) -> pa.Field:
        return field.with_type(_wide(field.type))

    types = pa.types
    if is_text(kind):
        return pa.large_string()
    if kind in (pa.binary(), pa.binary_view()):
        return pa.large_binary()
    if types.is_dictionary(kind):
        return pa.dictionary(pa.int32(), _wide(kind.value_type), kind.ordered)
    if types.is_run_end_encoded(kind):
        return _wide(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.large_list(wide(kind.value_field))
    if types.is_fixed_size_list(kind):
        return pa.list_(wide(kind.value_field), kind.list_size)
    if types.is_map(kind):
        return pa.map_(wide(kind.key_field), wide(kind.item_field), kind.keys_sorted)
    return pa.struct([wide(field) for field in kind]) if types.is_struct(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of texts.

    >>> import pyarrow as pa
    >>> is_text(pa.large_string()), is_text(pa.binary())
    (True, False)
    """
    import pyarrow as pa

    return kind in (pa.string(), pa.large_string(), pa.string_view())
