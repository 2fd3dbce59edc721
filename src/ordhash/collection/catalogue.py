"""The catalogue of a collection: an SQLite database with a row for every image and its code.

It is the truth; the index beside it is built from it. Changes are transactions: an image is in the catalogue whole or
not at all, however the process ends. Every row carries a digest of itself, and the facts say what all digests of a
table add up to: what a bad disk has changed is never used, `verify` names it, and a sync makes it anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ordhash.codes import CodeFacts, CodeSpec
from ordhash.collection.database import DamagedError, Database
from ordhash.collection.rows import CollectionInfo, DeletedFile, Entry, Failure, digest_of
from ordhash.collection.schema import FORMAT, SCHEMA, check_format
from ordhash.collection.tables import Table, Total, digest_of_facts, tables_of
from ordhash.errors import DataError

__all__ = ["DELETE_AGAIN", "Catalogue", "rewritten"]

DELETE_AGAIN = "sync with --undelete, then delete again what was deleted"
"""What to do about a damaged list of deleted photographs."""


class Catalogue:
    """An open catalogue.

    Args:
        path: The database.
        facts: Shape and model of the codes, to create a catalogue where there is none; None only opens one.
        folder: The folder whose images it holds, for a new one.

    Attributes:
        path: The database.

    Raises:
        DataError: There is none, it is not a catalogue, of another version, or damaged.
    """

    def __init__(self, path: Path, facts: CodeFacts | None = None, folder: Path | None = None) -> None:
        self.path = path
        if facts is None and not path.exists():
            raise DataError(
                f"{path.parent} is not a collection (it holds no {path.name}); create one with `ordhash sync`"
            )
        self._open()
        try:
            if facts is not None and not self._schema():
                self._create(facts, folder)
            self._check()
        except BaseException:
            self.close()
            if facts is not None and path.is_file() and not path.stat().st_size:  # a full disk
                path.unlink()
            raise

    def _open(self) -> None:
        self._db = Database(self.path)
        self._tables = self._images, self._failures, self._deleted = tables_of(self._db)

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def frozen(self) -> bool:
        """Whether this does not see what others write: a copy of a database that cannot be read where it is."""
        return self._db.frozen

    def snapshot(self) -> AbstractContextManager[None]:
        """Answers inside are of one state of the catalogue."""
        return self._db.reading()

    def transaction(self) -> AbstractContextManager[None]:
        """All changes inside happen, or none does; inside, answers are of the state that will be."""
        return self._db.transaction()

    @property
    def facts(self) -> CodeFacts:
        """Shape and model of the codes."""
        facts = self._facts()
        spec = CodeSpec(int(facts["code_bits"]), int(facts["arity"]))
        path = str(self.path.absolute().parent / facts["model_path"]) if facts["model_path"] else None
        return CodeFacts(spec, facts["model_id"] or None, path)

    @property
    def has_own_model(self) -> bool:
        """Whether the model was learned from these images: then its path is a name in the collection."""
        path = self._facts()["model_path"]
        return path != "" and Path(path).name == path

    @property
    def folder(self) -> Path:
        """The folder of the images."""
        return Path(self._facts()["folder"])

    @property
    def generation(self) -> int:
        """A number that grows with every change, and that no other state of any catalogue has.

        It is the time of the change in microseconds since 1970: catalogues that were made anew, or restored from a
        backup and changed then, do not get the numbers of others.
        """
        return int(self._facts()["generation"])

    @property
    def state(self) -> str:
        """A name of all that the index is built from: images and facts that are the same have the same."""
        with self.snapshot():
            return digest_of([*_values_of(self.facts).values(), self._facts()[self._images.name]]).hex()

    def info(self) -> CollectionInfo:
        """What is known of the collection."""
        with self.snapshot():
            facts = self.facts
            return CollectionInfo(
                folder=self.folder,
                count=self.n_images,
                unusable=self.n_failures,
                hidden=self._total(self._deleted).count,
                spec=facts.spec,
                model_id=facts.model_id,
                model_path=facts.model_path,
                generation=self.generation,
            )

    def entries(self) -> list[Entry]:
        """All images in the order of their keys.

        Raises:
            DataError: One of them is damaged or missing.
        """
        with self.snapshot():
            return self._images.rows(self._total(self._images))

    def sound_entries(self) -> list[Entry]:
        """All images but those that are damaged, in the order of their keys."""
        with self.snapshot():
            return self._images.scan(self._total(self._images))[0]

    def failures(self) -> list[Failure]:
        """Images that could not be used."""
        with self.snapshot():
            return self._failures.rows(self._total(self._failures))

    # Not as its length: then a catalogue without images would count as false.
    @property
    def n_images(self) -> int:
        """How many images it holds."""
        return self._total(self._images).count

    @property
    def n_failures(self) -> int:
        """How many images could not be used."""
        return self._total(self._failures).count

    def with_content(self, content: bytes) -> Entry | None:
        """The first image with this content whose row is right; None where there is none."""
        with self.snapshot():
            rows = self._images.where("content = ?", (content,))
            # The index may be damaged, and lead to another image.
            return next((row for row in rows if row is not None and row.content == content), None)

    def entries_of(self, keys: Iterable[str]) -> list[Entry | None]:
        """Images by their keys, in that order; None for unknown keys.

        Raises:
            DataError: One of them is damaged.
        """
        keys = list(keys)
        with self.snapshot():
            entries = [self._images.get(key) for key in keys]
            absent = [key for key, entry in zip(keys, entries, strict=True) if entry is None]
            if absent:
                self._check_absent(absent)
        return entries

    def update(self, entries: Iterable[Entry] = (), failures: Iterable[Failure] = (), gone: Iterable[str] = ()) -> None:
        """Write images and failures, and forget keys, all in one transaction."""
        entries, failures, gone = list(entries), list(failures), list(gone)
        if not (entries or failures or gone):
            return
        with self._changing():
            self._remove((*gone, *(entry.key for entry in entries), *(one.key for one in failures)))
            self._images.add(entries)
            self._failures.add(failures)

    def deleted(self) -> list[DeletedFile]:
        """Files of deleted photographs, which syncs leave out.

        Raises:
            DataError: One of these rows is damaged or missing; `undelete` makes an end of all of them.
        """
        with self.snapshot():
            files, damages = self._deleted.scan(self._total(self._deleted))
        if damages:
            raise DamagedError(f"{self.path}: {damages[0]}; {DELETE_AGAIN}")
        return files

    def hide(self, keys: Iterable[str]) -> None:
        """Forget images, and leave their contents out from now on."""
        with self._changing():
            entries = [entry for entry in self.entries_of(keys) if entry is not None]
            self._deleted.put([DeletedFile(entry.content, entry.key, entry.size, entry.modified) for entry in entries])
            self._remove(entry.key for entry in entries)

    def note_deleted(self, found: Sequence[DeletedFile] = (), outdated: Sequence[DeletedFile] = ()) -> None:
        """Note where files of deleted photographs are now, and strike out where they were.

        Args:
            found: Files to leave out from now on.
            outdated: Files to strike out; the next sync encodes those that exist and are not left out otherwise.
        """
        if found or outdated:
            with self._changing():
                self._deleted.remove((file.content, file.key) for file in outdated)
                self._deleted.put(found)

    def undelete(self) -> None:
        """Strike out all files of deleted photographs; the next sync encodes those that exist."""
        with self._changing():
            self._deleted.clear()

    def replace_by(self, other: Catalogue, facts: CodeFacts) -> None:
        """Take images and failures of another catalogue for one's own, in one transaction.

        Args:
            other: A catalogue of the same folder.
            facts: Shape and model of its codes.
        """
        entries, failures = other.entries(), other.failures()
        with self._changing() as values:
            self._images.clear()
            self._failures.clear()
            self._images.add(entries)
            self._failures.add(failures)
            values.update(_values_of(facts))

    def move_to(self, folder: Path) -> None:
        """Change the folder of the images.

        Args:
            folder: Where they are now.
        """
        with self._changing() as values:
            values["folder"] = str(folder)

    def mend(self) -> list[Entry]:
        """Forget rows that are damaged, so that a sync makes them anew; returns all images that are left.

        A catalogue with any damage is written anew, of what is right.

        Raises:
            DataError: What cannot be made anew is damaged: the facts, or the list of what was deleted.
        """
        _beside(self.path).unlink(missing_ok=True)  # of a process that was killed, or a disk that was full
        with self.snapshot():
            facts = self._facts()
            entries, damages = self._images.scan(self._total(self._images))
            failures, more = self._failures.scan(self._total(self._failures))
            deleted = self.deleted()
            if not damages and not more and not self._problems(1):
                return entries
        with rewritten(self.path, self.facts, self.folder) as other, other._changing() as values:
            values.update(facts)
            other._images.add(entries)
            other._failures.add(failures)
            other._deleted.add(deleted)
        self.close()
        self._open()
        return entries

    def damages(self) -> list[str]:
        """What is wrong with the database and its rows, a sentence each."""
        with self.snapshot():
            found = [f"the database is damaged: {problem}" for problem in self._problems(10)]
            for table in self._tables:
                advice = DELETE_AGAIN if table is self._deleted else "sync again"
                found += [f"{damage}; {advice}" for damage in table.scan(self._total(table))[1]]
        return found

    def _problems(self, most: int) -> list[str]:
        try:
            return self._db.problems(most)
        except DataError as error:
            return [str(error)]

    def _check_absent(self, keys: list[str]) -> None:
        """Raise an error if a key that the table does not seem to have is in its index: then one of both is damaged."""
        query = "SELECT key FROM images INDEXED BY images_by_content WHERE key IN (SELECT value FROM json_each(?))"
        for (key,) in self._db.execute(query, (json.dumps(keys),)).fetchall():
            raise DataError(self._db.damaged(f"{key}: its row is damaged"))

    def _remove(self, keys: Iterable[str]) -> None:
        """Remove images and failures, inside a change."""
        rows = [(key,) for key in keys]
        self._images.remove(rows)
        self._failures.remove(rows)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, str]]:
        """A change of tables, and of the facts that it yields, in one transaction; the generation grows."""
        with self._db.transaction():
            facts = self._facts()
            for table in self._tables:
                table.total = Total.of(facts[table.name])
            yield facts
            facts |= {table.name: str(table.total) for table in self._tables}
            facts["generation"] = str(max(int(facts["generation"]) + 1, time.time_ns() // 1000))
            self._write_facts(facts)

    def _total(self, table: Table[Any]) -> Total:
        return Total.of(self._facts()[table.name])

    def _facts(self) -> dict[str, str]:
        with self.snapshot():
            facts = dict(self._db.execute("SELECT name, value FROM facts").fetchall())
        if facts.pop("digest", None) != digest_of_facts(facts):
            raise DamagedError(self._db.damaged("its facts are wrong"))
        return facts

    def _write_facts(self, facts: dict[str, str]) -> None:
        self._db.execute("DELETE FROM facts")
        rows = {**facts, "digest": digest_of_facts(facts)}
        self._db.executemany("INSERT INTO facts VALUES (?, ?)", rows.items())

    def _schema(self) -> list[str]:
        with self.snapshot():
            return [sql for (sql,) in self._db.execute("SELECT sql FROM sqlite_schema").fetchall()]

    def _create(self, facts: CodeFacts, folder: Path | None) -> None:
        with self._db.transaction():
            for statement in SCHEMA:
                self._db.execute(statement)
            values = {"format": str(FORMAT), "generation": str(time.time_ns() // 1000), "folder": str(folder)}
            self._write_facts({**values, **_values_of(facts), **{table.name: str(Total()) for table in self._tables}})

    def _check(self) -> None:
        """Raise an error if this is not a catalogue of this version."""
        with self.snapshot():
            schema = self._schema()
            if not set(SCHEMA) & set(schema):
                raise DataError(f"{self.path} is not the catalogue of a collection; give another folder")
            if SCHEMA[0] in schema:
                self._check_format()
            if sorted(schema) != sorted(SCHEMA):
                raise DamagedError(self._db.damaged("its schema is wrong"))
            self._facts()

    def _check_format(self) -> None:
        """Raise an error if this is a catalogue of another version, unless only a bit of that number has changed."""
        facts = dict(self._db.execute("SELECT name, value FROM facts").fetchall())
        digest = facts.pop("digest", None)
        if "format" in facts and digest != digest_of_facts({**facts, "format": str(FORMAT)}):
            check_format(self.path, str(facts["format"]))


@contextmanager
def rewritten(path: Path, facts: CodeFacts, folder: Path) -> Iterator[Catalogue]:
    """An empty catalogue, which takes the place of another one when all is in it.

    Args:
        path: The catalogue to replace; it stays as it is after an error.
        facts: Shape and model of the codes.
        folder: The folder of the images.
    """
    fresh = _beside(path)
    fresh.unlink(missing_ok=True)
    with Catalogue(fresh, facts, folder) as catalogue:
        yield catalogue
    fresh.chmod(path.stat().st_mode & 0o777)
    fresh.replace(path)


def _beside(path: Path) -> Path:
    """Where a catalogue is written anew."""
    return path.with_name(f"{path.name}.mended")


def _values_of(facts: CodeFacts) -> dict[str, str]:
    return {
        "code_bits": str(facts.spec.code_bits),
        "arity": str(facts.spec.arity),
        "model_id": facts.model_id or "",
        "model_path": facts.model_path or "",
    }
