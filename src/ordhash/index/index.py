"""OrdinalIndex: the codes of a collection, searched exactly, kept in one file.

What is added later lies behind what was there, and what is deleted keeps its row until the index is saved, so a row
once given stays the same. Saving packs what is left.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ordhash.codes import (
    CodeFacts,
    CodeSpec,
    CodeTable,
    Keys,
    Metadata,
    OrdinalCodes,
    Scale,
    asymmetric_distances,
    check_comparable,
    check_same_model,
    ordinal_distances,
    symbol_losses,
    top_k,
)
from ordhash.errors import InputError
from ordhash.index.guard import Guard
from ordhash.index.items import Items, Where, key_column
from ordhash.index.planes import Bytes, PlaneCodes
from ordhash.index.results import IndexStats, RadiusResult, SearchResult
from ordhash.index.stores import Distinct, Found, Grown, Scan, Tabled, bools_of, kernels, store_of
from ordhash.support import StrPath, integer_at_least

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["OrdinalIndex"]

# Compiled scans are loaded when an index has computed as many distances in plain NumPy as take about the time that
# loading takes, or would take that many at once, or has more codes than are worth taking apart for it.
_WORTH_LOADING = 1 << 25
_MANY = 1 << 22

_METHODS: dict[type, str] = {Scan: "scan", Distinct: "distinct", Tabled: "tables"}

# Distances held at once; queries are taken in blocks so that more queries do not take more memory.
_BLOCK_DISTANCES = 1 << 24


class OrdinalIndex:
    """An exact index of ordinal codes. Threads may search it at once; a change waits for them, and they for it.

    Args:
        codes: n codes.
        keys: n different strings or integers, the user's names of the items; None numbers them from 0.
        metadata: Table of n rows, or n values by column name (``key`` and ``code`` are taken); None is none.
        model_path: Where the file of the model was, a hint for programs that encode queries later.

    Raises:
        InputError: Keys or metadata of another length, duplicate keys, or keys of another type.

    >>> codes = OrdinalCodes.from_symbols([[0, 1, 2], [0, 1, 1], [3, 3, 3]], arity=4)
    >>> index = OrdinalIndex(codes, ["a", "b", "c"])
    >>> result = index.search(codes[1:2], top_k=2)
    >>> result.keys.tolist(), result.distances.tolist()
    ([['b', 'a']], [[0, 1]])
    """

    def __init__(
        self,
        codes: OrdinalCodes,
        keys: Keys | None = None,
        metadata: Metadata | None = None,
        *,
        model_path: str | None = None,
    ) -> None:
        table = CodeTable(codes, keys, metadata, model_path)
        column = None if keys is None else key_column(table.keys)
        self._fill(store_of(codes), CodeFacts(codes.spec, codes.model_id, model_path), column, table.metadata)

    def _fill(
        self, store: Scan | Distinct, facts: CodeFacts, column: pa.ChunkedArray | None, metadata: pa.Table | None
    ) -> None:
        self._facts = facts
        self._store: Scan | Distinct | Tabled | Grown = store
        self._items = Items(store.n, column, metadata)
        self._computed = 0  # distances, in plain NumPy
        self._guard = Guard()

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self._facts.spec

    @property
    def codes(self) -> OrdinalCodes:
        """Codes of all rows, taken apart for the asking: n_segments bytes each."""
        return OrdinalCodes(self._store.symbols(), self.spec, self.model_id)

    @property
    def keys(self) -> npt.NDArray[Any]:
        """Keys of all rows, int64 or object (of str), read-only."""
        return self._items.keys

    def keys_at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Keys of some rows, in their shape: what is fast where ``keys`` of all would take long."""
        return self._items.keys_at(rows)

    @property
    def metadata(self) -> pa.Table | None:
        """The user's columns of all rows, or None."""
        return self._items.metadata

    @property
    def model_id(self) -> str | None:
        """The model that made the codes; None if unknown."""
        return self._facts.model_id

    @property
    def model_path(self) -> str | None:
        """Where the file of the model was; None if unknown."""
        return self._facts.model_path

    @property
    def n_rows(self) -> int:
        """Rows, those of deleted items among them."""
        return self._items.n

    @property
    def stats(self) -> IndexStats:
        """What the index holds and how it searches."""
        store = self._store
        return IndexStats(
            count=len(self),
            deleted=self._items.deleted,
            method=_METHODS[type(store.base if isinstance(store, Grown) else store)],
            distinct=store.n_distinct,
            nbytes=store.nbytes,
        )

    def __len__(self) -> int:
        return self._items.n - self._items.deleted

    def __repr__(self) -> str:
        columns = [] if self.metadata is None else self.metadata.column_names
        return (
            f"OrdinalIndex({len(self)} codes of {self.spec.code_bits} bits: {self.spec.n_segments} segments of arity "
            f"{self.spec.arity}, metadata: {', '.join(columns) or 'none'})"
        )

    def search(self, queries: OrdinalCodes, *, top_k: int = 10, where: Where | None = None) -> SearchResult:
        """The nearest codes by ordinal distance.

        Args:
            queries: q codes of the model of the index.
            top_k: How many of each query; more than there are gives all.
            where: Which items to search among: a mask, bool (n_rows,); some keys; or an expression over the metadata,
                as ``pyarrow.compute.field("label") == "cat"``. None is all.

        Returns:
            Arrays of shape (q, min(top_k, items)); distances uint16.

        Raises:
            InputError: Codes of another model or spec, a top_k that is not an integer of at least 0, or a ``where``
                that does not fit the index.
        """
        check_comparable(queries, self._facts, of="the index")

        def compiled(k: int, allowed: Bytes | None) -> Found:
            return self._store.nearest(queries, k, allowed)

        def plain(block: slice, codes: OrdinalCodes) -> npt.NDArray[Any]:
            return ordinal_distances(queries[block], codes)

        return self._search(len(queries), top_k, where, np.uint16, compiled, plain)

    def search_asymmetric(
        self,
        scores: npt.NDArray[np.floating[Any]],
        *,
        top_k: int = 10,
        of: Scale = "probabilities",
        model_id: str | None = None,
        where: Where | None = None,
    ) -> SearchResult:
        """The nearest codes by asymmetric distance, which keeps the query's scores: finer, and as fast to encode.

        Args:
            scores: float (q, n_segments, arity), of the model of the index.
            top_k: How many of each query; more than there are gives all.
            of: The scale on which losses add up, as in
                [asymmetric_distances][ordhash.codes.asymmetric_distances].
            model_id: The model that made the scores; None is not checked.
            where: As in [search][ordhash.index.OrdinalIndex.search].

        Returns:
            Arrays of shape (q, min(top_k, items)); distances float32.

        Raises:
            InputError: Scores of another model or shape, NaN or infinite, or a wrong top_k, ``of`` or ``where``.
        """
        check_same_model(model_id, self.model_id)
        losses = symbol_losses(scores, self.spec, of=of)

        def compiled(k: int, allowed: Bytes | None) -> Found:
            return self._store.nearest_asymmetric(losses, k, allowed)

        def plain(block: slice, codes: OrdinalCodes) -> npt.NDArray[Any]:
            return asymmetric_distances(np.asarray(scores)[block], codes, of=of)

        return self._search(len(losses), top_k, where, np.float32, compiled, plain)

    def distances(
        self,
        scores: npt.NDArray[np.floating[Any]],
        rows: npt.NDArray[np.integer[Any]],
        *,
        of: Scale = "probabilities",
        model_id: str | None = None,
    ) -> npt.NDArray[np.float32]:
        """Asymmetric distances of queries to given rows, without a search.

        They equal those of [search_asymmetric][ordhash.index.OrdinalIndex.search_asymmetric] to the last bit. Rows of
        deleted items keep their codes, so they have distances too.

        Args:
            scores: float (q, n_segments, arity), of the model of the index.
            rows: Integers (r,) from 0 to n_rows - 1, in any order.
            of: As in search_asymmetric.
            model_id: The model that made the scores; None is not checked.

        Returns:
            float32 (q, r).

        Raises:
            InputError: Scores of another model or shape, NaN or infinite, a wrong ``of``, or rows that the index does
                not have.

        >>> codes = OrdinalCodes.from_symbols([[0, 1], [1, 1], [1, 0]], arity=2)
        >>> scores = np.array([[[2.0, 0.5], [1.0, 4.0]]])
        >>> OrdinalIndex(codes).distances(scores, np.array([2, 0]), of="log-probabilities")
        array([[4.5, 0. ]], dtype=float32)
        """
        check_same_model(model_id, self.model_id)
        wanted = np.asarray(rows)
        if wanted.ndim != 1 or (wanted.size and not np.issubdtype(wanted.dtype, np.integer)):
            raise InputError(f"rows are {wanted.dtype} {wanted.shape}; allowed are integers of shape (r,)")
        with self._guard.looking():
            if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.n_rows:
                raise InputError(
                    f"rows range from {wanted.min()} to {wanted.max()}; the index has rows 0 to {self.n_rows - 1}"
                )
            symbols = self._store.symbols_at(wanted.astype(np.int64))
        return asymmetric_distances(scores, OrdinalCodes(symbols, self.spec), of=of)

    def search_radius(self, queries: OrdinalCodes, *, radius: int, where: Where | None = None) -> list[RadiusResult]:
        """Everything at an ordinal distance of at most ``radius``.

        Args:
            queries: q codes of the model of the index.
            radius: Segments that may differ.
            where: As in [search][ordhash.index.OrdinalIndex.search].

        Returns:
            One result for each query; an empty one where nothing is that near.

        Raises:
            InputError: Codes of another model or spec, a radius that is not an integer of at least 0, or a ``where``
                that does not fit the index.
        """
        check_comparable(queries, self._facts, of="the index")
        limit = integer_at_least(radius, 0, "radius")
        with self._guard.looking():
            allowed = self._items.allowed(where)
            results = []
            if self._compiled_for(len(queries)):
                for row in range(len(queries)):
                    distances, rows = self._store.within(queries[row : row + 1], limit, allowed)
                    results.append(RadiusResult(self._items.keys_at(rows), distances, rows))
                return results
            codes, among = self._plain_codes(allowed)
            for block in self._blocks(len(queries), len(codes)):
                for distances in ordinal_distances(queries[block], codes):
                    near = np.flatnonzero(distances <= limit)
                    near = near[np.argsort(distances[near], kind="stable")]
                    rows = among[near]
                    results.append(RadiusResult(self._items.keys_at(rows), distances[near], rows))
            return results

    def warm_up(self, n_queries: int | None = None, *, progress: bool = False) -> None:
        """Load the compiled scans now. The first time on a machine they are compiled, which takes about a minute.

        Args:
            n_queries: Only if a search with so many queries will use them; None in any case.
            progress: Whether to show a bar.

        >>> index = OrdinalIndex(OrdinalCodes.from_symbols([[0, 1, 2]], arity=4))
        >>> index.warm_up(1)  # a search of one code is over before they are loaded
        """
        if n_queries is not None and not self._is_worth_loading(n_queries):
            return
        kernels().warm_up(progress=progress)
        self._computed = _WORTH_LOADING

    def build_tables(self) -> None:
        """Build tables that find near items of a large collection without looking at every code; results stay exact.

        They are kept in memory and not saved, and take m (b + 4) bytes a code, b bytes being that of a code and m about
        code_bits / log2(n / 256): 30 bytes for 100 million codes of 48 bits, and many times the codes themselves where
        codes are long. They serve ordinal distance. A query whose nearest items are so far that the tables would cost
        more than looking at every code is answered by that. Where distinct codes are kept, which are few, there is
        nothing to build. Items that are added later are in no table and are looked at one by one, until this is called
        again.

        Raises:
            InputError: More items than tables can number, 4 294 967 295.
        """
        with self._guard.changing():
            store = self._store
            base, added = (store.base, store.added) if isinstance(store, Grown) else (store, None)
            if isinstance(base, Distinct):
                return
            scan = base.base if isinstance(base, Tabled) else base
            if added is not None:
                more = OrdinalCodes(added.symbols(), self.spec, self.model_id)
                scan = Scan(scan.planes.extended(more))
            if scan.n > np.iinfo(np.uint32).max:
                raise InputError(f"the index has {scan.n} items and tables number at most {np.iinfo(np.uint32).max}")
            self._store = Tabled.of(scan)
            self._computed = _WORTH_LOADING

    def add(self, codes: OrdinalCodes, keys: Keys | None = None, metadata: Metadata | None = None) -> None:
        """Add items behind those that are there; no code is moved.

        The first time that items with keys of their own are added or deleted, a dictionary of all keys is made.

        Args:
            codes: m codes of the model of the index.
            keys: m new keys, of the type that the index has; None goes on numbering, where it numbers its items itself.
            metadata: The columns that the index has, m rows.

        Raises:
            InputError: Codes of another model or spec, keys that are there already or of another type, or other
                columns.
        """
        check_comparable(codes, self._facts, what="the codes", of="the index")
        with self._guard.changing():
            old = self._store
            # Before the items: without room for the codes, nothing is changed.
            store = old.extended(codes) if isinstance(old, Grown) else Grown(old, Scan(PlaneCodes.of(codes)))
            self._items.add(CodeTable(codes, keys, metadata), numbered=keys is None)
            self._store = store
            self._facts = dataclasses.replace(self._facts, model_id=self.model_id or codes.model_id)
            self.__dict__.pop("_apart", None)

    def delete(self, keys: Keys) -> None:
        """Delete items: they are found no more, and a saved index is without them.

        Args:
            keys: Their keys.

        Raises:
            InputError: A key that is not there; then nothing is deleted.
        """
        with self._guard.changing():
            self._items.delete(keys)

    def save(self, path: StrPath) -> None:
        """Write the items to one file (Arrow IPC, as [indexfile][ordhash.index.indexfile] says).

        An existing file is replaced only when the new one is complete.

        Args:
            path: The file.

        Raises:
            InputError: The folder does not exist.
            OSError: The file cannot be written.
        """
        from ordhash.index.indexfile import IndexContents, write_index

        with self._guard.looking():
            store, keys, metadata = self._store, self._items.column, self._items.metadata
            if isinstance(store, Tabled):
                store = store.base
            if self._items.deleted or isinstance(store, Grown):
                rows = self._items.live_rows()
                store = store_of(self.codes[rows])
                if self._items.deleted:
                    keys = key_column(self.keys[rows])  # numbers, too: they are the items' names by now
                    metadata = None if metadata is None else metadata.take(rows)
            write_index(path, IndexContents(store, self._facts, keys, metadata))

    @classmethod
    def load(cls, path: StrPath) -> OrdinalIndex:
        """Open an index that [save][ordhash.index.OrdinalIndex.save] wrote.

        The file is mapped: codes stay on disk until they are used, several processes share what is used, and the file
        must stay unchanged meanwhile (saving over it is safe, because that puts a new file in its place).

        Args:
            path: The file.

        Returns:
            The index.

        Raises:
            DataError: No such file, not an index, of another version, truncated or damaged.
        """
        from ordhash.index.indexfile import read_index

        contents = read_index(path)
        index = cls.__new__(cls)
        index._fill(contents.store, contents.facts, contents.keys, contents.metadata)
        return index

    def _search(
        self,
        n_queries: int,
        wanted: int,
        where: Where | None,
        dtype: type[np.uint16] | type[np.float32],
        compiled: Callable[[int, Bytes | None], Found],
        plain: Callable[[slice, OrdinalCodes], npt.NDArray[Any]],
    ) -> SearchResult:
        k = integer_at_least(wanted, 0, "top_k")
        with self._guard.looking():
            allowed = self._items.allowed(where)
            if where is None or allowed is None:
                k = min(k, len(self))
            else:
                k = min(k, int(bools_of(allowed, self.n_rows).sum()))
            if self._compiled_for(n_queries):
                distances, rows = compiled(k, allowed)
            else:
                codes, among = self._plain_codes(allowed)
                distances, rows = np.empty((n_queries, k), dtype=dtype), np.empty((n_queries, k), dtype=np.int64)
                for block in self._blocks(n_queries, len(codes)):
                    every = plain(block, codes)
                    nearest = top_k(every, k)
                    distances[block] = np.take_along_axis(every, nearest, axis=1)
                    rows[block] = among[nearest]
            return SearchResult(self._items.keys_at(rows), distances, rows)

    def _is_worth_loading(self, n_queries: int) -> bool:
        return self._computed + n_queries * self.n_rows >= _WORTH_LOADING or self.n_rows >= _MANY

    def _compiled_for(self, n_queries: int) -> bool:
        """Whether a search with so many queries uses compiled scans, which the next ones then do as well."""
        if not self._is_worth_loading(n_queries):
            self._computed += n_queries * self.n_rows
            return False
        self._computed = _WORTH_LOADING
        self.__dict__.pop("_apart", None)
        return True

    def _blocks(self, n_queries: int, n_codes: int) -> Iterator[slice]:
        size = max(1, _BLOCK_DISTANCES // max(1, n_codes))
        return (slice(start, start + size) for start in range(0, n_queries, size))

    @functools.cached_property
    def _apart(self) -> OrdinalCodes:
        return self.codes

    def _plain_codes(self, allowed: Bytes | None) -> tuple[OrdinalCodes, npt.NDArray[np.int64]]:
        """Codes that are allowed, and their rows."""
        if allowed is None:
            return self._apart, np.arange(self.n_rows)
        rows = np.flatnonzero(bools_of(allowed, self.n_rows))
        return self._apart[rows], rows
