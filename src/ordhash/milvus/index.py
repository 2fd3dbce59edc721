"""Serving from Milvus, with codes as bits whose Hamming distance ranks as the ordinal distance does."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from pymilvus import MilvusClient

from ordhash.codes import MOST_PARTS, CodeFacts, CodeTable, OrdinalCodes
from ordhash.errors import InputError
from ordhash.index import Condition
from ordhash.milvus.parts import BOX, columns_of_parts, merged, parts_of_table, table_of_parts
from ordhash.milvus.requests import one_sentence
from ordhash.milvus.table import MOST_ROWS, MilvusTable, TableReport
from ordhash.search import Answer
from ordhash.support import integer_at_least, without_password

__all__ = ["Consistency", "MilvusIndex", "PushReport", "collection_name"]

Consistency: TypeAlias = Literal["strong", "bounded", "session", "eventually"]

_OF_PARTS = "__parts"  # ends the name of the collection that holds them


@dataclass(frozen=True)
class PushReport(TableReport):
    """What was done to a collection of Milvus.

    Attributes:
        upserted: Rows that were new or had changed.
        deleted: Rows that were missing in the table.
        unchanged: Rows that were up to date.
        parts: Codes of parts that are held now; None without.
    """

    parts: int | None = None


class MilvusIndex:
    """Codes in a collection of a Milvus server, and codes of parts in another beside it.

    The server looks at every code (BIN_FLAT), so what it finds is exact, as in an
    [OrdinalIndex][ordhash.index.OrdinalIndex]; only the choice among equally distant items at the end may differ.

    Args:
        uri: Of the server, as http://localhost:19530.
        name: Of the collection: letters, digits and underscores.
        token: "user:password" or a key, for servers that require one.
        consistency: Which writes a search sees: "strong" all that were acknowledged before it, "bounded" all but those
            of the last seconds, "session" at least those of this process, "eventually" what has arrived. The last ones
            wait for less.
        timeout: Seconds for which a request is tried again while the server cannot be reached.

    Raises:
        InputError: A wrong URI or name.
        ServerError: The server cannot be reached.

    Example::

        index = MilvusIndex("http://localhost:19530", "photos")
        index.push(read_codes("codes.parquet"))
        index.nearest(query.codes, top_k=10)
    """

    def __init__(
        self,
        uri: str,
        name: str,
        *,
        token: str = "",
        consistency: Consistency = "strong",
        timeout: float = 60.0,
    ) -> None:
        shown = without_password(uri)
        if not _is_server(uri):
            raise InputError(f"the server is {shown!r}; give its address, as http://localhost:19530")
        if name != collection_name(name):
            raise InputError(
                f"the name is {name!r}; give letters, digits and underscores, as {collection_name(name)!r}"
            )
        if consistency not in get_args(Consistency):
            raise InputError(f"consistency is {consistency!r}; allowed are {', '.join(get_args(Consistency))}")
        self.uri, self.name, self._shown = uri, name, shown
        # It also raises what it logs.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        with one_sentence(shown):
            self._client = MilvusClient(uri=uri, token=token, timeout=timeout)
        level = consistency.capitalize()
        self._whole, self._parts = (
            MilvusTable(self._client, shown, of, level=level, timeout=timeout) for of in (name, name + _OF_PARTS)
        )

    def __repr__(self) -> str:
        return f"MilvusIndex({self._shown}, {self.name})"

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    @property
    def facts(self) -> CodeFacts:
        """What the codes mean.

        Raises:
            InputError: The collection does not exist, or was not made by ordhash.
            ServerError: The server cannot be reached.
        """
        return self._whole.describe().facts

    def __len__(self) -> int:
        return len(self._whole)

    def push(
        self, table: CodeTable, *, source: str | None = None, replace: bool = False, progress: bool = False
    ) -> PushReport:
        """Make the collection hold exactly these codes: new and changed rows are written, missing ones deleted.

        After an interruption the next push continues: rows that arrived are recognised and not sent again.

        Args:
            table: The codes, and those of their parts if it has them.
            source: Where they are from. A collection that was pushed from elsewhere is refused, since everything in it
                would be deleted; None is not compared.
            replace: Whether to rebuild the collection if these codes do not fit it; one that
                ordhash did not make is never replaced.
            progress: Whether to show bars.

        Raises:
            InputError: The collection is of another model or source, has other columns or was not made by
                ordhash, or a value does not fit into Milvus.
            ServerError: The server cannot be reached, or went away; what it acknowledged stays.
        """
        of_parts = None if table.parts is None else table_of_parts(table, table.parts)
        held = self._has_parts()
        if of_parts is not None and not held and self._parts.exists():
            raise InputError(f"{self._parts.name} at {self._shown} does not hold parts; give another name")
        done = self._whole.push(table, source=source, replace=replace, progress=progress)
        if of_parts is not None:
            columns = columns_of_parts(self._whole.describe().columns)
            self._parts.push(of_parts, columns=columns, source=source, replace=replace, progress=progress)
        elif held:
            self._parts.drop()
        return PushReport(**dataclasses.asdict(done), parts=None if of_parts is None else len(of_parts))

    def nearest(
        self, codes: OrdinalCodes, *, top_k: int = 10, conditions: Sequence[Condition] = (), parts: bool = False
    ) -> list[tuple[Answer, ...]]:
        """The nearest rows of every query by ordinal distance, nearest first, ties by key.

        Args:
            codes: q codes of the model of the collection.
            top_k: How many of each query, at most 16384; with parts 2048.
            conditions: Conditions on metadata columns, all of which must hold; the server applies them.
            parts: Whether an item is as near as its nearest part, as in an OrdinalIndex.

        Raises:
            InputError: Codes of another model or spec, a wrong top_k, a condition that does not fit, or no parts.
            ServerError: The server cannot be reached.
        """
        wanted, most = integer_at_least(top_k, 1, "top_k"), MOST_ROWS // MOST_PARTS if parts else MOST_ROWS
        if wanted > most:
            raise InputError(f"top_k is {wanted}; Milvus gives at most {most}{' with parts' if parts else ''}")
        of_items = self._whole.nearest(codes, top_k=wanted, conditions=conditions)
        if not parts:
            return of_items
        if not self._has_parts():
            raise InputError(
                f"{self.name} at {self._shown} holds no parts; push a collection, or codes that were made with "
                "--parts, or search without parts"
            )
        # The nearest items have as many parts at most.
        of_parts = self._parts.nearest(codes, top_k=wanted * MOST_PARTS, conditions=conditions)
        return [merged(*pair, codes.spec, wanted) for pair in zip(of_items, of_parts, strict=True)]

    def pull(self, *, progress: bool = False) -> CodeTable:
        """Everything the collection holds, in the order of the keys.

        Args:
            progress: Whether to show bars.

        Raises:
            InputError: The collection does not exist, or was not made by ordhash.
            DataError: It holds an invalid code.
            ServerError: The server cannot be reached.
        """
        whole = self._whole.pull(progress=progress)
        if not self._has_parts():
            return whole
        parts = parts_of_table(self._parts.pull(progress=progress), whole.keys)
        return CodeTable(whole.codes, whole.keys, whole.metadata, whole.model_path, parts)

    def _has_parts(self) -> bool:
        """Whether parts were pushed; a collection of that name may also be somebody else's."""
        if not self._parts.exists():
            return False
        try:
            return BOX in self._parts.describe().columns.schema.names
        except InputError:
            return False


def _is_server(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number
        return False


def collection_name(text: str) -> str:
    """The name of a Milvus collection for a file or a folder, in letters, digits and underscores.

    >>> collection_name("runs/my photos.ordhash"), collection_name("2024")
    ('my_photos_ordhash', '_2024')
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", Path(text).name)[: 255 - len(_OF_PARTS)]
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"[: 255 - len(_OF_PARTS)]
