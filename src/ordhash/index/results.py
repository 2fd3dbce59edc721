"""Results of searches, and statistics of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Found", "IndexStats", "RadiusResult", "SearchResult"]


Found: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]
"""Distances and rows, of one shape, nearest first: what kernels and stores return."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The k nearest of every query, ordered by (distance, row).

    Args:
        keys: int64 or object (of str) (q, k): the user's keys.
        distances: uint16 (ordinal) or float32 (asymmetric) (q, k).
        rows: int64 (q, k): positions in the index.
    """

    keys: npt.NDArray[Any]
    distances: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RadiusResult:
    """Everything within a radius of one query, ordered by (distance, row).

    Args:
        keys: int64 or object (of str) (m,): the user's keys.
        distances: uint16 (m,).
        rows: int64 (m,): positions in the index.
    """

    keys: npt.NDArray[Any]
    distances: npt.NDArray[np.uint16]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class IndexStats:
    """What an index holds and how it searches.

    Args:
        count: Items.
        deleted: Rows whose items were deleted since the index was built or opened.
        method: ``scan`` where a search looks at every code, ``distinct`` where it looks at every distinct code and the
            rows that share it, ``tables`` where tables find near codes and a scan the others.
        distinct: Distinct codes, where they are told apart; None otherwise. Added items are not among them.
        nbytes: Bytes of the codes in memory, or in the file that is mapped; keys and metadata come on top.
    """

    count: int
    deleted: int
    method: str
    distinct: int | None
    nbytes: int
