import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ordhash.support.columns import is_text, plain_column, wide_column

TEXTS = ["a", None, "b", "b"]


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        pa.chunked_array([pa.array(TEXTS, pa.large_string())]),
        pa.chunked_array([pa.array(TEXTS, pa.string_view())]),
        pa.chunked_array([pa.array(TEXTS).dictionary_encode(), pa.array([], pa.string()).dictionary_encode()]),
        pa.chunked_array([pc.run_end_encode(pa.array(TEXTS))]),
        pa.chunked_array([pc.run_end_encode(pa.array(["x", *TEXTS, "x"])).slice(1, 4)]),
        pa.chunked_array([pa.RunEndEncodedArray.from_arrays([1, 2, 4], pa.array(TEXTS[:3]).dictionary_encode())]),
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


RUNS = pa.RunEndEncodedArray.from_arrays([1, 3], ["a", None])
VIEWS = [["a"], [], None, ["b", None]]


@pytest.mark.parametrize(
    ("column", "wide"),
    [
        (pa.array(TEXTS), pa.large_string()),
        (pa.array(TEXTS, pa.string_view()), pa.large_string()),
        (pa.array([b"a", None], pa.binary_view()), pa.large_binary()),
        (RUNS, pa.large_string()),
        (pa.array([["a"], [], None]), pa.large_list(pa.large_string())),
        (pa.array([["a", "b"], None], pa.list_(pa.string(), 2)), pa.list_(pa.large_string(), 2)),
        (pa.array(VIEWS, pa.list_view(pa.string())), pa.large_list(pa.large_string())),
        (pa.array(VIEWS, pa.large_list_view(pa.string_view())), pa.large_list(pa.large_string())),
        (pa.array([{"x": ["a"]}, None]), pa.struct([("x", pa.large_list(pa.large_string()))])),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())), pa.map_(pa.large_string(), pa.int8())),
        (pa.array(TEXTS).dictionary_encode(), pa.dictionary(pa.int32(), pa.large_string())),
        (pa.array(["{}", None], pa.json_(pa.string())), pa.large_string()),
        (pa.array([b"0" * 16, None], pa.uuid()), pa.uuid()),
        (pa.array([1, None]), pa.int64()),
        (pa.nulls(2), pa.null()),
        (pa.array([{}, None], pa.struct([])), pa.struct([])),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_wide_columns_can_be_picked_from_joined_and_written(column, wide):
    for part in (column, column.slice(1), column[:0]):
        found = wide_column(pa.chunked_array([part]))
        found.validate(full=True)
        assert found.type == wide
        assert found.to_pylist() == part.to_pylist()
        assert pa.chunked_array([*found.chunks] * 2, wide).combine_chunks().to_pylist() == 2 * part.to_pylist()
        assert found.take(pa.array(range(len(part)), pa.int64())).to_pylist() == part.to_pylist()
        assert wide_column(found) is found
    assert wide_column(pa.chunked_array([], column.type)).type == wide


def test_dictionaries_of_many_chunks_can_be_joined():
    chunks = [pa.array([f"{chunk} {row}" for row in range(100)]).dictionary_encode() for chunk in "ab"]
    narrow = pa.chunked_array(chunks).cast(pa.dictionary(pa.int8(), pa.string()))
    assert wide_column(narrow).combine_chunks().to_pylist() == narrow.to_pylist()
