"""A catalogue that cannot be opened, for its facts or its schema are damaged, made anew of its rows.

Every row tells by its digest whether it is right. What tells where the rows are is the same in every catalogue: the
first page of its file, which is taken from an empty one.
"""

from __future__ import annotations

import struct
import tempfile
from contextlib import closing
from pathlib import Path

from ordhash.codes import CodeFacts
from ordhash.collection.catalogue import DELETE_AGAIN, Catalogue, rewritten
from ordhash.collection.database import DamagedError, Database
from ordhash.collection.tables import tables_of, total_in
from ordhash.collection.upkeep import MODEL, models_in
from ordhash.errors import DataError

__all__ = ["mended_catalogue"]

_SIZE_AND_FREE_PAGES = 28  # where the header of SQLite has the number of pages, the first free one and their number


def mended_catalogue(path: Path, facts: CodeFacts, folder: Path, *, undelete: bool) -> Catalogue:
    """A catalogue to sync, made anew if it cannot be opened, and created where there is none; under its lock.

    No photograph that was deleted comes back. Codes are kept if they are known to be of this model.

    Args:
        path: The database.
        facts: Shape and model of the codes.
        folder: The folder of the images.
        undelete: Whether to forget what was deleted.

    Raises:
        DataError: It is of another version, the list of what was deleted is damaged, or the model not that of the
            collection.
    """
    try:
        return _opened(path, facts, folder, undelete=undelete)
    except DamagedError as error:
        models = {model.name for model in models_in(path.parent)}
        if models and MODEL.format(facts.model_id) not in models:
            raise DataError(f"{path} is damaged; sync without --model to mend it, then with --model") from error
        if path.with_name(f"{path.name}-journal").exists():  # of a change that has to be undone first
            raise
    _mend(path, facts, folder, undelete=undelete)
    return Catalogue(path)


def _opened(path: Path, facts: CodeFacts, folder: Path, *, undelete: bool) -> Catalogue:
    catalogue = Catalogue(path, facts, folder)
    try:
        if not undelete:
            catalogue.deleted()  # it cannot be made anew, but the first page may be all that is damaged
    except BaseException:
        catalogue.close()
        raise
    return catalogue


def _mend(path: Path, facts: CodeFacts, folder: Path, *, undelete: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        copy, empty = Path(place, "copy"), Path(place, "empty")
        Catalogue(empty, facts, folder).close()
        copy.write_bytes(_with_first_page(path.read_bytes(), empty.read_bytes()))
        with closing(Database(copy)) as db:
            before = _facts_in(db)
            images, failures, deleted = tables_of(db)
            entries, unusable = images.scan(None)[0], failures.scan(None)[0]
            gone, damages = deleted.scan(total_in(before, deleted.name))
    if damages and not undelete:
        raise DataError(f"{path}: its list of deleted photographs is damaged; {DELETE_AGAIN}")
    same = before.get("model_id") == facts.model_id
    if same and "model_path" in before:
        facts = CodeFacts(facts.spec, facts.model_id, before["model_path"])
    # A folder that cannot be read is none, so that the sync compares contents.
    folder = Path(before.get("folder", path.with_name("unknown")))
    with rewritten(path, facts, folder) as catalogue:
        catalogue.update(entries if same else (), unusable)
        catalogue.note_deleted(gone)


def _with_first_page(content: bytes, fresh: bytes) -> bytes:
    """A damaged file with the first page of an empty one of the same schema."""
    (page,) = struct.unpack_from(">H", fresh, 16)
    first = bytearray(fresh[:page])
    struct.pack_into(">III", first, _SIZE_AND_FREE_PAGES, len(content) // page, 0, 0)
    return bytes(first) + content[page:]


def _facts_in(db: Database) -> dict[str, str]:
    """The facts, any of which may be wrong; none if they cannot be read."""
    try:
        with db.reading():
            return {str(name): str(value) for name, value in db.execute("SELECT name, value FROM facts")}
    except DataError:
        return {}
