"""Serving from a real Milvus server: the answers of the embedded index, in step with it, whatever happens between."""

import datetime as dt
import json
import threading
import uuid

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

pytest.importorskip("pymilvus", reason="needs ordhash[cluster]")

from pymilvus import DataType, MilvusClient

from ordhash.cli import app
from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.file import read_codes
from ordhash.codes.parts import PartCodes
from ordhash.codes.table import CodeTable
from ordhash.collection import Collection
from ordhash.errors import InputError, ServerError
from ordhash.index import OrdinalIndex
from ordhash.index.conditions import Condition, rows_that_meet
from ordhash.milvus.index import MilvusIndex, PushReport, collection_name
from ordhash.milvus.table import MilvusTable

# A server that was killed takes up to a minute to load what it had, on a machine that has more to do.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

MADE_UP_LABELS = ["c1", "c1;c2", "c12", "", 'say "ah";c2', "a%;c\\1", "c2"]
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def made_up(n, *, arity=4, segments=24, seed=0, model_id="model-a"):
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, arity, (n, segments), dtype=np.uint8)
    codes = OrdinalCodes.from_symbols(symbols, arity=arity, model_id=model_id)
    keys = [f'folder {row % 3}/it\'s "{row}" \\ é\n.jpg' if row % 7 == 0 else f"{row}.jpg" for row in range(n)]
    metadata = pa.table(
        {
            "size": pa.array(rng.integers(0, 1000, n), pa.int64()),
            "share": pa.array(rng.random(n)),
            "labels": pa.array([None if row % 5 == 0 else MADE_UP_LABELS[row % 7] for row in range(n)], pa.string()),
            "folder": pa.array([f'a "{row % 3}"' for row in range(n)]),
            "modified": pa.array([START + dt.timedelta(days=row % 60) for row in range(n)], pa.timestamp("us", "UTC")),
            "kept": pa.array([row % 2 == 0 for row in range(n)]),
            'höhe "über" 0': pa.array([None if row % 3 == 0 else row % 50 for row in range(n)], pa.int32()),
            "taken": pa.array(
                [None if row % 4 else START + dt.timedelta(hours=row) for row in range(n)], pa.timestamp("ms")
            ),
            "in": pa.array([None if row % 6 else row / 7 for row in range(n)], pa.float64()),
        }
    )
    return CodeTable(codes, keys, metadata, "model.onnx")


def taken(table, rows):
    rows = np.asarray(rows)
    metadata = None if table.metadata is None else table.metadata.take(pa.array(rows))
    return CodeTable(table.codes[rows], table.keys[rows], metadata, table.model_path)


def assert_same_answers(milvus_index, table, queries, top_k=10, conditions=()):
    """As the embedded index finds them; of those that are as far as the last one, which are there is left open."""
    index = OrdinalIndex(table.codes, table.keys, table.metadata)
    conditions = [Condition.parse(text) for text in conditions]
    local = index.search(queries, top_k=top_k, where=rows_that_meet(index, conditions))
    found = milvus_index.nearest(queries, top_k=top_k, conditions=conditions)
    assert len(found) == len(queries)
    known = dict(
        zip(
            table.keys.tolist(),
            [{}] * len(table) if table.metadata is None else table.metadata.to_pylist(),
            strict=True,
        )
    )
    for keys, distances, answers in zip(local.keys.tolist(), local.distances, found, strict=True):
        np.testing.assert_array_equal([answer.distance for answer in answers], distances)
        last = distances.max(initial=0)
        assert {k for k, d in zip(keys, distances, strict=True) if d < last} == {
            answer.key for answer in answers if answer.distance < last
        }
        assert [answer.metadata for answer in answers] == [known[answer.key] for answer in answers]


def assert_same_table(found, expected):
    order = np.argsort(expected.keys)
    assert found.keys.tolist() == expected.keys[order].tolist()
    np.testing.assert_array_equal(found.codes.symbols, expected.codes.symbols[order])
    assert found.codes.model_id == expected.codes.model_id
    assert found.model_path == expected.model_path
    if expected.metadata is None:
        assert found.metadata is None
    else:
        assert found.metadata.equals(expected.metadata.take(pa.array(order)))


@pytest.fixture
def index(milvus):
    made = MilvusIndex(milvus.uri, f"t_{uuid.uuid4().hex}")
    yield made
    made.close()


@pytest.mark.parametrize(("arity", "segments"), [(2, 48), (4, 24), (16, 12), (256, 3)])
def test_the_same_nearest_as_the_embedded_index(index, arity, segments):
    table = made_up(3000, arity=arity, segments=segments)
    assert index.push(table) == PushReport(3000, 0, 0)
    assert len(index) == 3000
    queries = made_up(50, arity=arity, segments=segments, seed=1).codes
    assert_same_answers(index, table, queries)
    assert_same_answers(index, table, table.codes[:20], top_k=100)


@pytest.mark.parametrize(
    "conditions",
    [
        ["size>=900"],
        ["size<100", "kept=true"],
        ["labels=c1"],
        ["labels!=c1"],
        ['labels=say "ah"'],
        ["labels=c1;c2"],
        ["labels!=c1;c2"],
        ["labels="],
        ["labels!="],
        ["labels=c1", "labels!=c2"],
        ['folder=a "1"'],
        ["share>0.5"],
        ["modified>=2024-01-20", "modified<2024-02-01T00:00:00"],
        ["modified>=2024-01-20T00:00:00+09:00"],
        ["kept!=true"],
        ["size>100000"],
        ['höhe "über" 0>=25', 'höhe "über" 0!=30'],
        ["taken<2024-02-01"],
        ["in>100.5", "in!=120"],
    ],
)
def test_filters_are_those_of_the_embedded_index(milvus, conditions):
    table = made_up(2000)
    index = MilvusIndex(milvus.uri, "filters")
    index.push(table)  # the second time nothing is sent
    queries = made_up(10, seed=1).codes
    assert_same_answers(index, table, queries, conditions=conditions)


def test_a_push_brings_in_step_in_both_directions(index):
    table = made_up(5000)
    index.push(table)
    assert index.push(table) == PushReport(0, 0, 5000)
    # Other codes of some, other metadata of some, some gone, some new.
    symbols = table.codes.symbols.copy()
    symbols[100:150] = symbols[200:250]
    sizes = table.metadata["size"].to_numpy().copy()
    sizes[1000:1010] = -1
    changed = CodeTable(
        OrdinalCodes(symbols, table.codes.spec, table.codes.model_id),
        table.keys,
        table.metadata.set_column(0, "size", pa.array(sizes)),
        table.model_path,
    )
    rows = np.r_[0:4000, 4500:5000]
    changed = taken(changed, rows)
    assert index.push(changed) == PushReport(60, 500, 4440)
    assert_same_answers(index, changed, made_up(20, seed=1).codes)
    assert_same_table(index.pull(), changed)
    # And what is deleted comes back when it is there again.
    assert index.push(table).upserted == 500 + 60
    assert_same_table(index.pull(), table)
    # The other way: an index made of what the server holds answers as the server does.
    pulled = index.pull()
    assert_same_answers(index, pulled, made_up(20, seed=2).codes)


def test_the_server_is_killed_and_started_again(milvus, index):
    table = made_up(5000)
    index.push(table)
    queries = made_up(20, seed=1).codes
    before = index.nearest(queries)
    milvus.kill()
    index.close()
    with pytest.raises(ServerError, match="cannot be reached"):
        len(MilvusIndex(milvus.uri, index.name, timeout=2))
    milvus.start()
    again = MilvusIndex(milvus.uri, index.name, timeout=200)
    distances = [
        [[answer.distance for answer in answers] for answers in found] for found in (before, again.nearest(queries))
    ]
    assert distances[0] == distances[1]
    assert_same_answers(again, table, queries)
    assert again.push(table) == PushReport(0, 0, 5000)
    assert_same_table(again.pull(), table)


def test_a_server_that_goes_away_in_the_middle_of_a_push(milvus, monkeypatch):
    table = made_up(10_000)
    index = MilvusIndex(milvus.uri, f"t_{uuid.uuid4().hex}", timeout=200)
    send, sent = MilvusClient.upsert, []

    def upsert(client, *arguments, **named):
        index._whole._timeout = 3  # from now on: before, the server may still be busy with what the last test did to it
        if len(sent) == 2:
            milvus.kill()
        sent.append(send(client, *arguments, **named))

    monkeypatch.setattr(MilvusClient, "upsert", upsert)
    with pytest.raises(ServerError, match=r"4096 of 10000 rows were written: .*Milvus server at"):
        index.push(table)
    index.close()
    monkeypatch.undo()
    milvus.start()
    again = MilvusIndex(milvus.uri, index.name, timeout=200)
    report = again.push(table)
    assert report.unchanged >= 4096  # what was acknowledged is there
    assert report.upserted == 10_000 - report.unchanged
    assert_same_table(again.pull(), table)


def test_a_server_that_is_away_for_a_moment_is_waited_for(milvus, monkeypatch):
    table = made_up(6000)
    index = MilvusIndex(milvus.uri, f"t_{uuid.uuid4().hex}", timeout=200)
    send, sent = MilvusClient.upsert, []

    def upsert(client, *arguments, **named):
        if len(sent) == 1:
            milvus.kill()
            threading.Timer(1.0, milvus.start).start()
        sent.append(None)
        return send(client, *arguments, **named)

    monkeypatch.setattr(MilvusClient, "upsert", upsert)
    assert index.push(table) == PushReport(6000, 0, 0)
    assert_same_table(index.pull(), table)


def test_what_was_interrupted_while_it_was_made_is_completed(milvus, monkeypatch):
    table = made_up(100)
    index = MilvusIndex(milvus.uri, f"t_{uuid.uuid4().hex}")
    monkeypatch.setattr(MilvusTable, "_load", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        index.push(table)
    monkeypatch.undo()
    assert index.push(table) == PushReport(100, 0, 0)
    assert_same_answers(index, table, table.codes[:3])


def test_numbered_items_and_no_metadata(index):
    codes = made_up(500).codes
    table = CodeTable(codes)
    index.push(table)
    assert_same_answers(index, table, codes[:5])
    assert_same_table(index.pull(), CodeTable(codes, model_path=None))
    assert index.push(taken(table, range(250))).deleted == 250


def test_nothing_is_a_collection_too(index):
    table = made_up(100)
    index.push(taken(table, range(0, 100)))
    none = taken(table, np.arange(0))
    assert index.push(none) == PushReport(0, 100, 0)
    assert len(index) == 0
    assert index.nearest(table.codes[:2]) == [(), ()]
    assert len(index.pull()) == 0


def test_long_texts_go_in_smaller_batches(index):
    table = made_up(300)
    texts = pa.array(["x" * 60_000 + str(row) for row in range(300)])
    table = CodeTable(table.codes, table.keys, {"text": texts}, table.model_path)
    assert index.push(table).upserted == 300
    assert_same_table(index.pull(), table)


def test_more_rows_than_one_answer_holds_are_read(index, monkeypatch):
    monkeypatch.setattr("ordhash.milvus.table.MOST_ROWS", 100)
    monkeypatch.setattr("ordhash.milvus.table.ROWS_A_READ", 90)
    table = made_up(3000)
    index.push(table)
    assert_same_table(index.pull(), table)


@pytest.mark.parametrize("consistency", ["strong", "bounded", "session", "eventually"])
def test_consistency(milvus, consistency):
    table = made_up(2000)
    MilvusIndex(milvus.uri, "filters").push(table)
    found = MilvusIndex(milvus.uri, "filters", consistency=consistency).nearest(table.codes[:3], top_k=1)
    assert [[answer.distance for answer in answers] for answers in found] == [[0]] * 3


def test_values_that_do_not_fit_are_refused_before_anything_is_written(index):
    table = made_up(100)
    index.push(table)
    for column, why in (
        (
            pa.array([1 << 63] * 100, pa.uint64()),
            "holds 9223372036854775808, which does not fit into 64 bits with sign",
        ),
        (pa.array(["é" * 40_000] * 100), "holds a text of 80000 bytes; Milvus keeps 65535"),
    ):
        with pytest.raises(InputError, match=why):
            index.push(CodeTable(table.codes, table.keys, {"odd": column}, table.model_path), replace=True)
    assert_same_table(index.pull(), table)


def test_replace_goes_on_where_it_was(index):
    index.push(made_up(100, model_id="model-b"))
    table = made_up(3000)
    assert index.push(table, replace=True) == PushReport(3000, 0, 0)
    assert index.push(table, replace=True) == PushReport(0, 0, 3000)


def test_codes_that_do_not_belong_there_are_refused_and_nothing_is_lost(index):
    table = made_up(100)
    index.push(table)
    with pytest.raises(InputError, match=r"has CodeSpec.*48.*and these codes CodeSpec.*96.*--replace"):
        index.push(made_up(100, segments=48))
    with pytest.raises(InputError, match=r"'model-a' .* 'model-b'"):
        index.push(made_up(100, model_id="model-b"))
    with pytest.raises(InputError, match=r"has the columns size \(int64\).* and these codes none"):
        index.push(CodeTable(table.codes, table.keys))
    with pytest.raises(InputError, match=r"keys of .* are strings and these are not"):
        index.push(CodeTable(table.codes, None, table.metadata))
    sizes = pa.array([None, *range(99)], pa.int64())
    with pytest.raises(InputError, match="'size' has rows without a value"):
        index.push(CodeTable(table.codes, table.keys, table.metadata.set_column(0, "size", sizes)))
    assert_same_table(index.pull(), table)
    # Two folders of one name, both with the general model, would else delete each other's photographs.
    general = made_up(100, model_id="general")
    assert index.push(general, replace=True, source="/a/photos.ordhash").upserted == 100
    with pytest.raises(InputError, match=r"/a/photos.ordhash, not from /b/photos.ordhash"):
        index.push(taken(general, range(10)), source="/b/photos.ordhash")
    assert index.push(general, source="/a/photos.ordhash").unchanged == 100
    other = made_up(50, segments=48, model_id="model-b")
    assert index.push(other, replace=True) == PushReport(50, 0, 0)
    assert_same_table(index.pull(), other)


def test_queries_that_do_not_belong_there_are_refused(index):
    table = made_up(100)
    index.push(table)
    with pytest.raises(InputError, match="48"):
        index.nearest(made_up(1, segments=48).codes)
    with pytest.raises(InputError, match="model-b"):
        index.nearest(made_up(1, model_id="model-b").codes)
    with pytest.raises(InputError, match="top_k is 20000; Milvus gives at most 16384"):
        index.nearest(table.codes, top_k=20_000)
    with pytest.raises(InputError, match="no column 'sise'"):
        index.nearest(table.codes, conditions=[Condition.parse("sise=1")])


def test_collections_of_others_are_left_alone(milvus):
    client = MilvusClient(milvus.uri)
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.BINARY_VECTOR, dim=8)
    client.create_collection("theirs", schema=schema)
    with pytest.raises(InputError, match=r"theirs at .* was not made by ordhash"):
        MilvusIndex(milvus.uri, "theirs").push(made_up(10))
    with pytest.raises(InputError, match=r"theirs at .* was not made by ordhash"):
        MilvusIndex(milvus.uri, "theirs").push(made_up(10), replace=True)
    assert client.has_collection("theirs")
    with pytest.raises(InputError, match=r"there is no their at .*did you mean theirs"):
        len(MilvusIndex(milvus.uri, "their"))


@pytest.mark.parametrize(
    ("uri", "name", "why"),
    [
        ("localhost:19530", "photos", "give its address, as http://localhost:19530"),
        ("photos.db", "photos", "give its address"),
        ("http://me:secret@localhost:abc", "photos", "the server is 'http://localhost:abc'; give its address"),
        ("http://localhost:19530", "my photos", "as 'my_photos'"),
    ],
)
def test_wrong_addresses_and_names(uri, name, why):
    with pytest.raises(InputError, match=why):
        MilvusIndex(uri, name)


def test_an_unreachable_server_is_one_sentence():
    with pytest.raises(ServerError, match=r"^the Milvus server at http://127.0.0.1:9 cannot be reached"):
        MilvusIndex("http://127.0.0.1:9", "photos", timeout=1)


def test_names_of_collections():
    assert collection_name("/a/b/My Photos (2024).ordhash") == "My_Photos__2024__ordhash"
    assert collection_name("2024") == "_2024"


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def with_parts(table, seed=0):
    """The table, each item with up to three parts, some nearer to others' codes than the wholes are."""
    rng = np.random.default_rng(seed)
    owners = np.sort(rng.choice(len(table), len(table) // 2))
    owners = owners[np.arange(len(owners)) - np.searchsorted(owners, owners) < 3]
    symbols = rng.integers(0, table.codes.spec.arity, (len(owners), table.codes.spec.n_segments), dtype=np.uint8)
    edges = np.sort(rng.integers(0, 255, (len(owners), 2, 2)), axis=1).astype(np.uint8)
    edges[:, 1] += edges[:, 0] == edges[:, 1]
    parts = PartCodes(
        OrdinalCodes(symbols, table.codes.spec, table.codes.model_id), owners, edges.reshape(len(owners), 4)
    )
    return CodeTable(table.codes, table.keys, table.metadata, table.model_path, parts)


@pytest.mark.parametrize("conditions", [[], ["size<300"]])
def test_parts_find_what_they_find_in_the_embedded_index(index, conditions):
    table = with_parts(made_up(1000))
    assert index.push(table) == PushReport(1000, 0, 0, len(table.parts))
    queries = made_up(20, seed=1).codes
    queries = OrdinalCodes(
        np.concatenate([queries.symbols, table.parts.codes.symbols[::40]]), queries.spec, queries.model_id
    )
    local = OrdinalIndex(table.codes, table.keys, table.metadata, parts=table.parts)
    where = rows_that_meet(local, [Condition.parse(text) for text in conditions])
    expected = local.search(queries, top_k=10, parts=True, where=where)
    found = index.nearest(queries, top_k=10, conditions=[Condition.parse(text) for text in conditions], parts=True)
    columns = table.metadata.to_pylist()
    by_parts = 0
    for answers, keys, distances, boxes, rows in zip(
        found, expected.keys.tolist(), expected.distances, expected.boxes, expected.rows.tolist(), strict=True
    ):
        np.testing.assert_array_equal([answer.distance for answer in answers], distances)
        box_of, row_of = dict(zip(keys, boxes.tolist(), strict=True)), dict(zip(keys, rows, strict=True))
        nearer = [answer for answer in answers if answer.distance < distances.max()]
        assert {answer.key for answer in nearer} == {
            key for key, distance in zip(keys, distances, strict=True) if distance < distances.max()
        }
        for answer in nearer:
            assert list(answer.box or (0, 0, 1, 1)) == box_of[answer.key]
            assert answer.metadata == columns[row_of[answer.key]]
            by_parts += answer.box is not None
    assert by_parts >= 3
    assert all(answer.box is None for answers in index.nearest(queries, top_k=10) for answer in answers)


def test_parts_come_back_and_go(index):
    table = with_parts(made_up(300))
    index.push(table)
    pulled = index.pull()
    order = np.argsort(table.keys)
    assert_same_table(pulled, table)
    assert pulled.parts.packed(300) == [table.parts.packed(300)[row] for row in order]
    assert index.push(pulled) == PushReport(0, 0, 300, len(table.parts))
    with pytest.raises(InputError, match="top_k is 3000; Milvus gives at most 2048 with parts"):
        index.nearest(table.codes[:1], top_k=3000, parts=True)
    none = CodeTable(
        table.codes, table.keys, table.metadata, table.model_path, PartCodes.none(table.codes.spec, "model-a")
    )
    assert index.push(none).parts == 0
    assert index.nearest(table.codes[:1], top_k=1, parts=True)[0][0].distance == 0
    assert index.push(made_up(300)) == PushReport(0, 0, 300)
    assert index.pull().parts is None
    with pytest.raises(InputError, match="holds no parts"):
        index.nearest(table.codes[:1], parts=True)


def test_the_commands(milvus, photo_collection, photo_folder, tmp_path):
    query = photo_folder / "apple" / "apple_0.jpg"
    pushed = run("push", photo_collection, "--milvus", milvus.uri)
    assert pushed.exit_code == 0, pushed.stderr
    assert "photos_collection at http" in pushed.stdout
    assert "18 written, 0 deleted, 0 unchanged" in pushed.stdout

    options = ("--json", "--where", "folder=apple", "--top-k", 4)
    here = json.loads(run("search", photo_collection, query, *options).stdout)["results"]
    for place in ("photos_collection", photo_collection):
        there = run("search", place, query, *options, "--milvus", milvus.uri)
        assert there.exit_code == 0, there.stderr
        found = json.loads(there.stdout)["results"]
        assert [answer["distance"] for answer in found] == [answer["distance"] for answer in here]
        assert {answer["metadata"]["folder"] for answer in found} == {"apple"}
        assert [answer["likelihood"] for answer in found] == [answer["likelihood"] for answer in here]

    options = ("--json", "--parts", "--top-k", 4)
    here, there = (run("search", photo_collection, query, *options, *more) for more in ((), ("--milvus", milvus.uri)))
    found, expected = (json.loads(one.stdout)["results"] for one in (there, here))
    assert [answer["distance"] for answer in found] == [answer["distance"] for answer in expected]

    out = tmp_path / "codes.parquet"
    assert run("pull", "photos_collection", out, "--milvus", milvus.uri).exit_code == 0
    pulled, kept = read_codes(out), Collection(photo_collection).codes()
    assert_same_table(pulled, kept)
    assert pulled.parts.packed(18) == [kept.parts.packed(18)[row] for row in np.argsort(kept.keys)]
    named = run("push", out, "--milvus", milvus.uri, "--name", "other", "--json")
    assert json.loads(named.stdout) == {
        "name": "other",
        "milvus": milvus.uri,
        "upserted": 18,
        "deleted": 0,
        "unchanged": 0,
        "parts": len(pulled.parts),
    }

    Collection(photo_collection).delete(["apple/apple_0.jpg"])
    assert "0 written, 1 deleted, 17 unchanged" in run("push", photo_collection, "--milvus", milvus.uri).stdout


def test_what_the_commands_refuse(milvus, photo_collection, photo_folder, tmp_path):
    query = photo_folder / "apple" / "apple_0.jpg"
    missing = run("search", "nowhere", query, "--milvus", milvus.uri)
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "nowhere" in missing.stderr
    assert milvus.uri in missing.stderr
    away = run("push", photo_collection, "--milvus", "http://127.0.0.1:9")
    assert away.exit_code == 1
    assert away.stderr.count("\n") == 1
    assert "cannot be reached" in away.stderr
    assert "give a collection" in run("push", tmp_path, "--milvus", milvus.uri).stderr
    assert run("push", photo_collection, "--milvus", milvus.uri, "--replace").exit_code == 0
    finer = run("search", photo_collection, query, "--asymmetric", "--milvus", milvus.uri)
    assert "asymmetric distance" in finer.stderr
    assert finer.exit_code == 2
