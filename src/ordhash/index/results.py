"""Results of searches, and statistics of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Found", "IndexStats", "RadiusResult", "SearchResult"]


Found: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]
"""Distances and rows of the same shape, nearest first, as kernels and stores return them."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The k nearest of every query, ordered by (distance, row).

    Args:
        keys: int64 or object (of str) (q, k): the user's keys.
        distances: uint16 (ordinal) or float32 (asymmetric) (q, k).
        rows: int64 (q, k): positions in the index.
        boxes: float64 (q, k, 4): left, top, right and bottom of the part that is so near, as shares of width and
            height; 0, 0, 1, 1 where the code of the whole is as near as any. None unless parts were searched.
    """

    keys: npt.NDArray[Any]
    distances: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class RadiusResult:
    """Everything within a radius of one query, ordered by (distance, row).

    Args:
        keys: int64 or object (of str) (m,): the user's keys.
        distances: uint16 (m,).
        rows: int64 (m,): positions in the index.
        boxes: float64 (m, 4): as in SearchResult.
    """

    keys: npt.NDArray[Any]
    distances: npt.NDArray[np.uint16]
    rows: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class IndexStats:
    """Contents of an index, and how it searches.

    Args:
        count: Items.
        deleted: Rows whose items were deleted since the index was built or opened.
        method: ``scan`` if a search compares every code, ``distinct`` if it compares every distinct code and
            expands it to its rows, ``tables`` if tables find near codes and a scan the others.
        distinct: Number of distinct codes, without those of added items; None if they are not counted.
        nbytes: Bytes of the codes in memory or in the mapped file, without keys and metadata.
        parts: Codes of parts of the items, those of deleted ones too; None if the index keeps none.
    """

    count: int
    deleted: int
    method: str
    distinct: int | None
    nbytes: int
    parts: int | None = None
