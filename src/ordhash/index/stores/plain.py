"""Unpacked codes, searched in plain NumPy: for few distances, faster than loading the compiled scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes, ordinal_distances, sums_of_losses, top_k
from ordhash.index.planes import Bytes
from ordhash.index.results import Found
from ordhash.index.stores.store import bools_of

__all__ = ["Plain"]


@dataclass(frozen=True, eq=False)
class Plain:
    """All rows in order, as symbols.

    Attributes:
        codes: n codes.
        most_distances: Distances held at once: queries are processed in blocks, to bound memory.
    """

    codes: OrdinalCodes
    most_distances: int = 1 << 24

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self.codes.spec

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.codes)

    @property
    def n_distinct(self) -> None:
        """Unknown."""
        return

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.codes.symbols.nbytes

    @property
    def method(self) -> str:
        """``scan``."""
        return "scan"

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""
        return self.codes.symbols

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""
        return self.codes.symbols[rows]

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        distances = np.empty((len(queries), k), dtype=np.uint16)
        return self._nearest(lambda block, codes: ordinal_distances(queries[block], codes), distances, allowed)

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        distances = np.empty((len(losses), k), dtype=np.float32)
        return self._nearest(lambda block, codes: sums_of_losses(losses[block], codes), distances, allowed)

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """As [Store][ordhash.index.stores.Store] says."""
        codes, among = self._allowed(allowed)
        found = []
        for block in self._blocks(len(queries), len(codes)):
            for distances in ordinal_distances(queries[block], codes):
                near = np.flatnonzero(distances <= radius)
                near = near[np.argsort(distances[near], kind="stable")]
                found.append((distances[near], among[near]))
        return found

    def _nearest(
        self,
        distances_of: Callable[[slice, OrdinalCodes], npt.NDArray[Any]],
        distances: npt.NDArray[Any],
        allowed: Bytes | None,
    ) -> Found:
        """Fill in distances (q, k) and return rows."""
        n_queries, k = distances.shape
        codes, among = self._allowed(allowed)
        rows = np.empty((n_queries, k), dtype=np.int64)
        for block in self._blocks(n_queries, len(codes)):
            every = distances_of(block, codes)
            nearest = top_k(every, k)
            distances[block] = np.take_along_axis(every, nearest, axis=1)
            rows[block] = among[nearest]
        return distances, rows

    def _blocks(self, n_queries: int, n_codes: int) -> Iterator[slice]:
        size = max(1, self.most_distances // max(1, n_codes))
        return (slice(start, start + size) for start in range(0, n_queries, size))

    def _allowed(self, allowed: Bytes | None) -> tuple[OrdinalCodes, npt.NDArray[np.int64]]:
        """The allowed codes and their rows."""
        if allowed is None:
            return self.codes, np.arange(self.n)
        rows = np.flatnonzero(bools_of(allowed, self.n))
        return self.codes[rows], rows
