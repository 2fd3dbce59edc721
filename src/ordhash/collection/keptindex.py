"""The index of a collection, a file beside its catalogue that carries a name of the catalogue's state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ordhash.codes import CodeTable, OrdinalCodes, PartCodes
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.rows import Entry
from ordhash.errors import DataError, InputError
from ordhash.index import OrdinalIndex

__all__ = ["everything_in", "followed_by_index", "index_damages", "index_path", "kept_index"]

_INDEX = "{}.index"

_STATE = b"catalogue"  # in the metadata of the schema of the index's metadata


def index_path(folder: Path, catalogue: Catalogue) -> Path:
    """Path of the index of the catalogue's state."""
    return folder / _INDEX.format(catalogue.state)


def _load(path: Path, n: int) -> OrdinalIndex:
    """The index of a state of a catalogue.

    Args:
        path: Its file, named after the state.
        n: How many images the catalogue has in that state.

    Raises:
        DataError: There is none, it is damaged, or of another state.
    """
    index = OrdinalIndex.load(path)
    of = {} if index.metadata is None else index.metadata.schema.metadata or {}
    if of.get(_STATE) != path.stem.encode() or len(index) != n:
        raise DataError(f"{path} is of another collection than {path.parent}")
    return index


def kept_index(folder: Path, catalogue: Catalogue, entries: list[Entry] | None = None) -> OrdinalIndex:
    """The index of all images of a catalogue; built and saved where there is none of its state.

    Args:
        folder: Of the collection.
        catalogue: Its catalogue.
        entries: All images of it, if they are read already and nobody can change them.
    """
    for _ in range(2):  # a change may put another in its place meanwhile
        with suppress(DataError):  # none yet, or damaged
            return _load(index_path(folder, catalogue), catalogue.n_images)
    with catalogue.snapshot():
        path, table = index_path(folder, catalogue), everything_in(catalogue, entries)
    index = _index_of(table, path)
    with suppress(OSError):  # a full disk or a read-only folder: searching works all the same
        index.save(path)
        _remove_others(path, catalogue)
    return index


@contextmanager
def followed_by_index(catalogue: Catalogue, keys: Iterable[str]) -> Iterator[None]:
    """Change some images of a catalogue, all together, and its index with them: to build it would take all rows.

    The new index is there before the change is, and the old one goes after it, so whoever searches finds one. If there
    is none of the state before, the next search builds one as ever.

    Args:
        catalogue: The catalogue, locked.
        keys: All images that are added, changed or deleted inside.
    """
    folder, n = catalogue.path.parent, catalogue.n_images
    before = index_path(folder, catalogue)
    with catalogue.transaction():
        yield
        path = index_path(folder, catalogue)
        if path != before:
            with suppress(DataError, OSError):  # none, a damaged one, or a full disk
                table = _followed(_load(before, n), catalogue, sorted(set(keys)))
                if table is not None and len(table) == catalogue.n_images:
                    _index_of(table, path).save(path)
    if path.exists():
        with suppress(OSError):
            _remove_others(path, catalogue)


def _followed(index: OrdinalIndex, catalogue: Catalogue, keys: list[str]) -> CodeTable | None:
    """What ``everything_in`` gives, made from the index of an earlier state; None where that does not tell.

    Args:
        index: The index.
        catalogue: The catalogue.
        keys: All images that have changed since, in order.
    """
    import pyarrow as pa

    changed, old_parts = set(keys), index.parts  # unpacked on every access
    left = np.array([row for row, key in enumerate(index.keys) if key not in changed], dtype=np.int64)
    new = _table_of([entry for entry in catalogue.entries_of(keys) if entry is not None], catalogue)
    # Whether images have parts is known from images alone: all of a model have some, or none has.
    if not len(left) or (len(new) and (old_parts is None) != (new.parts is None)):
        return None
    # SQLite compares UTF-8, whose order is that of Python's texts.
    places = np.searchsorted(index.keys[left], new.keys)
    rows = np.insert(left, places, index.n_rows + np.arange(len(new)))
    symbols = np.concatenate([index.codes.symbols, new.codes.symbols])[rows]
    metadata = pa.concat_tables([index.metadata, new.metadata]).take(rows)
    parts = None
    if old_parts is not None and new.parts is not None:
        parts = PartCodes.joined([old_parts, new.parts], [index.n_rows, len(new)]).taken(rows)
    codes = OrdinalCodes(symbols, index.spec, index.model_id)
    return CodeTable(codes, np.concatenate([index.keys, new.keys])[rows], metadata, index.model_path, parts)


def _index_of(table: CodeTable, path: Path) -> OrdinalIndex:
    """The index of all images of a catalogue, in the state that names its file."""
    metadata = table.metadata
    if metadata is not None:  # a collection always has some
        metadata = metadata.replace_schema_metadata({_STATE: path.stem})
    return OrdinalIndex(table.codes, table.keys, metadata, model_path=table.model_path, parts=table.parts)


def _remove_others(path: Path, catalogue: Catalogue) -> None:
    """Remove all indexes but one; a process that has one open keeps it."""
    if path == index_path(path.parent, catalogue):  # else another process knows better which one to keep
        for other in path.parent.glob(_INDEX.format("[0-9a-f]" * 16)):
            if other != path:
                other.unlink(missing_ok=True)


def index_damages(folder: Path, catalogue: Catalogue) -> list[str]:
    """What is wrong with the file of the index, a sentence each; nothing if there is none.

    Args:
        folder: Of the collection.
        catalogue: Its catalogue.
    """
    with catalogue.snapshot():
        path = index_path(folder, catalogue)
        if not path.exists():
            return []
        held = everything_in(catalogue)
        try:
            index = _load(path, catalogue.n_images)
        except DataError as error:
            return [f"{error}; the next search rebuilds it"]
    same = np.array_equal(index.codes.symbols, held.codes.symbols) and index.keys.tolist() == held.keys.tolist()
    if same and index.metadata == held.metadata and _same_parts(index.parts, held.parts):
        return []
    return [f"{path} differs from the catalogue; delete it, and the next search rebuilds it"]


def everything_in(catalogue: Catalogue, entries: list[Entry] | None = None) -> CodeTable:
    """Codes, keys and metadata of all images, in the order of the keys.

    Args:
        catalogue: The catalogue.
        entries: All images of it, if they are read already.

    Raises:
        DataError: A row of it is damaged.
    """
    with catalogue.snapshot():
        return _table_of(catalogue.entries() if entries is None else entries, catalogue)


def _table_of(entries: list[Entry], catalogue: Catalogue) -> CodeTable:
    """Codes, keys and metadata of some images, in their order.

    Args:
        entries: The images.
        catalogue: Their catalogue.

    Raises:
        DataError: A row is damaged.
    """
    import pyarrow as pa

    facts = catalogue.facts
    size = facts.spec.packed_bytes
    bad = next((entry.key for entry in entries if len(entry.code) != size), None)
    if bad is not None:
        raise DataError(f"the code of {bad} in {catalogue.path} has not {size} bytes; touch the file and sync again")
    packed = np.frombuffer(b"".join(entry.code for entry in entries), dtype=np.uint8).reshape(len(entries), size)
    keys = np.array([entry.key for entry in entries], dtype=object)
    metadata = pa.table(
        {
            "folder": pa.array([entry.key.rpartition("/")[0] for entry in entries], pa.string()),
            "size": pa.array([entry.size for entry in entries], pa.int64()),
            "modified": pa.array([entry.modified // 1000 for entry in entries], pa.timestamp("us", "UTC")),
        }
    )
    codes = OrdinalCodes.from_packed(packed, facts.spec, model_id=facts.model_id)
    of_images = [entry.parts for entry in entries if entry.parts is not None]
    parts = None
    if len(of_images) == len(entries):
        try:
            parts = PartCodes.from_packed(of_images, facts.spec, model_id=facts.model_id)
        except InputError as error:
            raise DataError(f"parts in {catalogue.path} are damaged ({error}); sync again") from None
    return CodeTable(codes, keys, metadata, facts.model_path, parts)


def _same_parts(one: PartCodes | None, other: PartCodes | None) -> bool:
    if one is None or other is None:
        return one is other
    pairs = ((one.codes.symbols, other.codes.symbols), (one.owners, other.owners), (one.boxes, other.boxes))
    return all(np.array_equal(*pair) for pair in pairs)
