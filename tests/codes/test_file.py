import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.file import CODES_AT_ONCE, codes_to_table, read_codes, table_to_codes, write_codes
from ordhash.codes.table import CodeTable
from ordhash.errors import DataError, InputError


def random_codes(n, spec, seed=0, model_id=None):
    symbols = np.random.default_rng(seed).integers(0, spec.arity, (n, spec.n_segments))
    return OrdinalCodes(symbols.astype(np.uint8), spec, model_id)


CODES = random_codes(3, CodeSpec(48, 4), model_id="m1")


def assert_same(found, codes, keys, metadata=None, model_path=None):
    np.testing.assert_array_equal(found.codes.symbols, codes.symbols)
    assert (found.codes.spec, found.codes.model_id) == (codes.spec, codes.model_id)
    assert found.keys.tolist() == keys
    assert (found.metadata and found.metadata.to_pydict()) == metadata
    assert found.model_path == model_path


@settings(deadline=None, derandomize=True)
@given(st.sampled_from([2, 4, 8, 256]), st.integers(1, 30), st.integers(0, 9), st.integers(0, 99), st.integers(1, 4))
def test_table_round_trip_for_every_spec_and_any_chunks(arity, n_segments, n, seed, chunk):
    codes = random_codes(n, CodeSpec.of_segments(n_segments, arity), seed)
    table = codes_to_table(codes)
    pieces = pa.concat_tables([table.slice(start, chunk) for start in range(0, n, chunk)] or [table])
    assert_same(table_to_codes(pieces), codes, list(range(n)))


def test_more_codes_than_a_block_holds():
    codes = random_codes(2 * CODES_AT_ONCE + 5, CodeSpec(9, 8))
    table = codes_to_table(codes)
    assert table["code"].to_pylist() == [row.tobytes() for row in codes.packed()]
    np.testing.assert_array_equal(table_to_codes(table).codes.symbols, codes.symbols)


def test_file_round_trip_with_everything(tmp_path):
    path = tmp_path / "year=2020" / "codes.parquet"  # not to be taken for a partition of a data set
    path.parent.mkdir()
    metadata = {"label": ["cat", None, "dog"], "size": np.array([1, 2, 3]), "vector": [[1.0], [2.0, 3.0], []]}
    write_codes(path, CODES, ["a.jpg", "ü.jpg", "c.jpg"], metadata, model_path="models/m.onnx")
    assert_same(
        read_codes(path),
        CODES,
        ["a.jpg", "ü.jpg", "c.jpg"],
        {"label": ["cat", None, "dog"], "size": [1, 2, 3], "vector": [[1.0], [2.0, 3.0], []]},
        "models/m.onnx",
    )
    assert list(path.parent.iterdir()) == [path]


def test_other_programs_find_the_documented_columns(tmp_path):
    write_codes(tmp_path / "codes.parquet", CODES, [7, 8, 9], {"label": ["x", "y", "z"]})
    table = pq.read_table(tmp_path / "codes.parquet")
    assert table.column_names == ["key", "code", "label"]
    assert (table["key"].type, table["code"].type) == (pa.int64(), pa.binary(6))
    assert table["code"].to_pylist() == [row.tobytes() for row in CODES.packed()]
    assert table.schema.metadata == {
        b"ordhash.format": b"codes/1",
        b"ordhash.code_bits": b"48",
        b"ordhash.arity": b"4",
        b"ordhash.model_id": b"m1",
    }


def test_no_codes_and_no_metadata(tmp_path):
    empty = CODES[:0]
    write_codes(tmp_path / "codes.parquet", empty, [], {})
    assert_same(read_codes(tmp_path / "codes.parquet"), empty, [])


def test_metadata_of_the_users_schema_survive_but_ours_win():
    metadata = pa.table({"label": [1, 2, 3]}).replace_schema_metadata({b"pandas": b"{}", b"ordhash.arity": b"99"})
    found = table_to_codes(codes_to_table(CODES, metadata=metadata))
    assert found.codes.spec.arity == 4
    assert found.metadata.schema.metadata == {b"pandas": b"{}"}


def test_a_model_path_that_is_not_unicode_survives(tmp_path):
    name = os.fsdecode(b"m\xff.onnx")
    write_codes(tmp_path / "codes.parquet", CODES, model_path=name)
    assert read_codes(tmp_path / "codes.parquet").model_path == name


@pytest.mark.parametrize(
    "keys",
    [
        ["a", "b", "c"],
        ("a", "b", "c"),
        np.array(["a", "b", "c"]),
        np.array(["a", "b", "c"], dtype=object),
        pa.array(["a", "b", "c"]),
    ],
)
def test_string_keys_in_every_form(keys):
    found = CodeTable(CODES, keys).keys
    assert found.dtype == object
    assert [type(key) for key in found] == [str] * 3
    assert found.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("keys", [[5, 3, -1], np.array([5, 3, -1], dtype=np.int8), [np.int64(5), 3, np.int16(-1)]])
def test_integer_keys_in_every_form(keys):
    found = CodeTable(CODES, keys).keys
    assert found.dtype == np.int64
    assert found.tolist() == [5, 3, -1]


def test_keys_are_a_read_only_copy():
    keys = np.array([1, 2, 3])
    table = CodeTable(CODES, keys)
    keys[0] = 9
    assert table.keys.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        table.keys[0] = 9
    assert CodeTable(CODES).keys.tolist() == [0, 1, 2]
    assert len(table) == 3


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [1, 2, 3], [True, False, True], ["a", "b", "c"]])
def test_metadata_are_a_copy(values):
    given = np.array(values)
    table = CodeTable(CODES, metadata={"x": given, "every second": np.repeat(given, 2)[::2]})
    given[:] = given[0]
    assert table.metadata.to_pydict() == {"x": values, "every second": values}


def test_columns_of_pandas_are_copied_too():
    given = pytest.importorskip("pandas").Series([1.0, 2.0, 3.0])
    table = CodeTable(CODES, metadata={"x": given})
    given.iloc[0] = 9.0
    assert table.metadata["x"].to_pylist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["a", "b"], "there are 2 keys for 3 codes"),
        (["a", "b", "a"], "key 'a' is given more than once"),
        ([4, 2, 4], "key 4 is given more than once"),
        (["a", 2, "c"], "keys are of type int, str; allowed are all strings or all integers"),
        ([1.0, 2.0, 3.0], "keys are of type float"),
        ([True, False, 2], "keys are of type bool, int"),
        ([None, "a", "b"], "keys are of type NoneType, str"),
        ("abc", "keys are a str; allowed is a sequence"),
        (3, "keys are a int; allowed is a sequence"),
        (np.zeros((3, 1), dtype=int), r"keys have shape \(3, 1\)"),
        ([1, 2, 2**63], "does not fit into 64 bits"),
        (np.array([1, 2, 2**63], dtype=np.uint64), "key 9223372036854775808 does not fit into 64 bits"),
    ],
)
def test_bad_keys_are_refused(keys, sentence):
    with pytest.raises(InputError, match=sentence):
        CodeTable(CODES, keys)


def test_a_key_that_is_not_unicode_is_refused_when_written():
    with pytest.raises(InputError, match="not valid Unicode"):
        codes_to_table(CODES, ["a", "b", "\udcff"])


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"label": [1, 2]}, "metadata have 2 rows for 3 codes"),
        ({"label": [1, 2, 3], "other": [1]}, r"metadata columns have lengths \[1, 3\]"),
        ({"key": [1, 2, 3]}, "metadata have a column 'key'.*rename the column"),
        ({"code": [1, 2, 3]}, "metadata have a column 'code'"),
        ({"label": [1, "b", 3]}, "metadata column 'label'"),
        ({"label": [object(), 2, 3]}, "metadata column 'label'"),
        ([1, 2, 3], "metadata are a list; allowed are a pyarrow.Table and a mapping"),
        (pa.table([[1, 2, 3]] * 2, names=["x", "x"]), "2 columns named 'x'"),
        ({1: [1, 2, 3], "1": [4, 5, 6]}, "2 columns named '1'"),
        ({"\udcff": [1, 2, 3]}, "not valid Unicode"),
    ],
)
def test_bad_metadata_are_refused(metadata, sentence):
    with pytest.raises(InputError, match=sentence):
        CodeTable(CODES, metadata=metadata)


def changed(**entries):
    """A good table with other entries in the metadata of its schema; None removes one."""
    table = codes_to_table(CODES, ["a", "b", "c"])
    merged = dict(table.schema.metadata)
    for name, value in entries.items():
        merged[f"ordhash.{name}".encode()] = value
    return table.replace_schema_metadata({name: value for name, value in merged.items() if value is not None})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (pa.table({"x": [1]}), "no entry 'ordhash.format', so it was not written by ordhash"),
        (changed(format=b"index/1"), "format is 'index/1', and 'codes/1' is needed"),
        (changed(format=b"codes/2"), "format 'codes/2' is newer than 'codes/1'.*upgrade ordhash"),
        (changed(format=b"codes/x"), "version of 'codes'"),
        (changed(format=b"codes"), "version of 'codes'"),
        (changed(arity=None), "arity None"),
        (changed(arity=b"five"), "arity 'five'"),
        (changed(arity=b"5"), "arity '5'"),
        (changed(code_bits=b"96"), r"column 'code' is fixed_size_binary\[6\]; .* needs fixed_size_binary\[12\]"),
        (changed().drop_columns(["key"]), "0 columns named 'key'"),
        (changed().append_column("code", pa.array([1, 2, 3])), "2 columns named 'code'"),
        (changed().set_column(0, "key", pa.array(["a", None, "c"])), "column 'key' has 1 empty rows"),
        (changed().set_column(0, "key", pa.array(["a", "b", "a"])), "key 'a' is given more than once"),
        (changed().set_column(0, "key", pa.array([1.0, 2.0, 3.0])), "column 'key' is double"),
    ],
)
def test_a_table_that_is_not_ours_is_refused(table, sentence):
    with pytest.raises(DataError, match=sentence):
        table_to_codes(table)


def test_a_string_offset_that_points_outside_is_found_not_followed():
    offsets = np.array([0, 1, 1 << 30, 3], dtype=np.int32)
    keys = pa.StringArray.from_buffers(3, pa.py_buffer(offsets), pa.py_buffer(b"abc"))
    with pytest.raises(DataError, match="the table is damaged"):
        table_to_codes(changed().set_column(0, "key", keys))


def test_large_strings_and_small_integers_are_keys_too():
    assert table_to_codes(changed().set_column(0, "key", pa.array([3, 1, 2], pa.int8()))).keys.tolist() == [3, 1, 2]
    large = pa.array(["x", "y", "z"], pa.large_string())
    assert table_to_codes(changed().set_column(0, "key", large)).keys.tolist() == ["x", "y", "z"]


def test_files_that_are_not_ours_are_refused_by_name(tmp_path):
    path = tmp_path / "codes.parquet"
    with pytest.raises(DataError, match=r"codes\.parquet is missing: check the path"):
        read_codes(path)
    with pytest.raises(DataError, match="is a folder, not a file"):
        read_codes(tmp_path)
    for content in (b"", b"hello", b"PAR1" * 20):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"codes\.parquet.* not a Parquet file"):
            read_codes(path)
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(DataError, match=r"codes\.parquet: .* not written by ordhash"):
        read_codes(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "codes.parquet"
    write_codes(path, CODES, ["a", "b", "c"])
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="not a Parquet file"):
            read_codes(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "codes.parquet"
    write_codes(path, CODES)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            write_codes(path, CODES[:1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write_codes(path, CODES[:1])
    assert len(read_codes(path)) == 1


def test_places_that_cannot_hold_a_file_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere; create it"):
        write_codes(tmp_path / "nowhere" / "codes.parquet", CODES)
    with pytest.raises(InputError, match="it is a folder; give the name of a file"):
        write_codes(tmp_path, CODES)
