"""The file of an index: what is in it, and what is refused."""

import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.file import codes_to_table, write_codes
from ordhash.errors import DataError
from ordhash.index import OrdinalIndex
from ordhash.index.planes import BLOCK, PlaneCodes
from ordhash.support import SEAL

SPEC = CodeSpec(12, 4)


def random_codes(n, seed=0, model_id="m1", kinds=4):
    symbols = np.random.default_rng(seed).integers(0, kinds, (n, SPEC.n_segments))
    return OrdinalCodes(symbols.astype(np.uint8), SPEC, model_id)


@pytest.fixture
def index():
    return OrdinalIndex(
        random_codes(40), [f"img{i}" for i in range(40)], {"label": np.arange(40) % 3}, model_path="m.onnx"
    )


def test_other_programs_find_the_documented_columns(index, tmp_path):
    index.save(tmp_path / "photos.index")
    with pa.memory_map(str(tmp_path / "photos.index")) as source:
        table = pa.ipc.open_file(source).read_all()
        assert table.column_names == ["count", "planes", "offsets", "rows", "items"]
        assert table.schema.metadata[b"ordhash.format"] == b"index/2"
        assert table.schema.metadata[b"ordhash.arity"] == b"4"
        row = table.to_pylist()[0]
    assert (row["count"], row["offsets"], row["rows"]) == (40, [], [])
    assert row["planes"] == PlaneCodes.of(index.codes).blocks.tobytes()
    assert row["items"] == [{"key": f"img{i}", "label": i % 3} for i in range(40)]


def test_numbered_items_without_metadata_take_no_room(tmp_path):
    path = tmp_path / "numbered.index"
    OrdinalIndex(random_codes(BLOCK)).save(path)
    assert path.stat().st_size < 1.15 * BLOCK * SPEC.packed_bytes
    loaded = OrdinalIndex.load(path)
    assert loaded.search(loaded.codes[5:6], top_k=1, where=[5]).keys.tolist() == [[5]]


def test_distinct_codes_come_back_as_such(tmp_path):
    codes = OrdinalCodes(np.tile(random_codes(3 * BLOCK, kinds=2).symbols, 4), CodeSpec(48, 4))
    index = OrdinalIndex(codes)
    index.save(tmp_path / "repeated.index")
    loaded = OrdinalIndex.load(tmp_path / "repeated.index")
    assert loaded.stats == index.stats
    assert (loaded.stats.method, loaded.stats.distinct) == ("distinct", 64)
    np.testing.assert_array_equal(loaded.codes.symbols, codes.symbols)


def test_a_key_that_is_missing_is_refused(index, tmp_path):
    path = tmp_path / "photos.index"
    index.save(path)
    table = pa.ipc.open_file(path).read_all()
    items = [{"key": None, "label": 1}] * 40
    changed = table.set_column(4, table.schema.field("items"), pa.array([items], table["items"].type))
    with pa.ipc.new_file(path, changed.schema) as writer:
        writer.write_table(changed)
    with pytest.raises(DataError, match="keys are large_string with 40 missing"):
        OrdinalIndex.load(path)


def test_a_file_whose_name_is_not_valid_unicode(index, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.index"))
    index.save(path)
    assert len(OrdinalIndex.load(path)) == 40


def test_a_map_of_the_file_is_not_written_to(index, tmp_path):
    index.save(tmp_path / "photos.index")
    before = (tmp_path / "photos.index").read_bytes()
    loaded = OrdinalIndex.load(tmp_path / "photos.index")
    loaded.add(random_codes(2), ["x", "y"], {"label": [7, 8]})
    loaded.delete(["img3", "x"])
    assert len(loaded) == 40
    assert (tmp_path / "photos.index").read_bytes() == before


def test_arrays_that_contradict_each_other_are_refused(tmp_path):
    """Compiled code trusts the arrays, so a file that lies about them must not get that far."""
    path = tmp_path / "repeated.index"
    codes = OrdinalCodes(np.tile(random_codes(3 * BLOCK, kinds=2).symbols, 4), CodeSpec(48, 4))
    OrdinalIndex(codes, metadata={"a": np.arange(len(codes))}).save(path)
    table = pa.ipc.open_file(path).read_all()
    n, offsets, rows = (table[name][0].as_py() for name in ("count", "offsets", "rows"))

    def refused(name, value, sentence):
        column = pa.array([value], table[name].type)
        changed = table.set_column(table.column_names.index(name), table.schema.field(name), column)
        unsealed = {key: text for key, text in table.schema.metadata.items() if key != SEAL.encode()}
        changed = changed.replace_schema_metadata(unsealed)
        with pa.ipc.new_file(path, changed.schema) as writer:
            writer.write_table(changed)
        with pytest.raises(DataError, match=sentence):
            OrdinalIndex.load(path)

    refused("count", n + 1, "do not fit")
    refused("count", -1, "do not fit")
    refused("planes", b"short", "do not fit")
    refused("offsets", [*offsets[:-1], n + 7], "do not fit")
    refused("offsets", [0, *offsets[2:], n], "do not fit")
    refused("offsets", offsets[:-1], "do not fit")
    refused("rows", [*rows[:-1], n], "do not fit")
    refused("rows", rows[:-1], "do not fit")
    refused("rows", [None, *rows[1:]], "missing")
    refused("items", [None] * len(codes), "missing")
    refused("items", [{"key": 1, "a": 1}], "column 'items' holds 1 struct.* for 49152 codes")
    swapped = [rows[1], rows[0], *rows[2:]]
    refused("rows", swapped, "do not fit")
    refused("rows", [rows[0], rows[0], *rows[2:]], "do not fit")
    for changed in (table.drop_columns(["rows"]), table.slice(0, 0), table.select(["items", *table.column_names[:4]])):
        with pa.ipc.new_file(path, changed.schema) as writer:
            writer.write_table(changed)
        with pytest.raises(DataError, match="build the index again"):
            OrdinalIndex.load(path)


def test_files_that_are_not_an_index_are_refused_by_name(tmp_path):
    path = tmp_path / "photos.index"
    with pytest.raises(DataError, match=r"photos\.index is missing: check the path"):
        OrdinalIndex.load(path)
    with pytest.raises(DataError, match="is a folder, not a file"):
        OrdinalIndex.load(tmp_path)
    for content in (b"", b"hello", b"ARROW1\0\0" * 9):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"photos\.index is not an index or is damaged"):
            OrdinalIndex.load(path)
    write_codes(path, random_codes(2))
    with pytest.raises(DataError, match=r"photos\.index is not an index or is damaged"):
        OrdinalIndex.load(path)


@pytest.mark.parametrize(
    ("file_format", "sentence"),
    [
        ("codes/1", "format is 'codes/1', and 'index/2' is needed"),
        ("index/1", "it holds 2 rows of key, code: build the index again"),
        ("index/3", "'index/3' is newer.*upgrade ordhash"),
    ],
)
def test_an_arrow_file_of_another_format_is_refused(tmp_path, file_format, sentence):
    path = tmp_path / "photos.index"
    table = codes_to_table(random_codes(2), file_format=file_format)
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match=rf"photos\.index: .*{sentence}"):
        OrdinalIndex.load(path)


def test_a_truncated_index_is_refused(index, tmp_path):
    path = tmp_path / "photos.index"
    index.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 29):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="is not an index or is damaged"):
            OrdinalIndex.load(path)


def test_every_damaged_byte_is_refused_or_harmless(index, tmp_path):
    """ORDHASH_TEST_FLIPS=1000 damages more of them."""
    flips = int(os.environ.get("ORDHASH_TEST_FLIPS", "300"))
    path = tmp_path / "photos.index"
    index.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    names_of_column = [found.start() for found in re.finditer(b"label", whole)]
    for position in [*names_of_column, *rng.choice(len(whole), flips, replace=False)]:
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            loaded = OrdinalIndex.load(path)
        except DataError:
            refused += 1
        else:  # only the seal itself
            np.testing.assert_array_equal(loaded.codes.symbols, index.codes.symbols)
            assert loaded.keys.tolist() == index.keys.tolist()
            assert loaded.metadata.equals(index.metadata)
    assert refused > 0.75 * flips
