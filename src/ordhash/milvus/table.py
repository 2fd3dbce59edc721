"""One collection of a Milvus server: rows of codes, keys and metadata, brought in step, read and searched."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pymilvus import DataType, MilvusClient

from ordhash.codes import CodeFacts, CodeTable, OrdinalCodes, check_comparable, key_array
from ordhash.errors import DataError, InputError, ServerError, did_you_mean
from ordhash.index import Condition
from ordhash.milvus.description import Description
from ordhash.milvus.entities import CODE, DIGEST, DIGESTS, KEY, Columns, any_of, digests_of, entities_of
from ordhash.milvus.requests import ask
from ordhash.milvus.simplex import codes_of_simplex, ordinal_distances_of, simplex_bits, simplex_of
from ordhash.search import Answer, answers_of, values_of
from ordhash.support import progress_bar

__all__ = ["MOST_ROWS", "ROWS_A_READ", "MilvusTable", "TableReport"]

MOST_ROWS = 16_384
"""Rows that Milvus gives in one answer at most."""

ROWS_A_READ = 12_000
"""Rows of a read on average: few enough that answers hardly ever reach ``MOST_ROWS`` by chance."""

_ROWS_A_BATCH = 2_048
_BYTES_A_BATCH = 8 << 20  # the server refuses messages of more than 64 MB
_QUERIES_A_BATCH = 256
_T = TypeVar("_T")


@dataclass(frozen=True)
class TableReport:
    """What a push did to a collection of Milvus.

    Attributes:
        upserted: Rows that were new or had changed.
        deleted: Rows that were missing in the table.
        unchanged: Rows that were up to date.
    """

    upserted: int
    deleted: int
    unchanged: int


class MilvusTable:
    """A collection of a server.

    Args:
        client: Of the server.
        shown: The server's address, for messages.
        name: Of the collection.
        level: Milvus' name of the consistency of searches.
        timeout: Seconds for which a request is tried again while the server cannot be reached.
    """

    def __init__(self, client: MilvusClient, shown: str, name: str, *, level: str, timeout: float) -> None:
        self.name = name
        self._client, self._shown, self._level, self._timeout = client, shown, level, timeout
        self._known: Description | None = None

    def describe(self) -> Description:
        """What is known about the collection.

        Raises:
            InputError: The collection does not exist, or was not made by ordhash.
            ServerError: The server cannot be reached.
        """
        if self._known is None:
            if not self.exists():
                known = self._ask(lambda: self._client.list_collections(timeout=self._timeout))
                raise InputError(
                    f"there is no {self._place}; push it there with `ordhash push`{did_you_mean(self.name, known)}"
                )
            self._known = Description.of_text(self._description()["description"], self._place)
        return self._known

    def __len__(self) -> int:
        self.describe()  # refuses collections that ordhash did not make
        return self._count()

    def exists(self) -> bool:
        """Whether the server has a collection of that name."""
        return bool(self._ask(lambda: self._client.has_collection(self.name, timeout=self._timeout)))

    def drop(self) -> None:
        """Remove the collection.

        Raises:
            InputError: It was not made by ordhash.
        """
        self.describe()  # refuses collections that ordhash did not make
        self._ask(lambda: self._client.drop_collection(self.name, timeout=self._timeout))
        self._known = None

    def push(
        self,
        table: CodeTable,
        *,
        columns: Columns | None = None,
        source: str | None = None,
        replace: bool = False,
        progress: bool = False,
    ) -> TableReport:
        """Make the collection hold exactly these rows.

        Args:
            table: The rows; their parts are not looked at.
            columns: How their metadata are kept, if the collection is made; None decides by the values.
            source: As in [MilvusIndex][ordhash.milvus.MilvusIndex].
            replace: As there.
            progress: As there.

        Raises:
            InputError: As there.
            ServerError: As there.
        """
        key_array(table.keys, pa.string())  # refuses what is not valid Unicode
        facts = CodeFacts(table.codes.spec, table.codes.model_id, table.model_path)
        wanted, digests = Description(facts, columns or Columns.of(table.metadata), source), None
        there = self.exists()
        self._known = None
        if there:
            self.describe()  # refuses collections that ordhash did not make
            try:
                held_columns = self._check_same(wanted, table.keys.dtype)
                digests = digests_of(table, held_columns)
                wanted = dataclasses.replace(wanted, columns=held_columns)
            except InputError:
                if not replace:
                    raise
                digests = digests_of(table, wanted.columns)  # what cannot be kept is refused before anything is deleted
                self.drop()
                there = False
        if digests is None:
            digests = digests_of(table, wanted.columns)
        if not there:
            self._create(wanted, table.keys.dtype)
            self._known = None
        self._load()
        held = {row[KEY]: row[DIGEST] for rows in self._read([KEY, DIGEST]) for row in rows}
        new = [row for row, key in enumerate(table.keys.tolist()) if held.pop(key, None) != digests[row]]
        changes: list[tuple[int, Callable[[], object]]] = []
        for block in _blocks(np.array(new, np.int64), _ROWS_A_BATCH):
            changes.append((len(block), functools.partial(self._upsert, table, wanted.columns, block)))
        for keys in _blocks(list(held), _ROWS_A_BATCH):
            changes.append((len(keys), functools.partial(self._delete, keys)))
        done, total = 0, len(new) + len(held)
        with progress_bar(f"Pushing {self.name}", total, show=progress) as advance:
            for size, change in changes:
                try:
                    self._ask(change)
                except ServerError as error:
                    raise ServerError(f"{done} of {total} rows were written: {error}") from error
                done += size
                advance(size)
        if changes:
            self._ask(lambda: self._client.flush(self.name, timeout=self._timeout))
        return TableReport(len(new), len(held), len(table) - len(new))

    def nearest(
        self, codes: OrdinalCodes, *, top_k: int, conditions: Sequence[Condition] = ()
    ) -> list[tuple[Answer, ...]]:
        """The nearest rows of every query by ordinal distance, nearest first, ties by key.

        Args:
            codes: q codes of the model of the collection.
            top_k: How many of each query, at most ``MOST_ROWS``.
            conditions: As in [MilvusIndex][ordhash.milvus.MilvusIndex].

        Raises:
            InputError: Codes of another model or spec, or a condition that does not fit.
            ServerError: The server cannot be reached.
        """
        known = self.describe()
        facts, columns = known.facts, known.columns
        check_comparable(codes, facts, of=self._place)
        where = columns.expression(conditions)
        vectors = [row.tobytes() for row in simplex_of(codes)]
        hits = []
        for some in _blocks(vectors, _QUERIES_A_BATCH):
            search = functools.partial(
                self._client.search,
                self.name,
                data=some,
                anns_field=CODE,
                limit=top_k,
                filter=where,
                output_fields=["*"],
                consistency_level=self._level,
                timeout=self._timeout,
            )
            found = list(self._ask(search)) or [[] for _ in some]  # an empty collection gives no lists
            hits += [self._answers(rows, columns, facts) for rows in found]
        return hits

    def pull(self, *, progress: bool = False) -> CodeTable:
        """Everything the collection holds, in the order of the keys.

        Args:
            progress: Whether to show a bar.

        Raises:
            InputError: The collection does not exist, or was not made by ordhash.
            DataError: It holds an invalid code.
            ServerError: The server cannot be reached.
        """
        known = self.describe()
        facts, columns = known.facts, known.columns
        self._load()
        rows: list[dict[str, Any]] = []
        with progress_bar(f"Pulling {self.name}", self._count(), show=progress) as advance:
            for some in self._read(["*"]):
                rows += some
                advance(len(some))
        rows.sort(key=lambda row: row[KEY])
        simplex = np.frombuffer(b"".join(row[CODE][0] for row in rows), np.uint8)
        try:
            codes = codes_of_simplex(
                simplex.reshape(len(rows), simplex_bits(facts.spec) // 8), facts.spec, model_id=facts.model_id
            )
        except InputError as error:
            raise DataError(f"{self._place} holds invalid codes ({error}); push them again") from None
        return CodeTable(codes, [row[KEY] for row in rows] if rows else None, columns.metadata(rows), facts.model_path)

    @property
    def _place(self) -> str:
        return f"{self.name} at {self._shown}"

    def _ask(self, request: Callable[[], _T]) -> _T:
        return ask(request, self._shown, self._timeout, load=self._load_again)

    def _load_again(self) -> None:
        self._client.load_collection(self.name, timeout=self._timeout)

    def _upsert(self, table: CodeTable, columns: Columns, rows: npt.NDArray[np.int64]) -> None:
        entities = entities_of(table, columns, rows)
        # Long texts in the metadata could make a batch larger than what the server takes.
        size = max(1, _BYTES_A_BATCH // max(len(repr(entity)) for entity in entities))
        for some in _blocks(entities, size):
            self._client.upsert(self.name, some, timeout=self._timeout)

    def _delete(self, keys: Sequence[Any]) -> None:
        self._client.delete(self.name, filter=any_of(keys), timeout=self._timeout)

    def _create(self, described: Description, keys: np.dtype[Any]) -> None:
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=True, description=described.to_text())
        described.add_fields(schema, keys)
        create = functools.partial(self._client.create_collection, schema=schema, consistency_level=self._level)
        self._ask(lambda: create(self.name, timeout=self._timeout))

    def _load(self) -> None:
        """Make the collection searchable, also if its creation was interrupted."""
        indexed = self._ask(lambda: self._client.list_indexes(self.name))
        for field, kind, more in ((CODE, "BIN_FLAT", {"metric_type": "HAMMING"}), (DIGEST, "STL_SORT", {})):
            if field not in indexed:
                params = self._client.prepare_index_params()
                params.add_index(field, index_type=kind, index_name=field, **more)
                self._ask(functools.partial(self._client.create_index, self.name, params, timeout=self._timeout))
        self._ask(lambda: self._client.load_collection(self.name, timeout=self._timeout))

    def _description(self) -> dict[str, Any]:
        return self._ask(lambda: self._client.describe_collection(self.name, timeout=self._timeout))

    def _check_same(self, wanted: Description, keys: np.dtype[Any]) -> Columns:
        """The columns of the collection that is there, if these codes can be part of it."""
        held = self.describe()
        otherwise = "give another name, or --replace to rebuild the collection"
        if None not in (wanted.source, held.source) and wanted.source != held.source:
            raise InputError(f"{self._place} was pushed from {held.source}, not from {wanted.source}; {otherwise}")
        if held.facts.spec != wanted.facts.spec:
            raise InputError(f"{self._place} has {held.facts.spec} and these codes {wanted.facts.spec}; {otherwise}")
        if held.facts.model_id != wanted.facts.model_id:  # unknown models too: later pushes could not check
            raise InputError(
                f"{self._place} is of model {held.facts.model_id!r} and these codes of {wanted.facts.model_id!r}; "
                f"{otherwise}"
            )
        if not held.columns.schema.equals(wanted.columns.schema):
            raise InputError(
                f"{self._place} has the columns {held.columns} and these codes {wanted.columns}; {otherwise}"
            )
        key = next(field for field in self._description()["fields"] if field["name"] == KEY)
        numbers = key["type"] == DataType.INT64
        if numbers != (keys == np.int64):
            kinds = ("strings", "integers")
            raise InputError(f"the keys of {self._place} are {kinds[numbers]} and these are not; {otherwise}")
        return held.columns

    def _count(self) -> int:
        return int(self._query("", ["count(*)"])[0]["count(*)"])

    def _query(self, condition: str, fields: list[str], **more: Any) -> list[dict[str, Any]]:
        """Rows that meet a condition, every write seen."""
        query = functools.partial(self._client.query, self.name, filter=condition, output_fields=fields, **more)
        return list(self._ask(lambda: query(consistency_level="Strong", timeout=self._timeout)))

    def _read(self, fields: list[str]) -> Iterator[list[dict[str, Any]]]:
        """All rows, in parts, each once.

        By ranges of digests, which are spread evenly: the client's own iterator goes by keys that it does not escape,
        and ends early at one with a quotation mark.
        """
        parts = max(1, -(-self._count() // ROWS_A_READ))
        edges = [DIGESTS * part // parts for part in range(parts + 1)]
        for first, last in itertools.pairwise(edges):
            yield from self._between(first, last - 1, fields)

    def _between(self, first: int, last: int, fields: list[str]) -> Iterator[list[dict[str, Any]]]:
        """Rows with digests from ``first`` to ``last``."""
        rows = self._query(f"{DIGEST} >= {first} and {DIGEST} <= {last}", fields, limit=MOST_ROWS)
        if len(rows) < MOST_ROWS:
            yield rows
            return
        middle = (first + last) // 2
        yield from self._between(first, middle, fields)
        yield from self._between(middle + 1, last, fields)

    def _answers(self, rows: Iterable[dict[str, Any]], columns: Columns, facts: CodeFacts) -> tuple[Answer, ...]:
        ordered = sorted(rows, key=lambda row: (row["distance"], row["entity"][KEY]))
        entities = [dict(row["entity"]) for row in ordered]
        metadata = columns.metadata(entities)
        distances = ordinal_distances_of([row["distance"] for row in ordered], facts.spec)
        rows_of_metadata = [{} for _ in entities] if metadata is None else values_of(metadata)
        return answers_of([entity[KEY] for entity in entities], distances, rows_of_metadata)


def _blocks(items: Any, size: int) -> Iterator[Any]:
    return (items[start : start + size] for start in range(0, len(items), size))
