"""Items of an index without their codes: keys, metadata and deletions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeTable, Keys, key_array, typed_keys
from ordhash.errors import InputError, first_line
from ordhash.index.planes import Bytes
from ordhash.index.stores import bools_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

__all__ = ["Items", "Where", "key_column"]

Where: TypeAlias = "npt.NDArray[np.bool_] | Keys | pc.Expression"


class Items:
    """Items by row. Deleted items keep their rows, so that row numbers are stable.

    Args:
        n: Number of items.
        column: Their keys, large_string or int64 (n,); None where keys are row numbers.
        metadata: Table of n rows, or None.
    """

    def __init__(self, n: int, column: pa.ChunkedArray | None, metadata: pa.Table | None) -> None:
        self.n = n
        self.column = column
        self.metadata = metadata
        self.deleted = 0
        self._live: Bytes | None = None  # one bit for each row, the lowest of a byte first; None where all are live
        # Both are built on first use.
        self._keys: npt.NDArray[Any] | None = None
        self._rows: dict[Any, int] | None = None

    def add(self, table: CodeTable, *, numbered: bool) -> None:
        """Add items; ``numbered`` if no keys were given for them.

        Raises:
            InputError: They do not fit the existing ones; then nothing is added.
        """
        column, metadata = self._column_with(table.keys, numbered=numbered), self._metadata_with(table)
        first, self.n = self.n, self.n + len(table)
        self.column, self.metadata = column, metadata
        if self._live is not None:
            live = np.full(-(-self.n // 8), 255, dtype=np.uint8)
            live[: len(self._live)] = self._live
            if first % 8:
                live[first >> 3] |= np.uint8(255 << first % 8 & 255)
            self._live = live
        if self._rows is not None:
            self._rows.update(zip(table.keys.tolist(), range(first, self.n), strict=True))
        self._keys = None

    def delete(self, keys: Keys) -> None:
        """Delete items.

        Raises:
            InputError: A key does not exist; then nothing is deleted.
        """
        rows = np.unique(self.rows_of(keys))
        if self._live is None:
            self._live = np.full(-(-self.n // 8), 255, dtype=np.uint8)
        if self._rows is not None:
            for key in self.keys_at(rows).tolist():
                del self._rows[key]
        for row in rows.tolist():
            self._live[row >> 3] &= ~np.uint8(1 << (row & 7))
        self.deleted += len(rows)

    @property
    def keys(self) -> npt.NDArray[Any]:
        """Keys of all rows, int64 or object (of str), read-only."""
        keys = self._keys
        if keys is None:
            keys = np.arange(self.n) if self.column is None else self.column.to_numpy().copy()
            keys.flags.writeable = False
            self._keys = keys
        return keys

    def keys_at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Keys of some rows, in their shape."""
        if self.column is None:
            return rows.copy()
        import pyarrow as pa

        flat, chunks = rows.ravel(), self.column.chunks
        if len(chunks) == 1:
            found = chunks[0].take(pa.array(flat)).to_numpy(zero_copy_only=False)
        else:
            # Arrow's take would join all chunks first.
            starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])
            chunk_of = np.searchsorted(starts, flat, side="right") - 1
            found = np.empty(len(flat), dtype=np.int64 if self.column.type == pa.int64() else object)
            for number in np.unique(chunk_of):
                here = chunk_of == number
                some = pa.array(flat[here] - starts[number])
                found[here] = chunks[number].take(some).to_numpy(zero_copy_only=False)
        return np.asarray(found).reshape(rows.shape)

    def checked_rows(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """Rows that a caller gives, int64 (r,).

        Raises:
            InputError: They are not integers of that shape, or not rows of the items.
        """
        wanted = np.asarray(rows)
        if wanted.ndim != 1 or (wanted.size and not np.issubdtype(wanted.dtype, np.integer)):
            raise InputError(f"rows are {wanted.dtype} {wanted.shape}; allowed are integers of shape (r,)")
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.n:
            raise InputError(f"rows range from {wanted.min()} to {wanted.max()}; the index has rows 0 to {self.n - 1}")
        return wanted.astype(np.int64)

    def live_rows(self) -> npt.NDArray[np.int64]:
        """Rows of the items that are not deleted, ascending."""
        return np.arange(self.n) if self._live is None else np.flatnonzero(bools_of(self._live, self.n))

    def allowed(self, where: Where | None) -> Bytes | None:
        """One bit for each row, the lowest of a byte first: 1 for live items that meet ``where``; None for all rows.

        Raises:
            InputError: ``where`` does not fit the items.
        """
        if where is None:
            return self._live
        bits = np.packbits(self._mask(where), bitorder="little")
        return bits if self._live is None else bits & self._live

    def _mask(self, where: Where) -> npt.NDArray[np.bool_]:
        if isinstance(where, np.ndarray) and where.dtype == np.bool_:
            if where.shape != (self.n,):
                raise InputError(f"the mask has shape {where.shape}; the index needs ({self.n},), a value a row")
            return where
        import pyarrow.compute as pc

        rows = self._rows_where(where) if isinstance(where, pc.Expression) else self.rows_of(where)
        mask = np.zeros(self.n, dtype=np.bool_)
        mask[rows] = True
        return mask

    def _rows_where(self, where: pc.Expression) -> npt.NDArray[np.int64]:
        import pyarrow as pa

        if self.metadata is None:
            raise InputError(f"where is {where}, and the index has no metadata; add some, or give keys or a mask")
        names = self.metadata.column_names
        number = "\0row"
        numbered = self.metadata.append_column(number, pa.array(np.arange(self.n)))
        try:
            rows: npt.NDArray[np.int64] = numbered.filter(where)[number].to_numpy()
        except (pa.ArrowException, KeyError) as error:
            raise InputError(f"where is {where} ({first_line(error)}); the columns are {', '.join(names)}") from None
        return rows

    def rows_of(self, keys: Keys) -> npt.NDArray[np.int64]:
        """Rows of some items, by key."""
        names = typed_keys(keys).tolist()
        if self.column is None:
            missing = [key for key in names if not self._is_live(key)]
        else:
            missing = [key for key in names if key not in self._row_of()]
        if missing:
            raise InputError(f"the index has no item with key {missing[0]!r}; give keys that it has")
        return np.array(names if self.column is None else [self._row_of()[key] for key in names], dtype=np.int64)

    def _row_of(self) -> dict[Any, int]:
        """Row of every live item, by key."""
        known = self._rows
        if known is None:
            rows = self.live_rows()
            known = self._rows = dict(zip(self.keys_at(rows).tolist(), rows.tolist(), strict=True))
        return known

    def _is_live(self, key: Any) -> bool:
        """Whether a key is the number of a live row; texts are not."""
        if not isinstance(key, int) or not 0 <= key < self.n:
            return False
        return self._live is None or bool(self._live[key >> 3] >> (key & 7) & 1)

    def _column_with(self, keys: npt.NDArray[Any], *, numbered: bool) -> pa.ChunkedArray | None:
        """The key column with more keys, which must be new."""
        if numbered:
            if self.column is not None:
                raise InputError("the index has keys, and none are given; give a key for each code")
            return None
        import pyarrow as pa

        new = key_column(keys)
        if not len(new):
            return self.column
        old = key_column(np.arange(self.n)) if self.column is None else self.column
        if old.type != new.type and len(old):
            kinds = {pa.int64(): "integers"}
            raise InputError(
                f"the keys are {kinds.get(new.type, 'strings')} and those of the index "
                f"{kinds.get(old.type, 'strings')}; give keys of the same type"
            )
        there = self._is_live if self.column is None else self._row_of().__contains__
        again = next((key for key in keys.tolist() if there(key)), None)
        if again is not None:
            raise InputError(f"key {again!r} is in the index already; delete that item first, or give another key")
        chunks = [chunk for chunk in (*old.chunks, *new.chunks) if len(chunk)]
        while len(chunks) > 1 and 2 * len(chunks[-1]) >= len(chunks[-2]):  # keeps chunks few after many additions
            chunks[-2:] = [pa.concat_arrays(chunks[-2:])]
        return pa.chunked_array(chunks, new.type)

    def _metadata_with(self, table: CodeTable) -> pa.Table | None:
        """The metadata with more rows, of the same columns."""
        old, new = self.metadata, table.metadata
        names = [set() if part is None else set(part.column_names) for part in (old, new)]
        if names[0] != names[1]:
            raise InputError(
                f"the metadata have the columns {', '.join(sorted(names[1])) or 'none'} and those of the index "
                f"{', '.join(sorted(names[0])) or 'none'}; give the same"
            )
        if old is None or new is None:
            return None
        import pyarrow as pa

        kinds = [_filled(field.type, new.field(field.name).type) for field in old.schema]
        fields = [field.with_type(kind) for field, kind in zip(old.schema, kinds, strict=True)]
        schema = pa.schema(fields, old.schema.metadata)
        try:
            return pa.concat_tables([old.cast(schema), new.select(old.column_names).cast(schema)])
        except (pa.ArrowException, ValueError) as error:
            raise InputError(f"the metadata do not fit those of the index ({first_line(error)})") from None


def _filled(kind: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type of a column; what it leaves open, since there has been no value yet, is as in another.

    >>> import pyarrow as pa
    >>> _filled(pa.list_(pa.null()), pa.list_(pa.string())), _filled(pa.int64(), pa.string())
    (ListType(list<item: string>), DataType(int64))
    """
    import pyarrow as pa

    try:
        return pa.unify_schemas([pa.schema([("", kind)]), pa.schema([("", other)])]).field(0).type
    except pa.ArrowException:  # they differ in more than that
        return kind


def key_column(keys: npt.NDArray[Any]) -> pa.ChunkedArray:
    """Keys as a column of an index: int64 or large_string."""
    import pyarrow as pa

    return pa.chunked_array([key_array(keys, pa.large_string())])
