"""A snapshot of a collection, with cached look-ups."""

from __future__ import annotations

import bisect
import datetime
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ordhash.errors import DataError
from ordhash.index import OrdinalIndex

__all__ = ["View", "version_of"]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_FEW_VALUES = 200  # distinct texts of a column, to choose from


@dataclass(frozen=True, eq=False)
class View:
    """A snapshot of a collection.

    Attributes:
        generation: Generation of the catalogue that the index was built from.
        index: The index.
        folder: The folder of the photographs, which may move.
    """

    generation: int
    index: OrdinalIndex
    folder: Path

    @functools.cached_property
    def newest(self) -> npt.NDArray[np.int64]:
        """Rows by the time of their files, newest first."""
        rows: npt.NDArray[np.int64] = pc.sort_indices(
            self.metadata["modified"], sort_keys=[("", "descending")]
        ).to_numpy()
        return rows

    @functools.cached_property
    def columns(self) -> list[tuple[str, pa.DataType, list[str] | None]]:
        """Columns of the metadata: name, type, and the distinct texts if they are few."""
        found = []
        for name in self.metadata.column_names:
            column, values = self.metadata[name], None
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                different = list(filter(None, column.unique().to_pylist()))
                values = sorted(different) if len(different) <= _FEW_VALUES else None
            found.append((name, column.type, values))
        return found

    def row(self, key: str) -> int | None:
        """Row of a photograph; None for an unknown key."""

        def key_of(row: int) -> str:
            return str(self.index.keys_at(np.array([row]))[0])

        rows = range(len(self.index))  # in the order of their keys, as the catalogue gives them
        row = bisect.bisect_left(rows, key, key=key_of)
        return row if row < len(rows) and key_of(row) == key else None

    @property
    def metadata(self) -> pa.Table:
        """Metadata of the photographs; a collection always has some."""
        metadata = self.index.metadata
        if metadata is None:
            raise DataError("the index of the collection has no metadata; delete it, and it is rebuilt")
        return metadata

    def versions(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Version of the file of some rows: a text that changes when the file does."""
        return [version_of(modified) for modified in self.metadata["modified"].take(rows).to_pylist()]


def version_of(modified: datetime.datetime) -> str:
    """A text that changes when a file does.

    Args:
        modified: When the file was last written.

    >>> version_of(datetime.datetime(1970, 1, 1, microsecond=255, tzinfo=datetime.UTC))
    'ff'
    """
    return f"{(modified - _EPOCH) // datetime.timedelta(microseconds=1):x}"
