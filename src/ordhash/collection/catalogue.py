"""The catalogue of a collection: an SQLite database with a row for every image and its code.

It is the truth; the index beside it is built from it. Writes are transactions in SQLite's write-ahead log: an image is
in the catalogue whole or not at all, however the process ends. Every row carries a digest of itself, so `verify` can
name the rows that a bad disk has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ordhash.codes import CodeFacts, CodeSpec
from ordhash.collection.database import Database
from ordhash.collection.deletions import DeletedFile, DeletedTable
from ordhash.collection.rows import CollectionInfo, Entry, Failure
from ordhash.errors import DataError

__all__ = ["Catalogue"]

FORMAT = 2

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL,
    content BLOB NOT NULL, code BLOB NOT NULL, fingerprint BLOB, digest BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX images_by_content ON images (content);
CREATE TABLE failures (
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
"""

_COLUMNS = "key, size, modified, content, code, fingerprint"


class Catalogue:
    """An open catalogue.

    Args:
        path: The database.
        facts: Shape and model of the codes, to create a catalogue where there is none; None only opens one.
        folder: The folder whose images it holds, for a new one.

    Attributes:
        path: The database.
        read_only: Whether it may not be written to.

    Raises:
        DataError: There is none, it is not a catalogue, of a newer version, or damaged.
    """

    def __init__(self, path: Path, facts: CodeFacts | None = None, folder: Path | None = None) -> None:
        self.path = path
        new = not path.exists()
        if new and facts is None:
            raise DataError(
                f"{path.parent} is not a collection (it holds no {path.name}); create one with `ordhash sync`"
            )
        self._db = Database(path)
        self._deleted = DeletedTable(self._db)
        self.read_only = self._db.read_only
        try:
            if not self._facts() and facts is not None:
                self._create(facts, folder)
            self._check()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

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
        """A number that grows with every change of the images."""
        return int(self._facts()["generation"])

    def info(self) -> CollectionInfo:
        """What is known of the collection."""
        facts = self.facts
        return CollectionInfo(
            folder=self.folder,
            count=len(self),
            unusable=self.n_failures,
            hidden=len(self.deleted()),
            spec=facts.spec,
            model_id=facts.model_id,
            model_path=facts.model_path,
            generation=self.generation,
        )

    def entries(self) -> Iterator[Entry]:
        """All images in the order of their keys."""
        with self._db.reported():
            for row in self._db.execute(f"SELECT {_COLUMNS} FROM images ORDER BY key"):
                yield Entry(*row)

    def failures(self) -> list[Failure]:
        """Images that could not be used."""
        with self._db.reported():
            return [
                Failure(*row)
                for row in self._db.execute("SELECT key, size, modified, reason FROM failures ORDER BY key")
            ]

    @property
    def n_failures(self) -> int:
        """How many images could not be used."""
        with self._db.reported():
            return int(self._db.execute("SELECT count(*) FROM failures").fetchone()[0])

    def known(self, content: bytes) -> tuple[bytes, bytes | None] | None:
        """Code and fingerprint of an image with this content, if there is one."""
        query = "SELECT code, fingerprint FROM images WHERE content = ? LIMIT 1"
        with self._db.reported():
            row: tuple[bytes, bytes | None] | None = self._db.execute(query, (content,)).fetchone()
        return row

    def with_content(self, content: bytes) -> Entry | None:
        """The first image with this content; None where there is none."""
        query = f"SELECT {_COLUMNS} FROM images WHERE content = ? ORDER BY key LIMIT 1"
        with self._db.reported():
            row = self._db.execute(query, (content,)).fetchone()
        return None if row is None else Entry(*row)

    def entries_of(self, keys: Iterable[str]) -> list[Entry | None]:
        """Images by their keys, in that order; None for unknown keys."""
        query = f"SELECT {_COLUMNS} FROM images WHERE key = ?"
        with self._db.reported():
            rows = [self._db.execute(query, (key,)).fetchone() for key in keys]
        return [None if row is None else Entry(*row) for row in rows]

    def __len__(self) -> int:
        with self._db.reported():
            return int(self._db.execute("SELECT count(*) FROM images").fetchone()[0])

    def update(self, entries: Iterable[Entry] = (), failures: Iterable[Failure] = (), gone: Iterable[str] = ()) -> None:
        """Write images and failures, and forget keys, all in one transaction."""
        entries, failures, gone = list(entries), list(failures), list(gone)
        if not (entries or failures or gone):
            return
        keys = [(key,) for key in (*gone, *(entry.key for entry in entries), *(one.key for one in failures))]
        with self._db.transaction():
            self._db.executemany("DELETE FROM images WHERE key = ?", keys)
            self._db.executemany("DELETE FROM failures WHERE key = ?", keys)
            self._insert(entries, failures)
            self._db.execute("UPDATE facts SET value = value + 1 WHERE name = 'generation'")

    def _insert(self, entries: Iterable[Entry], failures: Iterable[Failure]) -> None:
        self._db.executemany(
            "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((e.key, e.size, e.modified, e.content, e.code, e.fingerprint, e.digest()) for e in entries),
        )
        self._db.executemany(
            "INSERT INTO failures VALUES (?, ?, ?, ?)", ((f.key, f.size, f.modified, f.reason) for f in failures)
        )

    def deleted(self) -> list[DeletedFile]:
        """Files of deleted photographs, which syncs leave out."""
        return self._deleted.files()

    def hide(self, keys: Iterable[str]) -> None:
        """Forget images, and leave their contents out from now on."""
        entries = [entry for entry in self.entries_of(keys) if entry is not None]
        rows = [(entry.key,) for entry in entries]
        with self._db.transaction():
            self._deleted.note(DeletedFile(entry.content, entry.key, entry.size, entry.modified) for entry in entries)
            self._db.executemany("DELETE FROM images WHERE key = ?", rows)
            self._db.executemany("DELETE FROM failures WHERE key = ?", rows)
            self._db.execute("UPDATE facts SET value = value + 1 WHERE name = 'generation'")

    def note_deleted(self, found: Sequence[DeletedFile] = (), outdated: Sequence[DeletedFile] = ()) -> None:
        """Note where files of deleted photographs are now, and strike out where they were.

        Args:
            found: Files to leave out from now on.
            outdated: Files to strike out; the next sync encodes those that exist and are not left out otherwise.
        """
        if found or outdated:
            with self._db.transaction():
                self._deleted.forget(outdated)
                self._deleted.note(found)

    def replace_by(self, other: Catalogue, facts: CodeFacts) -> None:
        """Take images and failures of another catalogue for one's own, in one transaction.

        Args:
            other: A catalogue of the same folder.
            facts: Shape and model of its codes.
        """
        with self._db.transaction():
            self._db.execute("DELETE FROM images")
            self._db.execute("DELETE FROM failures")
            self._insert(other.entries(), other.failures())
            self._write_facts(facts)
            self._db.execute("UPDATE facts SET value = value + 1 WHERE name = 'generation'")

    def move_to(self, folder: Path) -> None:
        """Change the folder of the images.

        Args:
            folder: Where they are now.
        """
        with self._db.transaction():
            self._db.execute("UPDATE facts SET value = ? WHERE name = 'folder'", (str(folder),))

    def damages(self) -> list[str]:
        """What is wrong with the database and its rows, a sentence each."""
        found = []
        with self._db.reported():
            answers = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(10)")]
            if answers != ["ok"]:
                found += [f"the database is damaged: {answer}" for answer in answers]
            size = self.facts.spec.packed_bytes
            for *values, digest in self._db.execute(f"SELECT {_COLUMNS}, digest FROM images ORDER BY key"):
                entry = Entry(*values)
                if len(entry.code) != size or entry.digest() != digest:
                    found.append(f"{entry.key}: its row is damaged")
        return found + self._deleted.damages()

    def _facts(self) -> dict[str, str]:
        with self._db.reported():
            if not self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").fetchone():
                return {}
            return dict(self._db.execute("SELECT name, value FROM facts"))

    def _create(self, facts: CodeFacts, folder: Path | None) -> None:
        with self._db.transaction():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.executemany(
                "INSERT INTO facts VALUES (?, ?)",
                [("format", str(FORMAT)), ("generation", "0"), ("folder", str(folder))],
            )
            self._write_facts(facts)

    def _write_facts(self, facts: CodeFacts) -> None:
        values = {
            "code_bits": str(facts.spec.code_bits),
            "arity": str(facts.spec.arity),
            "model_id": facts.model_id or "",
            "model_path": facts.model_path or "",
        }
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", values.items())

    def _check(self) -> None:
        found = self._facts().get("format", "")
        if not found.isdigit():
            raise DataError(f"{self.path} is not the catalogue of a collection; give another folder")
        if int(found) < FORMAT:
            raise DataError(
                f"{self.path} has format {found}, of an older version; delete it and sync again (the photographs stay "
                "untouched)"
            )
        if int(found) > FORMAT:
            raise DataError(
                f"{self.path} has format {found}, newer than {FORMAT}, the newest known here; upgrade ordhash"
            )
