"""The index of a collection, a file beside its catalogue that carries a name of the catalogue's state."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from ordhash.codes import CodeTable, OrdinalCodes, PartCodes
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.rows import Entry
from ordhash.errors import DataError, InputError
from ordhash.index import OrdinalIndex

__all__ = ["everything_in", "index_damages", "index_path", "kept_index"]

_INDEX = "{}.index"

_STATE = b"catalogue"  # in the metadata of the schema of the index's metadata


def index_path(folder: Path, catalogue: Catalogue) -> Path:
    """Path of the index of the catalogue's state."""
    return folder / _INDEX.format(catalogue.state)


def _load(path: Path, catalogue: Catalogue) -> OrdinalIndex:
    """The index of a catalogue in a file.

    Args:
        path: The file.
        catalogue: The catalogue.

    Raises:
        DataError: There is none, it is damaged, or of another state of the catalogue.
    """
    index = OrdinalIndex.load(path)
    of = {} if index.metadata is None else index.metadata.schema.metadata or {}
    if of.get(_STATE) != path.stem.encode() or len(index) != catalogue.n_images:
        raise DataError(f"{path} is of another collection than {catalogue.path}")
    return index


def kept_index(folder: Path, catalogue: Catalogue, entries: list[Entry] | None = None) -> OrdinalIndex:
    """The index of all images of a catalogue; built and saved where there is none of its state.

    Args:
        folder: Of the collection.
        catalogue: Its catalogue.
        entries: All images of it, if they are read already and nobody can change them.
    """
    try:
        return _load(index_path(folder, catalogue), catalogue)
    except DataError:
        pass  # none yet, or damaged
    with catalogue.snapshot():
        path, table = index_path(folder, catalogue), everything_in(catalogue, entries)
    metadata = table.metadata
    if metadata is not None:  # a collection always has some
        metadata = metadata.replace_schema_metadata({_STATE: path.stem})
    index = OrdinalIndex(table.codes, table.keys, metadata, model_path=table.model_path, parts=table.parts)
    with suppress(OSError):  # a full disk or a read-only folder: searching works all the same
        index.save(path)
        if path == index_path(folder, catalogue):  # else another process knows better which one to keep
            for other in folder.glob(_INDEX.format("[0-9a-f]" * 16)):
                if other != path:
                    other.unlink(missing_ok=True)  # a process that has it open keeps it
    return index


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
            index = _load(path, catalogue)
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
    import pyarrow as pa

    with catalogue.snapshot():
        facts = catalogue.facts
        entries = catalogue.entries() if entries is None else entries
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
