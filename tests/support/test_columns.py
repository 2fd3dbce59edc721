import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ordhash.support.columns import is_text, plain_column

TEXTS = ["a", None, "b", "b"]


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        pa.chunked_array([pa.array(TEXTS, pa.large_string())]),
        pa.chunked_array([pa.array(TEXTS, pa.string_view())]),
        pa.chunked_array([pa.array(TEXTS).dictionary_encode(), pa.array([], pa.string()).dictionary_encode()]),
        pa.chunked_array([pc.run_end_encode(pa.array(TEXTS))]),
        pa.chunked_array([pa.array(['"a"', None, '"b"', '"b"'], pa.json_(pa.string()))]),
        pa.chunked_array([], pa.dictionary(pa.int8(), pa.string_view())),
    ],
    ids=lambda column: str(column.type),
)
def test_texts_however_they_are_stored(column):
    plain = plain_column(column)
    assert is_text(plain.type)
    assert plain.type != pa.string_view()
    assert [text and text.strip('"') for text in plain.to_pylist()] == (TEXTS if len(column) else [])


@pytest.mark.parametrize("kind", [pa.int64(), pa.list_(pa.string()), pa.struct([("a", pa.int8())]), pa.binary()])
def test_other_types_stay(kind):
    assert plain_column(pa.chunked_array([], kind)).type == kind
    assert not is_text(kind)
