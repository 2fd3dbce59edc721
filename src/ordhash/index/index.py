"""OrdinalIndex: codes with keys and metadata, searched exactly, kept in one file.

Items are appended, and deleted ones keep their rows until the index is saved, so row numbers are stable.
"""

from __future__ import annotations

import dataclasses
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
    PartCodes,
    Scale,
    check_comparable,
    check_same_model,
    sums_of_losses,
    symbol_losses,
)
from ordhash.index.items import Items, Where, key_column
from ordhash.index.lock import SharedLock
from ordhash.index.parts import FoundWithBoxes, PartArrays, PartStore, checked
from ordhash.index.planes import Bytes
from ordhash.index.results import Found, IndexStats, RadiusResult, SearchResult
from ordhash.index.stores import Grown, Warming, bools_of, store_of, with_tables
from ordhash.support import StrPath, integer_at_least

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["OrdinalIndex"]


class OrdinalIndex:
    """An exact index of ordinal codes. Threads may search it at the same time; changes wait for running searches.

    Args:
        codes: n codes.
        keys: n distinct strings or integers, the user's names of the items; None numbers them from 0.
        metadata: As in [CodeTable][ordhash.codes.CodeTable].
        model_path: Path of the model file, a hint for programs that encode queries later.
        parts: Codes of parts of the items, which searches may take into account; None keeps none.

    Raises:
        InputError: As CodeTable.

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
        parts: PartCodes | None = None,
    ) -> None:
        table = CodeTable(codes, keys, metadata, model_path, parts)
        column = None if keys is None else key_column(table.keys)
        facts = CodeFacts(codes.spec, table.codes.model_id, model_path)
        self._fill(Warming(store_of(codes)), facts, column, table.metadata)
        self._parts = None if parts is None else PartStore(self._warming, PartArrays.of(parts))

    def _fill(
        self, warming: Warming, facts: CodeFacts, column: pa.ChunkedArray | None, metadata: pa.Table | None
    ) -> None:
        self._facts, self._warming = facts, warming
        self._items = Items(warming.store.n, column, metadata)
        self._lock = SharedLock()

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self._facts.spec

    @property
    def codes(self) -> OrdinalCodes:
        """Codes of all rows, unpacked on every access to n_segments bytes each."""
        return OrdinalCodes(self._warming.store.symbols(), self.spec, self.model_id)

    @property
    def parts(self) -> PartCodes | None:
        """Codes of the parts of all rows, unpacked on every access; None if the index keeps none."""
        return None if self._parts is None else self._parts.parts(self.model_id)

    @property
    def keys(self) -> npt.NDArray[Any]:
        """Keys of all rows, int64 or object (of str), read-only."""
        return self._items.keys

    def keys_at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Keys of some rows, in their shape; faster than ``keys`` of all."""
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
        """Path of the model file; None if unknown."""
        return self._facts.model_path

    @property
    def n_rows(self) -> int:
        """Number of rows, including those of deleted items."""
        return self._items.n

    @property
    def stats(self) -> IndexStats:
        """Contents of the index, and how it searches."""
        store, parts = self._warming.store, self._parts
        nbytes, n_parts = (store.nbytes, None) if parts is None else (store.nbytes + parts.nbytes, len(parts))
        return IndexStats(len(self), self._items.deleted, store.method, store.n_distinct, nbytes, n_parts)

    def __len__(self) -> int:
        return self._items.n - self._items.deleted

    def __repr__(self) -> str:
        columns = [] if self.metadata is None else self.metadata.column_names
        return (
            f"OrdinalIndex({len(self)} codes of {self.spec.code_bits} bits: {self.spec.n_segments} segments of arity "
            f"{self.spec.arity}, metadata: {', '.join(columns) or 'none'})"
        )

    def search(
        self, queries: OrdinalCodes, *, top_k: int = 10, where: Where | None = None, parts: bool = False
    ) -> SearchResult:
        """The nearest codes by ordinal distance.

        Args:
            queries: q codes of the model of the index.
            top_k: Results for each query, at most all items.
            where: Items to search: a mask, bool (n_rows,); some keys; or an expression over the metadata, such as
                ``pyarrow.compute.field("label") == "cat"``. None means all.
            parts: Whether an item is as near as its nearest part, if one is nearer than its own code.

        Returns:
            Arrays of shape (q, min(top_k, items)); distances uint16.

        Raises:
            InputError: Codes of another model or spec, a top_k that is not an integer of at least 0, or a ``where``
                that does not fit the index.
        """
        check_comparable(queries, self._facts, of="the index")
        k = integer_at_least(top_k, 0, "top_k")
        with self._lock.looking():
            allowed, n = self._allowed(where)
            return self._result(self._searched(parts).nearest(queries, min(k, n), allowed))

    def search_asymmetric(
        self,
        scores: npt.NDArray[np.floating[Any]],
        *,
        top_k: int = 10,
        of: Scale = "probabilities",
        model_id: str | None = None,
        where: Where | None = None,
        parts: bool = False,
    ) -> SearchResult:
        """The nearest codes by asymmetric distance, which uses the query's scores: finer, and as fast to encode.

        Args:
            scores: float (q, n_segments, arity), of the model of the index.
            top_k: Results for each query, at most all items.
            of: The scale on which losses add up, as in
                [asymmetric_distances][ordhash.codes.asymmetric_distances].
            model_id: The model that made the scores; None is not checked.
            where: As in [search][ordhash.index.OrdinalIndex.search].
            parts: As there.

        Returns:
            Arrays of shape (q, min(top_k, items)); distances float32.

        Raises:
            InputError: Scores of another model or shape, NaN or infinite, or a wrong top_k, ``of`` or ``where``.
        """
        check_same_model(model_id, self.model_id)
        losses = symbol_losses(scores, self.spec, of=of)
        k = integer_at_least(top_k, 0, "top_k")
        with self._lock.looking():
            allowed, n = self._allowed(where)
            return self._result(self._searched(parts).nearest_asymmetric(losses, min(k, n), allowed))

    def distances(
        self,
        scores: npt.NDArray[np.floating[Any]],
        rows: npt.NDArray[np.integer[Any]],
        *,
        of: Scale = "probabilities",
        model_id: str | None = None,
        parts: bool = False,
    ) -> npt.NDArray[np.float32]:
        """Asymmetric distances of queries to given rows.

        Bit-identical to those of [search_asymmetric][ordhash.index.OrdinalIndex.search_asymmetric]. Rows of deleted
        items keep their codes, so they have distances too.

        Args:
            scores: float (q, n_segments, arity), of the model of the index.
            rows: Integers (r,) from 0 to n_rows - 1, in any order.
            of: As in search_asymmetric.
            model_id: The model that made the scores; None is not checked.
            parts: As in search.

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
        losses = symbol_losses(scores, self.spec, of=of)
        with self._lock.looking():
            wanted = self._items.checked_rows(rows)
            symbols = self._warming.store.symbols_at(wanted)
            found = sums_of_losses(losses, OrdinalCodes(symbols, self.spec))
            return checked(self._parts).distances(found, losses, wanted) if parts else found

    def search_radius(
        self, queries: OrdinalCodes, *, radius: int, where: Where | None = None, parts: bool = False
    ) -> list[RadiusResult]:
        """All items at an ordinal distance of at most ``radius``.

        Args:
            queries: q codes of the model of the index.
            radius: Segments that may differ.
            where: As in [search][ordhash.index.OrdinalIndex.search].
            parts: As there.

        Returns:
            One result for each query, possibly empty.

        Raises:
            InputError: Codes of another model or spec, a radius that is not an integer of at least 0, or a ``where``
                that does not fit the index.
        """
        check_comparable(queries, self._facts, of="the index")
        limit = integer_at_least(radius, 0, "radius")
        with self._lock.looking():
            every = self._searched(parts).within(queries, limit, self._items.allowed(where))
            return [RadiusResult(self._items.keys_at(found[1]), *found) for found in every]

    def warm_up(self, n_queries: int | None = None, *, progress: bool = False) -> None:
        """Load the compiled scans now. The first time on a machine they are compiled, which takes about a minute.

        Args:
            n_queries: Load them only if a search with this many queries needs them; None always loads them.
            progress: Whether to show a bar.

        >>> index = OrdinalIndex(OrdinalCodes.from_symbols([[0, 1, 2]], arity=4))
        >>> index.warm_up(1)  # one code is searched faster than they load
        """
        self._warming.warm_up(n_queries, progress=progress)
        if self._parts is not None:
            self._parts.warm_up(n_queries, progress=progress)

    def build_tables(self) -> None:
        """Build tables that find near items of a large index without comparing every code; results stay exact.

        They are kept in memory, not saved, and take m (b + 4) bytes a code, with codes of b bytes and m about
        code_bits / log2(n / 256): 30 bytes for 100 million codes of 48 bits, and many times the codes themselves if
        these are long. They serve ordinal distance only. Queries whose nearest items are so far that the tables would
        cost more than a scan are scanned. An index of distinct codes needs no tables, since these are few. Items added
        later are not in the tables and are compared one by one, until this is called again.

        Raises:
            InputError: More items than tables can number, 4 294 967 295.
        """
        with self._lock.changing():
            store = with_tables(self._warming.store)
            if store is not self._warming.store:
                self._warming.put(store)
                self._warming.use_compiled()

    def add(
        self,
        codes: OrdinalCodes,
        keys: Keys | None = None,
        metadata: Metadata | None = None,
        *,
        parts: PartCodes | None = None,
    ) -> None:
        """Append items; existing codes are not moved.

        The first change of an index with keys builds a dictionary of all keys.

        Args:
            codes: m codes of the model of the index.
            keys: m new keys, of the type that the index has; None continues the numbering of an index without keys.
            metadata: The columns that the index has, m rows.
            parts: Codes of parts of the items, if the index keeps parts; None if they have none.

        Raises:
            InputError: Codes of another model or spec, existing keys or keys of another type, other columns, or parts
                for an index that keeps none.
        """
        table = CodeTable(codes, keys, metadata, parts=parts)
        with self._lock.changing():
            check_comparable(table.codes, self._facts, what="the codes", of="the index")
            # Before the items, so that nothing changes if memory runs out.
            store, n = Grown.of(self._warming.store, codes), self.n_rows
            kept = None if parts is None else checked(self._parts)
            self._items.add(table, numbered=keys is None)
            self._warming.put(store)
            if kept is not None and parts is not None:
                kept.add(parts, n)
            self._facts = dataclasses.replace(self._facts, model_id=self.model_id or table.codes.model_id)

    def delete(self, keys: Keys) -> None:
        """Delete items: searches no longer find them, and saving leaves them out.

        Args:
            keys: Their keys.

        Raises:
            InputError: A key does not exist; then nothing is deleted.
        """
        with self._lock.changing():
            self._items.delete(keys)

    def save(self, path: StrPath) -> None:
        """Write the items to one file (Arrow IPC, see [indexfile][ordhash.index.indexfile]).

        An existing file is replaced only when the new one is complete.

        Raises:
            InputError: The folder does not exist.
            OSError: The file cannot be written.
        """
        from ordhash.index.indexfile import packed_contents, write_index

        with self._lock.looking():
            write_index(path, packed_contents(self._warming.store, self._facts, self._items, self._parts))

    @classmethod
    def load(cls, path: StrPath) -> OrdinalIndex:
        """Open an index that [save][ordhash.index.OrdinalIndex.save] wrote.

        The file is mapped: codes are read when they are used, and processes share them. The file must not change
        meanwhile; saving over it is safe, because that puts a new file in its place.

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
        index._fill(Warming(contents.store), contents.facts, contents.keys, contents.metadata)
        index._parts = None if contents.parts is None else PartStore(index._warming, contents.parts)
        return index

    def _allowed(self, where: Where | None) -> tuple[Bytes | None, int]:
        """Bit mask of the allowed rows, None for all, and the number of allowed items."""
        allowed = self._items.allowed(where)
        return allowed, len(self) if where is None or allowed is None else int(bools_of(allowed, self.n_rows).sum())

    def _searched(self, parts: bool) -> Warming | PartStore:
        return checked(self._parts) if parts else self._warming

    def _result(self, found: Found | FoundWithBoxes) -> SearchResult:
        return SearchResult(self._items.keys_at(found[1]), *found)
