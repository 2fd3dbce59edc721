"""Tables whose rows carry digests, so that no damaged, missing or doubled row is ever taken for a right one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ordhash.collection.database import Database
from ordhash.collection.rows import DeletedFile, Entry, Failure, digest_of
from ordhash.errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    R = TypeVar("R", bound=DataclassInstance)
else:
    R = TypeVar("R")

__all__ = ["Table", "Total", "digest_of_facts", "tables_of", "total_in"]


@dataclasses.dataclass(frozen=True)
class Total:
    r"""How many rows a table has, and the sum of their digests.

    Attributes:
        count: The rows.
        digests: The sum, of 64 bits.

    >>> Total.of("2 00000000000000ff").plus([bytes(7) + b"\1"])
    Total(count=3, digests=256)
    """

    count: int = 0
    digests: int = 0

    @classmethod
    def of(cls, text: str) -> Total:
        """What `str` made of it.

        Args:
            text: For instance ``2 00000000000000ff``.
        """
        count, digests = text.split()
        return cls(int(count), int(digests, 16))

    def __str__(self) -> str:
        return f"{self.count} {self.digests:016x}"

    def plus(self, digests: Sequence[bytes], sign: int = 1) -> Total:
        """The total with some rows more, or fewer.

        Args:
            digests: Of these rows.
            sign: 1 for more, -1 for fewer.
        """
        added = sign * sum(int.from_bytes(digest, "big") for digest in digests)
        return Total(self.count + sign * len(digests), (self.digests + added) % (1 << 64))


def digest_of_facts(facts: dict[str, str]) -> str:
    """Digest of the facts of a catalogue.

    Args:
        facts: All but their digest.
    """
    return digest_of(sorted(map(ascii, facts.items()))).hex()


def total_in(facts: dict[str, str], table: str) -> Total | None:
    """The total of a table by facts that may be damaged; None if they are.

    Args:
        facts: As the database holds them.
        table: Name of the table.
    """
    others = {name: value for name, value in facts.items() if name != "digest"}
    return Total.of(facts[table]) if facts.get("digest") == digest_of_facts(others) else None


def tables_of(db: Database) -> tuple[Table[Entry], Table[Failure], Table[DeletedFile]]:
    """The tables of a catalogue.

    Args:
        db: Its database.
    """
    return (
        Table(db, "images", Entry),
        Table(db, "failures", Failure, what="the row that says why it cannot be used"),
        Table(db, "deleted", DeletedFile, ("content", "key"), what="the row that says that it was deleted"),
    )


class Table(Generic[R]):
    """A table of a database, with a column for every field of its rows and one for their digests.

    Args:
        db: The database.
        name: Of the table.
        kind: Class of its rows, a dataclass.
        identity: Columns of its primary key.
        what: How a sentence names a damaged row.

    Attributes:
        name: Of the table.
        total: That of its rows; a transaction sets it before it changes them.
    """

    def __init__(
        self, db: Database, name: str, kind: type[R], identity: tuple[str, ...] = ("key",), what: str = "its row"
    ) -> None:
        names = [field.name for field in dataclasses.fields(kind)]
        self.name, self.total = name, Total()
        self._db, self._kind, self._what = db, kind, what
        self._values = attrgetter(*names)
        self._key = names.index("key")
        self._identity = identity
        self._select = f"SELECT {', '.join(names)}, digest FROM {name}"
        self._is_it = " AND ".join(f"{column} = ?" for column in identity)
        self._insert = f"INSERT INTO {name} VALUES ({', '.join('?' * (len(names) + 1))})"

    def scan(self, total: Total | None) -> tuple[list[R], list[str]]:
        """All rows that are right, in the order of their identities, and what is wrong with others, a sentence each.

        Args:
            total: What the total must be; None where that is not known.
        """
        rows, damages, digests = [], [], []
        try:
            with self._db.reading():
                for *values, digest in self._db.execute(f"{self._select} ORDER BY {', '.join(self._identity)}"):
                    if digest_of(values) == digest:
                        rows.append(self._kind(*values))
                        digests.append(digest)
                    else:
                        damages.append(self._damage(values))
        except DataError as error:
            damages.append(str(error))
        if not damages and total is not None and Total().plus(digests) != total:
            damages.append(f"rows of the table {self.name} are missing: it has {len(rows)} of {total.count}")
        return rows, damages

    def rows(self, total: Total) -> list[R]:
        """All rows, in the order of their identities.

        Args:
            total: What the total must be.

        Raises:
            DataError: One of them is damaged or missing.
        """
        rows, damages = self.scan(total)
        if damages:
            raise DataError(self._db.damaged(damages[0]))
        return rows

    def where(self, condition: str, values: Sequence[Any]) -> Iterator[R | None]:
        """The rows that meet a condition, in the order of their identities; None for each that is damaged.

        Args:
            condition: In SQL.
            values: Of its parameters.
        """
        for *found, digest in self._db.execute(
            f"{self._select} WHERE {condition} ORDER BY {', '.join(self._identity)}", values
        ):
            yield self._kind(*found) if digest_of(found) == digest else None

    def get(self, *identity: Any) -> R | None:
        """The row with an identity; None where there is none.

        Args:
            *identity: The values of its primary key.

        Raises:
            DataError: It is damaged.
        """
        for row in self.where(self._is_it, identity):
            if row is None:
                raise DataError(self._db.damaged(f"{identity[-1]}: {self._what} is damaged"))
            return row
        return None

    def add(self, rows: Iterable[R]) -> None:
        """Write rows that are not there yet; inside a transaction.

        Args:
            rows: The rows.
        """
        written = [(*values, digest_of(values)) for values in map(self._values, rows)]
        self._db.executemany(self._insert, written)
        self.total = self.total.plus([row[-1] for row in written])

    def put(self, rows: Sequence[R]) -> None:
        """Write rows, in place of those that have their identities; inside a transaction.

        Args:
            rows: The rows; of several with the same identity, the last is written.
        """
        distinct = {tuple(getattr(row, name) for name in self._identity): row for row in rows}
        self.remove(distinct)
        self.add(distinct.values())

    def remove(self, identities: Iterable[tuple[Any, ...]]) -> None:
        """Remove the rows with some identities, where they exist; inside a transaction.

        Args:
            identities: Values of the primary key of each.
        """
        for identity in identities:
            query = f"SELECT digest FROM {self.name} WHERE {self._is_it}"
            digests = [digest for (digest,) in self._db.execute(query, identity).fetchall()]
            self._db.execute(f"DELETE FROM {self.name} WHERE {self._is_it}", identity)
            # A damaged digest makes the total wrong, as it should.
            self.total = self.total.plus([digest for digest in digests if isinstance(digest, bytes)], -1)

    def clear(self) -> None:
        """Remove all rows; inside a transaction."""
        self._db.execute(f"DELETE FROM {self.name}")
        self.total = Total()

    def _damage(self, values: Sequence[Any]) -> str:
        return f"{values[self._key]}: {self._what} is damaged"
