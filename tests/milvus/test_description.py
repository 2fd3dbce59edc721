import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pymilvus", reason="needs ordhash[cluster]")

from pymilvus import DataType, MilvusClient

from ordhash.codes import CodeFacts, CodeSpec
from ordhash.errors import DataError, InputError
from ordhash.milvus.description import Description
from ordhash.milvus.entities import CODE, DIGEST, KEY, Columns

METADATA = pa.table({"size": [1, 2], "label": ["cat", "dog"], "share": [0.5, 1.0], "day": ["mon", None]})
FACTS = CodeFacts(CodeSpec(48, 4), "m1", "models/m.onnx")


@pytest.mark.parametrize("source", ["/photos/ü.ordhash", "/photos/\udcff.ordhash", None])
@pytest.mark.parametrize("metadata", [METADATA, None])
def test_a_description_comes_back_whole(metadata, source):
    described = Description(FACTS, Columns.of(metadata), source)
    again = Description.of_text(described.to_text(), "photos")
    assert (again.facts, again.source) == (FACTS, source)
    assert again.columns.schema.equals(described.columns.schema)
    assert again.columns.scalars == described.columns.scalars


def test_collections_that_ordhash_did_not_make_are_refused():
    with pytest.raises(InputError, match="photos at there was not made by ordhash"):
        Description.of_text("my favourite pictures", "photos at there")


def test_a_newer_version_is_refused_by_the_name_of_the_collection(monkeypatch):
    text = Description(FACTS, Columns.of(None), None).to_text()
    monkeypatch.setattr("ordhash.milvus.description.FORMAT", "milvus/0")
    with pytest.raises(DataError, match=r"^photos: .*newer.*upgrade"):
        Description.of_text(text, "photos")


@pytest.mark.parametrize(("keys", "kind"), [(np.dtype(np.int64), DataType.INT64), (np.dtype(object), DataType.VARCHAR)])
def test_what_is_searched_has_a_field(keys, kind):
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    Description(FACTS, Columns.of(METADATA), None).add_fields(schema, keys)
    fields = {field.name: field for field in schema.fields}
    assert (fields[KEY].dtype, fields[KEY].is_primary) == (kind, True)
    assert (fields[CODE].dtype, fields[DIGEST].dtype) == (DataType.BINARY_VECTOR, DataType.INT64)
    assert {name: fields[name].dtype for name in ("size", "label", "share")} == {
        "size": DataType.INT64,
        "label": DataType.VARCHAR,
        "share": DataType.DOUBLE,
    }
    assert "day" not in fields  # a row is without a value
