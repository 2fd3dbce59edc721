"""What every store can do: n codes, kept in some way, and the three searches among them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.planes import Bytes
from ordhash.index.results import Found

__all__ = ["Store", "bools_of", "kernels"]


class Store(Protocol):
    """n codes that can be searched; rows count from 0.

    ``allowed`` holds one bit for each row, the lowest of a byte first; None allows all.
    """

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""

    @property
    def n(self) -> int:
        """Rows."""

    @property
    def n_distinct(self) -> int | None:
        """Distinct codes; None where they are not told apart."""

    @property
    def nbytes(self) -> int:
        """Memory it takes, or room on disk."""

    @property
    def method(self) -> str:
        """How it searches, as [IndexStats][ordhash.index.IndexStats] names it."""

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """Distances uint16 and rows (q, k), ordered by (distance, row); k is at most what is allowed."""

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As nearest, by asymmetric distance, float32; losses (q, n_segments, arity)."""

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """For each query, distances and rows (m,) of everything at most ``radius`` away, by (distance, row)."""


def bools_of(bits: Bytes, n: int) -> npt.NDArray[np.bool_]:
    """The first n bits, the lowest of a byte first."""
    return np.unpackbits(bits, count=n, bitorder="little").astype(np.bool_)


def kernels() -> Any:
    """The compiled scans. Importing them takes a second, which an index that is only built does not spend."""
    from ordhash.index import kernels

    return kernels
