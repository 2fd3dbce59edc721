"""Search a store in plain NumPy first, and with compiled scans once they are worth loading."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np
import numpy.typing as npt

from ordhash.codes import OrdinalCodes
from ordhash.index.planes import Bytes
from ordhash.index.results import Found
from ordhash.index.stores.grown import AnyStore
from ordhash.index.stores.plain import Plain
from ordhash.index.stores.store import Store, kernels

__all__ = ["Warming"]


class Warming:
    """Searches a store, and switches from plain NumPy to compiled scans when that saves time.

    Args:
        store: n codes.
        worth_loading: Distances that plain NumPy computes in about the time it takes to load the compiled scans. These
            are loaded once that many have been computed, or when one search needs that many.
        many: Above this number of codes, they are not unpacked for plain NumPy.
    """

    def __init__(
        self,
        store: AnyStore,
        *,
        worth_loading: int = 1 << 25,
        many: int = 1 << 22,
    ) -> None:
        self._store = store
        self._worth_loading, self._many = worth_loading, many
        self._computed = 0  # distances, in plain NumPy
        self._plain: Plain | None = None  # the same codes, kept between searches

    @property
    def store(self) -> AnyStore:
        """The codes."""
        return self._store

    def put(self, store: AnyStore) -> None:
        """Replace the store."""
        self._store, self._plain = store, None

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._for(queries).nearest(queries, k, allowed)

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> Found:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._for(losses).nearest_asymmetric(losses, k, allowed)

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[Found]:
        """As [Store][ordhash.index.stores.Store] says."""
        return self._for(queries).within(queries, radius, allowed)

    def warm_up(self, n_queries: int | None = None, *, progress: bool = False) -> None:
        """Load the compiled scans if a search with this many queries needs them; with None, always."""
        if n_queries is None or self._is_worth_loading(n_queries):
            kernels().warm_up(progress=progress)
            self.use_compiled()

    def use_compiled(self) -> None:
        """Search with compiled scans from now on."""
        self._computed, self._plain = self._worth_loading, None

    def _is_worth_loading(self, n_queries: int) -> bool:
        return self._computed + n_queries * self._store.n >= self._worth_loading or self._store.n >= self._many

    def _for(self, queries: Sized) -> Store:
        """The store to search with this many queries."""
        if self._is_worth_loading(len(queries)):
            self.use_compiled()
            return self._store
        self._computed += len(queries) * self._store.n
        plain = self._plain  # another thread may discard it meanwhile
        if plain is None:
            plain = self._plain = Plain(OrdinalCodes(self._store.symbols(), self._store.spec))
        return plain
