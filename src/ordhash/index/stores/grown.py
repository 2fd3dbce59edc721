"""A store with rows added later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index.planes import Bytes, PlaneCodes
from ordhash.index.results import Found
from ordhash.index.stores.distinct import Distinct
from ordhash.index.stores.scan import Scan
from ordhash.index.stores.store import Store, bools_of
from ordhash.index.stores.tabled import Tabled

__all__ = ["AnyStore", "Grown"]


@dataclass(frozen=True, eq=False)
class Grown:
    """The rows of a store, followed by those added later.

    Attributes:
        base: The first rows.
        added: The others.
    """

    base: Scan | Distinct | Tabled
    added: Scan

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self.base.spec

    @property
    def n(self) -> int:
        """Rows."""
        return self.base.n + self.added.n

    @property
    def n_distinct(self) -> int | None:
        """Distinct codes of the first rows; None if the store does not count them."""
        return self.base.n_distinct

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.base.nbytes + self.added.nbytes

    @property
    def method(self) -> str:
        """That of the first rows."""
        return self.base.method

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""
        return np.concatenate([self.base.symbols(), self.added.symbols()])

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""
        symbols = np.empty((len(rows), self.spec.n_segments), dtype=np.uint8)
        later = rows >= self.base.n
        symbols[~later] = self.base.symbols_at(rows[~later])
        symbols[later] = self.added.symbols_at(rows[later] - self.base.n)
        return symbols

    @classmethod
    def of(cls, store: AnyStore, codes: OrdinalCodes) -> Grown:
        """A store with more codes appended."""
        return store.extended(codes) if isinstance(store, Grown) else cls(store, Scan(PlaneCodes.of(codes)))

    def extended(self, codes: OrdinalCodes) -> Grown:
        """These rows with more appended."""
        return Grown(self.base, Scan(self.added.planes.extended(codes)))

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._nearest(lambda store, few, bits: store.nearest(queries, few, bits), k, allowed)

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._nearest(lambda store, few, bits: store.nearest_asymmetric(losses, few, bits), k, allowed)

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """As [Store][ordhash.index.stores.Store] says."""
        found = [store.within(queries, radius, bits) for store, bits, _ in self._parts(allowed)]
        return [self._joined(list(of_query)) for of_query in zip(*found, strict=True)]

    def _nearest(self, ask: Callable[[Store, int, Bytes | None], Found], k: int, allowed: Bytes | None) -> Found:
        distances, rows = self._joined([ask(store, min(k, n), bits) for store, bits, n in self._parts(allowed)])
        return distances[:, :k], rows[:, :k]

    def _parts(self, allowed: Bytes | None) -> list[tuple[Store, Bytes | None, int]]:
        """Both stores, with their allowed rows and how many these are."""
        if allowed is None:
            return [(self.base, None, self.base.n), (self.added, None, self.added.n)]
        mask = bools_of(allowed, self.n)
        masks = mask[: self.base.n], mask[self.base.n :]
        return [
            (store, np.packbits(part, bitorder="little"), int(part.sum()))
            for store, part in zip((self.base, self.added), masks, strict=True)
        ]

    def _joined(self, found: list[Found]) -> Found:
        """Results of both, merged by (distance, row)."""
        distances = np.concatenate([distances for distances, _ in found], axis=-1)
        rows = np.concatenate([found[0][1], found[1][1] + self.base.n], axis=-1)
        order = np.argsort(distances, axis=-1, kind="stable")
        return np.take_along_axis(distances, order, axis=-1), np.take_along_axis(rows, order, axis=-1)


AnyStore: TypeAlias = Scan | Distinct | Tabled | Grown
"""What an index can hold."""
