"""All rows in order, with tables that find near ones without a full scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.errors import InputError
from ordhash.index.planes import Bytes
from ordhash.index.results import Found
from ordhash.index.stores.scan import Scan
from ordhash.index.stores.store import kernels
from ordhash.support import available_cores

__all__ = ["Tabled"]


@dataclass(frozen=True, eq=False)
class Tabled:
    """All rows in order, with tables that find near ones without a full scan.

    Attributes:
        base: The rows.
        tables: The tables (ordhash.index.kernels.Tables), kept in memory.
    """

    base: Scan
    tables: Any

    @classmethod
    def of(cls, base: Scan) -> Tabled:
        """Add tables of all rows to a store.

        Raises:
            InputError: More rows than tables can number.
        """
        most = np.iinfo(np.uint32).max
        if base.n > most:
            raise InputError(f"the index has {base.n} items; tables can number at most {most}")
        return cls(base, kernels().Tables.of(base.planes))

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self.base.spec

    @property
    def n(self) -> int:
        """Rows."""
        return self.base.n

    @property
    def n_distinct(self) -> None:
        """Unknown."""
        return

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.base.nbytes + int(self.tables.nbytes)

    @property
    def method(self) -> str:
        """``tables``."""
        return "tables"

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""
        return self.base.symbols()

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""
        return self.base.symbols_at(rows)

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        if k == 0:
            return self.base.nearest(queries, k, allowed)
        budget = self._budget(len(queries))
        found, done = kernels().walk(self.tables, queries, k, queries.spec.n_segments, allowed=allowed, budget=budget)
        distances, rows = np.empty((len(queries), k), dtype=np.uint16), np.empty((len(queries), k), dtype=np.int64)
        distances[~done], rows[~done] = self.base.nearest(queries[~done], k, allowed)
        for q in np.flatnonzero(done):
            distances[q], rows[q] = found[q]
        return distances, rows

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says; by a scan, because tables ignore scores."""
        return self.base.nearest_asymmetric(losses, k, allowed)

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """As [Store][ordhash.index.stores.Store] says."""
        return [self._within(queries[row : row + 1], radius, allowed) for row in range(len(queries))]

    def _within(self, query: OrdinalCodes, radius: int, allowed: Bytes | None) -> Found:
        budget = self._budget(1)
        found, done = kernels().walk(self.tables, query, max(1, self.n), radius, allowed=allowed, budget=budget)
        result: Found = found[0] if done[0] else self.base.within(query, radius, allowed)[0]
        return result

    def _budget(self, n_queries: int) -> int:
        """Cost of a walk above which a scan is cheaper. A scan uses all cores, a walk one."""
        return self.n // max(1, available_cores() // max(1, n_queries))
