"""OrdinalIndex: the codes of a collection, searched exactly, kept in one file."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ordhash.checks import integer_at_least
from ordhash.codefile import (
    CodeTable,
    Keys,
    Metadata,
    codes_to_table,
    existing_file,
    table_to_codes,
)
from ordhash.codes import OrdinalCodes
from ordhash.distances import (
    Scale,
    asymmetric_distances,
    check_comparable,
    ordinal_distances,
    symbol_losses,
    top_k,
)
from ordhash.errors import DataError, InputError
from ordhash.files import StrPath, replace_file

if TYPE_CHECKING:
    from ordhash.index.kernels import PlaneCodes

__all__ = ["OrdinalIndex", "RadiusResult", "SearchResult"]

INDEX_FORMAT = "index/1"

# Compiled scans are loaded for as many distances as plain NumPy computes in about the time that loading takes.
_WORTH_LOADING = 1 << 25

# Distances held at once; queries are taken in blocks so that more queries do not take more memory.
_BLOCK_DISTANCES = 1 << 24


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The k nearest of every query, ordered by (distance, row).

    Args:
        keys: int64 or object (of str) (q, k): the user's keys.
        distances: uint16 (ordinal) or float32 (asymmetric) (q, k).
        rows: int64 (q, k): positions in the index.
    """

    keys: npt.NDArray[Any]
    distances: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RadiusResult:
    """Everything within a radius of one query, ordered by (distance, row).

    Args:
        keys: int64 or object (of str) (m,): the user's keys.
        distances: uint16 (m,).
        rows: int64 (m,): positions in the index.
    """

    keys: npt.NDArray[Any]
    distances: npt.NDArray[np.uint16]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


class OrdinalIndex:
    """An exact index of ordinal codes.

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
        self._contents = CodeTable(codes, keys, metadata, model_path)

    @property
    def codes(self) -> OrdinalCodes:
        """The n codes."""
        return self._contents.codes

    @property
    def keys(self) -> npt.NDArray[Any]:
        """int64 or object (of str) (n,), read-only."""
        return self._contents.keys

    @property
    def metadata(self) -> pa.Table | None:
        """The user's columns, n rows, or None."""
        return self._contents.metadata

    @property
    def model_id(self) -> str | None:
        """The model that made the codes; None if unknown."""
        return self.codes.model_id

    @property
    def model_path(self) -> str | None:
        """Where the file of the model was; None if unknown."""
        return self._contents.model_path

    def __len__(self) -> int:
        return len(self._contents)

    def __repr__(self) -> str:
        columns = [] if self.metadata is None else self.metadata.column_names
        return f"OrdinalIndex({self.codes!r}, metadata: {', '.join(columns) or 'none'})"

    def search(self, queries: OrdinalCodes, *, top_k: int = 10) -> SearchResult:
        """The nearest codes by ordinal distance.

        Args:
            queries: q codes of the model of the index.
            top_k: How many of each query; more than n gives n.

        Returns:
            Arrays of shape (q, min(top_k, n)); distances uint16.

        Raises:
            InputError: Codes of another model or spec, or a top_k that is not an integer of at least 0.
        """
        self._check_model(queries.model_id)
        check_comparable(queries, self.codes)
        if self._worth_loading(len(queries)):
            k = min(integer_at_least(top_k, 0, "k"), len(self))
            distances, rows = _kernels().nearest(self._planes, queries, k)
            return SearchResult(self.keys[rows], distances, rows)
        blocks = (ordinal_distances(queries[block], self.codes) for block in self._blocks(len(queries)))
        return self._nearest(blocks, top_k, np.uint16)

    def search_asymmetric(
        self,
        scores: npt.NDArray[np.floating[Any]],
        *,
        top_k: int = 10,
        of: Scale = "probabilities",
        model_id: str | None = None,
    ) -> SearchResult:
        """The nearest codes by asymmetric distance, which keeps the query's scores: finer, and as fast to encode.

        Args:
            scores: float (q, n_segments, arity), of the model of the index.
            top_k: How many of each query; more than n gives n.
            of: The scale on which losses add up, as in
                [asymmetric_distances][ordhash.distances.asymmetric_distances].
            model_id: The model that made the scores; None is not checked.

        Returns:
            Arrays of shape (q, min(top_k, n)); distances float32.

        Raises:
            InputError: Scores of another model or shape, NaN or infinite, or a wrong top_k or ``of``.
        """
        self._check_model(model_id)
        given = np.asarray(scores)
        if self._worth_loading(len(given) if given.ndim else 1):
            losses = symbol_losses(given, self.codes.spec, of=of)
            k = min(integer_at_least(top_k, 0, "k"), len(self))
            distances, rows = _kernels().nearest_asymmetric(self._planes, losses, k)
            return SearchResult(self.keys[rows], distances, rows)
        # A wrong shape, even one without a length, goes through in one piece and meets the check of the distances.
        blocks = (
            asymmetric_distances(given[block] if given.ndim else given, self.codes, of=of)
            for block in self._blocks(len(given) if given.ndim else 1)
        )
        return self._nearest(blocks, top_k, np.float32)

    def search_radius(self, queries: OrdinalCodes, *, radius: int) -> list[RadiusResult]:
        """Everything at an ordinal distance of at most ``radius``.

        Args:
            queries: q codes of the model of the index.
            radius: Segments that may differ.

        Returns:
            One result for each query; an empty one where nothing is that near.

        Raises:
            InputError: Codes of another model or spec, or a radius that is not an integer of at least 0.
        """
        self._check_model(queries.model_id)
        check_comparable(queries, self.codes)
        limit = integer_at_least(radius, 0, "radius")
        results = []
        if self._worth_loading(len(queries)):
            for row in range(len(queries)):
                distances, rows = _kernels().within(self._planes, queries[row : row + 1], limit)
                results.append(RadiusResult(self.keys[rows], distances, rows))
            return results
        for block in self._blocks(len(queries)):
            for distances in ordinal_distances(queries[block], self.codes):
                rows = np.flatnonzero(distances <= limit)
                rows = rows[np.argsort(distances[rows], kind="stable")].astype(np.int64, copy=False)
                results.append(RadiusResult(self.keys[rows], distances[rows], rows))
        return results

    def save(self, path: StrPath) -> None:
        """Write the index to one file (Arrow IPC: it opens without being read, and other programs can read it).

        An existing file is replaced only when the new one is complete.

        Args:
            path: The file.

        Raises:
            InputError: The folder does not exist.
            OSError: The file cannot be written.
        """
        table = codes_to_table(
            self.codes, self.keys, self.metadata, model_path=self.model_path, file_format=INDEX_FORMAT
        ).unify_dictionaries()  # the file format allows one dictionary for each column

        def write(file: BinaryIO) -> None:
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)

        replace_file(path, write)

    @classmethod
    def load(cls, path: StrPath) -> OrdinalIndex:
        """Open an index that [save][ordhash.index.OrdinalIndex.save] wrote.

        The file is mapped: metadata columns stay on disk until they are used, and the file must stay unchanged
        meanwhile (saving over it is safe, because that puts a new file in its place).

        Args:
            path: The file.

        Returns:
            The index.

        Raises:
            DataError: No such file, not an index, of a newer version, truncated or damaged.
        """
        source = existing_file(path)
        try:
            table = pa.ipc.open_file(pa.memory_map(str(source), "r")).read_all()
        except (pa.ArrowException, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{source} is not an index or is damaged ({reason}): build the index again") from None
        try:
            contents = table_to_codes(table, file_format=INDEX_FORMAT)
        except DataError as error:
            raise DataError(f"{source}: {error}") from None
        index = cls.__new__(cls)
        index._contents = contents
        return index

    def _check_model(self, model_id: str | None) -> None:
        if None not in (model_id, self.model_id) and model_id != self.model_id:
            raise InputError(
                f"the query was encoded by model {model_id!r} and the index by {self.model_id!r}; codes of two models "
                "cannot be compared: encode the query with the model of the index"
            )

    def _worth_loading(self, n_queries: int) -> bool:
        return "_planes" in self.__dict__ or n_queries * len(self) >= _WORTH_LOADING

    @functools.cached_property
    def _planes(self) -> PlaneCodes:
        planes: PlaneCodes = _kernels().PlaneCodes.of(self.codes)
        return planes

    def _blocks(self, n_queries: int) -> Iterator[slice]:
        size = max(1, _BLOCK_DISTANCES // max(1, len(self)))
        # At least one block, so that zero queries meet the same checks as one.
        return (slice(start, start + size) for start in range(0, max(1, n_queries), size))

    def _nearest(
        self, blocks: Iterator[npt.NDArray[Any]], k: int, dtype: type[np.uint16] | type[np.float32]
    ) -> SearchResult:
        rows, distances = [], []
        for block in blocks:
            rows.append(top_k(block, k))
            distances.append(np.take_along_axis(block, rows[-1], axis=1))
        all_rows = np.concatenate(rows)
        return SearchResult(self.keys[all_rows], np.concatenate(distances).astype(dtype, copy=False), all_rows)


def _kernels() -> Any:
    """The compiled scans, loaded when they are needed: a search of a small collection is over before they are."""
    from ordhash.index import kernels

    return kernels
