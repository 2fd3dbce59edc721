"""All rows in order; a search compares every code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.planes import Bytes, PlaneCodes
from ordhash.index.results import Found
from ordhash.index.stores.store import kernels

__all__ = ["Scan"]


@dataclass(frozen=True, eq=False)
class Scan:
    """All rows in order.

    Attributes:
        planes: n codes.
    """

    planes: PlaneCodes

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self.planes.spec

    @property
    def n(self) -> int:
        """Rows."""
        return self.planes.n

    @property
    def n_distinct(self) -> None:
        """Unknown."""
        return

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.planes.blocks.nbytes

    @property
    def method(self) -> str:
        """``scan``."""
        return "scan"

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""
        return self.planes.symbols()

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""
        return self.planes.symbols_at(rows)

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        found: Found = kernels().nearest(self.planes, queries, k, allowed=allowed)
        return found

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        found: Found = kernels().nearest_asymmetric(self.planes, losses, k, allowed=allowed)
        return found

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """As [Store][ordhash.index.stores.Store] says."""
        within = kernels().within
        return [within(self.planes, queries[row : row + 1], radius, allowed=allowed) for row in range(len(queries))]
