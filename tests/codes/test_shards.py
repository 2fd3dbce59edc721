"""Folders of shards: what is written comes back whole, and what is not complete is not taken for it."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.shards import Plan, is_leftover, read_failures, read_shards, shard_name, write_shard
from ordhash.codes.table import CodeTable
from ordhash.errors import DataError, ImageError
from ordhash.support.locations import Location

PLAN = Plan("photos", "digest", 20, 8, 48, 4, "model-a", "model.onnx")


def table(rows, places=None):
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 4, (20, 24), dtype=np.uint8)[rows]
    metadata = None if places is None else {"location": pa.array(places, pa.string())}
    codes = OrdinalCodes.from_symbols(symbols, arity=4, model_id="model-a")
    return CodeTable(codes, [f"{row}.jpg" for row in rows], metadata, "model.onnx")


@pytest.fixture
def folder(tmp_path):
    location = Location(str(tmp_path))
    PLAN.write(location)
    write_shard(location, 0, table(range(0, 8), ["sea"] * 8), [])
    write_shard(location, 1, table(range(8, 15), [None] * 7), [ImageError("15.jpg", "the file is empty; replace it")])
    write_shard(location, 2, table(range(16, 20), ["sky"] * 4), [])
    return location


def test_shards_come_back_as_one_table(folder, tmp_path):
    assert Plan.of(folder) == PLAN
    assert PLAN.n_shards == 3
    assert PLAN.missing(folder) == []
    rows = [*range(15), *range(16, 20)]
    found, expected = read_shards(folder), table(rows, ["sea"] * 8 + [None] * 7 + ["sky"] * 4)
    np.testing.assert_array_equal(found.codes.symbols, expected.codes.symbols)
    assert found.codes.model_id == "model-a"
    assert found.model_path == "model.onnx"
    assert found.keys.tolist() == expected.keys.tolist()
    assert found.metadata.equals(expected.metadata)
    assert [read_failures(folder, number, PLAN) for number in (0, 2)] == [[], []]
    [failure] = read_failures(folder, 1, PLAN)
    assert str(failure) == "15.jpg: the file is empty; replace it"
    assert pq.read_table(tmp_path).num_rows == 19  # any reader of Parquet takes the folder


def test_what_is_missing_is_known(folder, tmp_path):
    (tmp_path / shard_name(1)).unlink()
    (tmp_path / f".{shard_name(1)}.ab.tmp").write_bytes(b"half")
    assert PLAN.missing(folder) == [1]
    with pytest.raises(DataError, match="has 2 of 3 shards; run the same"):
        read_shards(folder)


def test_shards_without_any_code(tmp_path):
    location = Location(str(tmp_path))
    plan = Plan("photos", "digest", 8, 8, 48, 4, "model-a", "model.onnx")
    plan.write(location)
    write_shard(location, 0, table([]), [ImageError(str(row), "empty") for row in range(8)])
    assert len(read_shards(location)) == 0
    assert len(read_failures(location, 0, plan)) == 8


def test_damage_is_named(folder, tmp_path):
    (tmp_path / shard_name(2)).write_bytes(b"nothing of that kind")
    with pytest.raises(DataError, match=r"part-00000002\.parquet is damaged.*encode again"):
        read_shards(folder)
    with pytest.raises(DataError, match=r"part-00000002\.parquet is damaged"):
        read_failures(folder, 2, PLAN)
    (tmp_path / "_encoding.json").write_text("{")
    with pytest.raises(DataError, match=r"_encoding\.json is damaged"):
        read_shards(folder)
    (tmp_path / "_encoding.json").write_text('{"format": "encoding/2"}')
    with pytest.raises(DataError, match="newer version; upgrade"):
        read_shards(folder)


@pytest.mark.parametrize("error", [ConnectionResetError("reset by peer"), EOFError("reset by peer")])
@pytest.mark.parametrize(
    ("method", "name"), [("read", "_encoding.json"), ("open", shard_name(1)), ("read", shard_name(1))]
)
def test_what_cannot_be_read_is_not_called_damaged(folder, monkeypatch, method, name, error):
    works = getattr(Location, method)

    def broken(location):
        if location.path.endswith(name):
            raise error
        return works(location)

    monkeypatch.setattr(Location, method, broken)
    with pytest.raises(DataError, match=r"cannot be read \(reset by peer") as caught:
        read_shards(folder)
    assert not re.search("damaged|delete|another folder", str(caught.value))


def test_a_shard_of_a_newer_version_is_not_called_damaged(folder, monkeypatch):
    monkeypatch.setattr("ordhash.codes.shards.CODES_FORMAT", "codes/0")
    with pytest.raises(DataError, match="upgrade") as caught:
        read_failures(folder, 1, PLAN)
    assert "damaged" not in str(caught.value)


def test_a_shard_of_another_encoding_is_refused(folder):
    rows = range(8, 15)
    other = OrdinalCodes(table(rows).codes.symbols, table(rows).codes.spec, "model-b")
    write_shard(folder, 1, CodeTable(other, [str(row) for row in rows]), [ImageError("15.jpg", "empty")])
    with pytest.raises(DataError, match=r"part-00000001\.parquet .* another encoding"):
        read_shards(folder)
    write_shard(folder, 1, table(rows), [])  # a row is missing
    with pytest.raises(DataError, match=r"part-00000001\.parquet .* another encoding"):
        read_failures(folder, 1, PLAN)


def test_a_folder_of_something_else(tmp_path):
    location = Location(str(tmp_path))
    assert Plan.of(location) is None
    with pytest.raises(DataError, match="`ordhash encode --engine ray`"):
        read_shards(location)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("part-00000001.parquet", False),
        (".part-00000001.parquet.0a.tmp", True),
        ("_encoding.json", False),
        ("_images.parquet", True),
        ("_model.onnx", True),
        ("part-1.parquet", False),
        ("_success", False),
        ("cat.jpg", False),
    ],
)
def test_what_nobody_misses(name, expected):
    assert is_leftover(name) is expected
