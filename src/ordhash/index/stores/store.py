"""The interface of every store: n codes and three searches."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.planes import Bytes
from ordhash.index.results import Found

__all__ = ["Store", "bools_of", "kernels"]


class Store(Protocol):
    """n searchable codes; rows are numbered from 0.

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
        """Distinct codes; None if the store does not count them."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory or on disk."""

    @property
    def method(self) -> str:
        """How it searches, as [IndexStats][ordhash.index.IndexStats] names it."""

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """Distances uint16 and rows (q, k), ordered by (distance, row); k is at most the number of allowed rows."""

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As nearest, by asymmetric distance, float32; losses (q, n_segments, arity)."""

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """For each query, distances and rows (m,) of all codes within ``radius``, ordered by (distance, row)."""


def bools_of(bits: Bytes, n: int) -> npt.NDArray[np.bool_]:
    """The first n bits, the lowest of a byte first."""
    return np.unpackbits(bits, count=n, bitorder="little").astype(np.bool_)


def kernels() -> Any:
    """The compiled scans. Importing them takes a second, which building an index does not need."""
    from ordhash.index import kernels

    return kernels
