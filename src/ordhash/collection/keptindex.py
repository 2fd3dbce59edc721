"""The index of a collection, a file beside its catalogue that is named by the generation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ordhash.codes import CodeTable, OrdinalCodes
from ordhash.collection.catalogue import Catalogue
from ordhash.errors import DataError
from ordhash.index import OrdinalIndex

__all__ = ["everything_in", "index_path", "kept_index"]

_INDEX = "{}.index"


def index_path(folder: Path, catalogue: Catalogue) -> Path:
    """Path of the index of the catalogue's generation."""
    return folder / _INDEX.format(catalogue.generation)


def kept_index(folder: Path, catalogue: Catalogue) -> OrdinalIndex:
    """The index of all images of a catalogue; built and saved where there is none of its generation.

    Args:
        folder: Of the collection.
        catalogue: Its catalogue.
    """
    path = index_path(folder, catalogue)
    try:
        return OrdinalIndex.load(path)
    except DataError:
        pass  # none yet, or damaged
    table = everything_in(catalogue)
    index = OrdinalIndex(table.codes, table.keys, table.metadata, model_path=table.model_path)
    try:
        index.save(path)
    except OSError:
        return index  # a full disk or a read-only folder: searching works all the same
    for other in folder.glob(_INDEX.format("*")):
        if other != path:
            other.unlink(missing_ok=True)  # a process that has it open keeps it
    return index


def everything_in(catalogue: Catalogue) -> CodeTable:
    """Codes, keys and metadata of all images, in the order of the keys.

    Args:
        catalogue: The catalogue.

    Raises:
        DataError: A row of it is damaged.
    """
    import pyarrow as pa

    facts, entries = catalogue.facts, list(catalogue.entries())
    size = facts.spec.packed_bytes
    bad = next((entry.key for entry in entries if len(entry.code) != size), None)
    if bad is not None:
        raise DataError(f"the row of {bad} in {catalogue.path} is damaged; `ordhash verify` lists all such rows")
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
    return CodeTable(codes, keys, metadata, facts.model_path)
