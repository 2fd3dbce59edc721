"""How the codes of an index are kept: every row in its order, or every distinct code with the rows that share it.

A learned code is shared by many images. Where codes repeat enough, distances are computed for the distinct ones alone
and each is then replaced by its rows, in their order, so that a result is the same to the last tie.

Compiled code is imported when a store is first asked: an index that is only built, or searched once, does without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ordhash.codes import OrdinalCodes
from ordhash.errors import DataError
from ordhash.index.planes import BLOCK, Bytes, PlaneCodes, planes
from ordhash.support import available_cores

__all__ = ["Distinct", "Found", "Grown", "Scan", "Store", "Tabled", "bools_of", "kernels", "store_of"]

Found = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]

_SAMPLE = 1 << 16
_MOST_MEMORY = 1.15  # times the packed codes
_MOST_CODES = 1 << 22  # distances of codes held at once
_FIRST = 64  # distinct codes that are asked for first; more follow where they have too few rows


class Store(Protocol):
    """n codes that can be searched; rows count from 0.

    ``allowed`` holds one bit for each row, the lowest of a byte first; None allows all.
    """

    @property
    def n(self) -> int:
        """Rows."""

    @property
    def n_distinct(self) -> int | None:
        """Distinct codes; None where they are not told apart."""

    @property
    def nbytes(self) -> int:
        """Memory it takes, or room on disk."""

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """Distances uint16 and rows (q, k), ordered by (distance, row); k is at most what is allowed."""

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As nearest, by asymmetric distance, float32; losses (q, n_segments, arity)."""

    def within(self, query: OrdinalCodes, radius: int, allowed: Bytes | None) -> Found:
        """Distances and rows (m,) of everything at most ``radius`` from a query, ordered by (distance, row)."""


def store_of(codes: OrdinalCodes) -> Scan | Distinct:
    """The store that suits some codes: distinct ones where a quarter or less of them are, and memory allows."""
    n, size = len(codes), codes.spec.packed_bytes
    sample = codes[:: max(1, n // _SAMPLE)]
    # Of m codes, equally often, s draws make about s * s / (2 * m) equal pairs: without these there is no need to sort.
    counts = np.diff(np.append(_order_and_starts(sample)[1], len(sample)))
    pairs = int((counts * (counts - 1) // 2).sum())
    if n < BLOCK or n * pairs < len(sample) ** 2:
        return Scan(PlaneCodes.of(codes))
    order, starts = _order_and_starts(codes)
    m = len(starts)
    if 4 * m > n or m * (size + 8) + n * 4 > _MOST_MEMORY * n * size or n > np.iinfo(np.uint32).max:
        return Scan(PlaneCodes.of(codes))
    offsets = np.append(starts, n)
    return Distinct(PlaneCodes.of(codes[order[starts]]), offsets, order.astype(np.uint32))


@dataclass(frozen=True, eq=False)
class Scan:
    """Every row in its order.

    Attributes:
        planes: n codes.
    """

    planes: PlaneCodes

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

    def within(self, query: OrdinalCodes, radius: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        found: Found = kernels().within(self.planes, query, radius, allowed=allowed)
        return found


@dataclass(frozen=True, eq=False)
class Distinct:
    """Every distinct code once, with the rows that share it.

    Attributes:
        planes: m codes, all different.
        offsets: int64 (m + 1,): where the rows of each code start.
        rows: uint32 (n,): the rows of each code, rising.
    """

    planes: PlaneCodes
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.uint32]

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

    def within(self, query: OrdinalCodes, radius: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
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
        """Fill in distances (q, k), give rows: as many codes of a query as it takes to have k rows and all equals."""
        n_queries, k = distances.shape
        rows = np.empty((n_queries, k), dtype=np.int64)
        # Codes without an allowed row would only be in the way.
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
        """Bits of the codes that have an allowed row, and how many these are."""
        has = kernels().has_allowed(self.offsets, self.rows, allowed)
        return np.packbits(has, bitorder="little"), int(has.sum())


@dataclass(frozen=True, eq=False)
class Grown:
    """The rows of a store, and behind them those that were added later.

    Attributes:
        base: The first rows.
        added: The others.
    """

    base: Scan | Distinct | Tabled
    added: Scan

    @property
    def n(self) -> int:
        """Rows."""
        return self.base.n + self.added.n

    @property
    def n_distinct(self) -> int | None:
        """Distinct codes of the first rows; None where they are not told apart."""
        return self.base.n_distinct

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.base.nbytes + self.added.nbytes

    def symbols(self) -> Bytes:
        """uint8 (n, n_segments)."""
        return np.concatenate([self.base.symbols(), self.added.symbols()])

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """uint8 (len(rows), n_segments)."""
        symbols = np.empty((len(rows), self.added.planes.spec.n_segments), dtype=np.uint8)
        later = rows >= self.base.n
        symbols[~later] = self.base.symbols_at(rows[~later])
        symbols[later] = self.added.symbols_at(rows[later] - self.base.n)
        return symbols

    def extended(self, codes: OrdinalCodes) -> Grown:
        """These rows and some more behind them."""
        return Grown(self.base, Scan(self.added.planes.extended(codes)))

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._nearest(lambda store, few, bits: store.nearest(queries, few, bits), k, allowed)

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._nearest(lambda store, few, bits: store.nearest_asymmetric(losses, few, bits), k, allowed)

    def within(self, query: OrdinalCodes, radius: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._joined([store.within(query, radius, bits) for store, bits, _ in self._parts(allowed)])

    def _nearest(self, ask: Callable[[Store, int, Bytes | None], Found], k: int, allowed: Bytes | None) -> Found:
        distances, rows = self._joined([ask(store, min(k, n), bits) for store, bits, n in self._parts(allowed)])
        return distances[:, :k], rows[:, :k]

    def _parts(self, allowed: Bytes | None) -> list[tuple[Store, Bytes | None, int]]:
        """Both stores, which of their rows are allowed, and how many."""
        if allowed is None:
            return [(self.base, None, self.base.n), (self.added, None, self.added.n)]
        mask = bools_of(allowed, self.n)
        masks = mask[: self.base.n], mask[self.base.n :]
        return [
            (store, np.packbits(part, bitorder="little"), int(part.sum()))
            for store, part in zip((self.base, self.added), masks, strict=True)
        ]

    def _joined(self, found: list[Found]) -> Found:
        """What both found, ordered by (distance, row)."""
        distances = np.concatenate([distances for distances, _ in found], axis=-1)
        rows = np.concatenate([found[0][1], found[1][1] + self.base.n], axis=-1)
        order = np.argsort(distances, axis=-1, kind="stable")
        return np.take_along_axis(distances, order, axis=-1), np.take_along_axis(rows, order, axis=-1)


@dataclass(frozen=True, eq=False)
class Tabled:
    """Every row in its order, and tables that find near ones without looking at all.

    Attributes:
        base: The rows.
        tables: The tables (ordhash.index.kernels.Tables), kept in memory.
    """

    base: Scan
    tables: Any

    @classmethod
    def of(cls, base: Scan) -> Tabled:
        """The store with tables of all its rows."""
        return cls(base, kernels().Tables.of(base.planes))

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
        """As [Store][ordhash.index.stores.Store] says; by a scan, because tables know no scores."""
        return self.base.nearest_asymmetric(losses, k, allowed)

    def within(self, query: OrdinalCodes, radius: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        budget = self._budget(1)
        found, done = kernels().walk(self.tables, query, max(1, self.n), radius, allowed=allowed, budget=budget)
        result: Found = found[0] if done[0] else self.base.within(query, radius, allowed)
        return result

    def _budget(self, n_queries: int) -> int:
        """What a query may cost until a scan is cheaper: one has all cores, a walk one of them."""
        return self.n // max(1, available_cores() // max(1, n_queries))


def bools_of(bits: Bytes, n: int) -> npt.NDArray[np.bool_]:
    """The first n bits, the lowest of a byte first."""
    return np.unpackbits(bits, count=n, bitorder="little").astype(np.bool_)


def _order_and_starts(codes: OrdinalCodes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Rows ordered by (code, row), and where each distinct code starts among them."""
    of_codes = planes(codes)
    words = np.zeros((len(codes), -(-of_codes.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : of_codes.shape[1]] = of_codes
    columns = words.view(np.uint64)
    order = np.argsort(columns[:, 0], kind="stable") if columns.shape[1] == 1 else np.lexsort(columns.T)
    ordered = columns[order]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(codes)])
    return order, starts.astype(np.int64)


def kernels() -> Any:
    """The compiled scans, imported when they are first needed."""
    from ordhash.index import kernels

    return kernels
