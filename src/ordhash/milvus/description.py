"""The description of a Milvus collection, which holds an Arrow schema, and its fields."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pymilvus import DataType

from ordhash.codes import CodeFacts
from ordhash.errors import DataError, InputError
from ordhash.milvus.entities import CODE, DIGEST, KEY, LONGEST_TEXT, Columns
from ordhash.milvus.simplex import simplex_bits

__all__ = ["FORMAT", "Description"]

FORMAT = "milvus/1"
_ABOUT = "Ordinal codes as simplex codes, by ordhash. "
_SCALARS, _SOURCE = b"ordhash.scalars", b"ordhash.source"


@dataclass(frozen=True)
class Description:
    """What is known about a collection.

    Attributes:
        facts: What its codes mean.
        columns: Its metadata columns.
        source: Where its codes were pushed from; None if unknown.
    """

    facts: CodeFacts
    columns: Columns
    source: str | None

    def to_text(self) -> str:
        """The text that the collection keeps."""
        more = {_SCALARS: "\n".join(sorted(self.columns.scalars)).encode()}
        if self.source is not None:
            more[_SOURCE] = self.source.encode(errors="surrogateescape")
        stored = self.columns.schema.with_metadata({**self.facts.to_schema(FORMAT), **more})
        return _ABOUT + base64.b64encode(stored.serialize().to_pybytes()).decode()

    @classmethod
    def of_text(cls, text: str, place: str) -> Description:
        """Parse a text of ``to_text``; ``place`` names the collection in messages.

        Raises:
            InputError: ordhash did not make the collection.
            DataError: A newer version did, or the text is damaged.
        """
        if not text.startswith(_ABOUT):
            raise InputError(f"{place} was not made by ordhash; give another name")
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text.removeprefix(_ABOUT))))
        try:
            facts, _ = CodeFacts.of_schema(schema, FORMAT)
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
        source = schema.metadata.get(_SOURCE, b"").decode(errors="surrogateescape") or None
        scalars = schema.metadata[_SCALARS].decode()
        return cls(facts, Columns(schema.remove_metadata(), frozenset(filter(None, scalars.split("\n")))), source)

    def add_fields(self, schema: Any, keys: np.dtype[Any]) -> None:
        """Add the fields of the collection to a schema of Milvus; ``keys`` is the dtype of the keys."""
        if keys == np.int64:
            schema.add_field(KEY, DataType.INT64, is_primary=True)
        else:
            schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=LONGEST_TEXT)
        schema.add_field(CODE, DataType.BINARY_VECTOR, dim=simplex_bits(self.facts.spec))
        schema.add_field(DIGEST, DataType.INT64)
        for field in self.columns.schema:
            if field.name in self.columns.scalars:
                kind = _field_type(field.type)
                longest = {"max_length": LONGEST_TEXT} if kind == DataType.VARCHAR else {}
                schema.add_field(field.name, kind, **longest)


def _field_type(kind: pa.DataType) -> DataType:
    if pa.types.is_boolean(kind):
        return DataType.BOOL
    if pa.types.is_floating(kind):
        return DataType.DOUBLE
    return DataType.VARCHAR if pa.types.is_string(kind) or pa.types.is_large_string(kind) else DataType.INT64
