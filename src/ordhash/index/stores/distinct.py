"""Every distinct code once, with the rows that share it.

Many images share a learned code. If codes repeat enough, distances are computed for the distinct ones alone, and each
is then replaced by its rows in order. Results equal those of a scan, ties included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.errors import DataError
from ordhash.index.planes import Bytes, PlaneCodes
from ordhash.index.results import Found
from ordhash.index.stores.store import kernels

__all__ = ["Distinct"]

_MOST_CODES = 1 << 22  # distances of codes held at once
_FIRST = 64  # distinct codes requested first; more follow if these have too few rows


@dataclass(frozen=True, eq=False)
class Distinct:
    """Every distinct code once, with the rows that share it.

    Attributes:
        planes: m distinct codes.
        offsets: int64 (m + 1,): where the rows of each code start.
        rows: uint32 (n,): the rows of each code, ascending.
    """

    planes: PlaneCodes
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.uint32]

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self.planes.spec

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.rows)

    @property
    def n_distinct(self) -> int:
        """Distinct codes."""
        return self.planes.n

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.planes.blocks.nbytes + self.offsets.nbytes + self.rows.nbytes

    @property
    def method(self) -> str:
        """``distinct``."""
        return "distinct"

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""
        symbols = np.empty((self.n, self.planes.spec.n_segments), dtype=np.uint8)
        symbols[self.rows] = np.repeat(self.planes.symbols(), np.diff(self.offsets), axis=0)
        return symbols

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""
        wanted = np.zeros(self.n, dtype=np.bool_)
        wanted[rows] = True
        places = np.flatnonzero(wanted[self.rows])
        code_of = np.searchsorted(self.offsets, places, side="right") - 1
        order = np.argsort(self.rows[places])
        codes = code_of[order][np.searchsorted(self.rows[places][order], rows)]
        return self.planes.symbols_at(codes)

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        nearest = kernels().nearest
        return self._nearest(
            lambda some, m, bits: nearest(self.planes, queries[some], m, allowed=bits),
            np.empty((len(queries), k), dtype=np.uint16),
            allowed,
        )

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        nearest = kernels().nearest_asymmetric
        return self._nearest(
            lambda some, m, bits: nearest(self.planes, losses[some], m, allowed=bits),
            np.empty((len(losses), k), dtype=np.float32),
            allowed,
        )

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """As [Store][ordhash.index.stores.Store] says."""
        return [self._within(queries[row : row + 1], radius, allowed) for row in range(len(queries))]

    def _within(self, query: OrdinalCodes, radius: int, allowed: Bytes | None) -> Found:
        near, codes = kernels().within(self.planes, query, radius)
        counts = self.offsets[codes + 1] - self.offsets[codes]
        starts = np.repeat(self.offsets[codes] - (np.cumsum(counts) - counts), counts)
        rows = self.rows[starts + np.arange(len(starts))].astype(np.int64)
        distances = np.repeat(near, counts)
        if allowed is not None:
            kept = (allowed[rows >> 3] >> (rows & 7) & 1).astype(np.bool_)
            distances, rows = distances[kept], rows[kept]
        order = np.lexsort((rows, distances))
        return distances[order], rows[order]

    def _nearest(
        self,
        ask: Callable[[npt.NDArray[np.intp], int, Bytes | None], Found],
        distances: npt.NDArray[Any],
        allowed: Bytes | None,
    ) -> Found:
        """Fill in distances (q, k) and return rows, from as many codes of a query as k rows and their ties need."""
        n_queries, k = distances.shape
        rows = np.empty((n_queries, k), dtype=np.int64)
        # Codes without an allowed row would use up the k.
        bits, n_codes = (None, self.planes.n) if allowed is None else self._codes_with(allowed)
        waiting, m = np.arange(n_queries), min(_FIRST, n_codes)
        while len(waiting) and k:
            left = []
            step = max(1, _MOST_CODES // m)
            for start in range(0, len(waiting), step):
                some = waiting[start : start + step]
                near, codes = ask(some, m, bits)
                distances[some], rows[some], done = kernels().expand(
                    near, codes, m == n_codes, self.offsets, self.rows, allowed, k
                )
                left.append(some[~done])
            waiting = np.concatenate(left)
            if len(waiting) and m == n_codes:
                raise DataError("the rows of the distinct codes are damaged: build the index again")
            m = min(8 * m, n_codes)
        return distances, rows

    def _codes_with(self, allowed: Bytes) -> tuple[Bytes, int]:
        """Bit mask of the codes with an allowed row, and their number."""
        has = kernels().has_allowed(self.offsets, self.rows, allowed)
        return np.packbits(has, bitorder="little"), int(has.sum())
