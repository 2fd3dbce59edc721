"""Encoding on a real Ray cluster: what one machine writes, whatever happens to the workers."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("ray", reason="needs ordhash[cluster]")

from ordhash.cli import app
from ordhash.codes.file import write_codes
from ordhash.codes.shards import Plan, read_failures, read_shards, shard_name
from ordhash.errors import DataError, InputError, ServerError
from ordhash.model.encoder import Encoder
from ordhash.ray.encoding import encode_on_ray
from ordhash.support.locations import Location

pytestmark = [
    pytest.mark.cluster,
    # Ray leaves sockets and files of its own open, and its processes to themselves.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray", "ignore:.*:DeprecationWarning:ray"),
    # Of the FTP server, with the Python of today.
    pytest.mark.filterwarnings("ignore:The asyn:DeprecationWarning"),
]


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def on_one_machine(source, model, out):
    run("encode", source, "--model", model, "--out", out)
    return out.read_bytes()


def as_one_file(folder, out):
    table = read_shards(Location(str(folder)))
    write_codes(out, table.codes, table.keys, table.metadata, model_path=table.model_path)
    return out.read_bytes()


def workers_of(folder):
    """Who encoded the shards that are there."""
    return {pq.read_schema(path).metadata[b"ordhash.worker"] for path in folder.glob("part-*")}


@pytest.fixture
def sources(photo_folder, bad_files, tmp_path):
    """The same photographs, one of them bad, in every form that can be given."""
    shutil.copy(bad_files["truncated"], photo_folder / "banana" / "banana_9.jpg")
    files = sorted(photo_folder.rglob("*.jpg"))
    names = [str(path.relative_to(tmp_path)) for path in files]
    labels = [f"{path.parent.name}; {path.name[-5]}" if n % 4 else "" for n, path in enumerate(files)]
    more = {"labels": labels, "size": [path.stat().st_size for path in files], "note": [None] * 10 + ["x"] * 9}
    table = pa.table({"path": names, "key": [f"k{n}" for n in range(len(files))], **more})
    pa.csv.write_csv(table, tmp_path / "list.csv")
    pq.write_table(table, tmp_path / "list.parquet")
    contents = [path.read_bytes() for path in files]
    pq.write_table(pa.table({"image": contents, **more}), tmp_path / "pictures.parquet", row_group_size=5)
    structs = [{"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)]
    pq.write_table(pa.table({"image": structs, "key": names}), tmp_path / "structs.parquet", row_group_size=7)
    return {
        "folder": photo_folder,
        "csv": tmp_path / "list.csv",
        "parquet": tmp_path / "list.parquet",
        "pictures": tmp_path / "pictures.parquet",
        "structs": tmp_path / "structs.parquet",
    }


def test_codes_are_those_of_one_machine_byte_for_byte(ray_cluster, sources, tiny_model, tmp_path):
    for workers, form in ((1, "folder"), (3, "folder"), (3, "csv"), (2, "parquet"), (3, "pictures"), (3, "structs")):
        out = tmp_path / f"{form}-{workers}"
        source = f"file://{sources[form]}" if workers == 3 else str(sources[form])
        report = encode_on_ray(source, tiny_model, str(out), address=ray_cluster.address, workers=workers, shard_size=8)
        assert (report.written, report.shards, report.encoded) == (18, 3, 3)
        one = on_one_machine(sources[form], tiny_model, tmp_path / f"{form}-{workers}.parquet")
        assert as_one_file(out, tmp_path / "together.parquet") == one, form
        [failure] = report.failures
        there = Encoder(tiny_model).run(_images(sources[form])).failures
        assert [str(failure)] == [str(one) for one in there]


def test_parts_are_those_of_one_machine(ray_cluster, photo_folder, tiny_model, tmp_path):
    out = tmp_path / "codes"
    options = {"address": ray_cluster.address, "shard_size": 8}
    encode_on_ray(str(photo_folder), tiny_model, str(out), parts=True, **options)
    table = read_shards(Location(str(out)))
    expected = Encoder(tiny_model).run(_images(photo_folder), parts=True).parts
    np.testing.assert_array_equal(table.parts.owners, expected.owners)
    np.testing.assert_array_equal(table.parts.codes.symbols, expected.codes.symbols)
    np.testing.assert_array_equal(table.parts.boxes, expected.boxes)
    with pytest.raises(InputError, match="was begun with parts"):
        encode_on_ray(str(photo_folder), tiny_model, str(out), **options)


def _images(source):
    from ordhash.data import read_images

    return read_images(source)


def test_the_command_goes_on_where_it_was(ray_cluster, sources, tiny_model, tmp_path):
    out = tmp_path / "codes"
    options = ("--engine", "ray", "--address", ray_cluster.address, "--shard-size", 8)
    command = ("encode", sources["folder"], "--model", tiny_model, "--out", out, *options)
    first = run(*command)
    assert first.exit_code == 1, first.stderr  # one image cannot be used
    assert "18 codes in 3 shards; 1 image could not be used" in first.stdout
    assert "banana_9.jpg: " in first.stderr
    whole = as_one_file(out, tmp_path / "whole.parquet")

    (out / shard_name(1)).unlink()
    (out / f".{shard_name(2)}.abcd.tmp").write_bytes(b"half of it")  # of a worker that was killed
    untouched = (out / shard_name(0)).stat().st_mtime_ns
    incomplete = run("index", out, "--out", tmp_path / "index")
    assert "has 2 of 3 shards; run the same `ordhash encode` again" in incomplete.stderr

    second = run(*command)
    assert "(2 already there); 1 image could not be used" in second.stdout
    assert (out / shard_name(0)).stat().st_mtime_ns == untouched
    assert as_one_file(out, tmp_path / "again.parquet") == whole

    # The shards are what other commands take, and what any reader of Parquet takes.
    assert run("index", out, "--out", tmp_path / "index").exit_code == 0
    assert pq.read_table(out).num_rows == 18

    # A complete folder is not taken for the answer to another question.
    shutil.copy(sources["folder"] / "apple" / "apple_0.jpg", sources["folder"] / "apple" / "new.jpg")
    changed = run(*command)
    assert changed.exit_code == 2
    assert "the 19 images" in changed.stderr
    assert "now has 20" in changed.stderr
    # An incomplete one is completed as it was begun.
    (out / shard_name(2)).unlink()
    completed = run(*command)
    assert "holds the 19 images listed when it was started" in completed.stderr
    assert as_one_file(out, tmp_path / "again.parquet") == whole
    # And --force starts again.
    assert "19 codes in 3 shards" in run(*command, "--force").stdout


def test_a_node_is_killed_in_the_middle(ray_cluster, tiny_model, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4000):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04}.jpg")
    out = tmp_path / "codes"
    killed = threading.Event()

    def kill_in_the_middle():
        while len(workers_of(out)) < 3:  # one on each node
            time.sleep(0.02)
        ray_cluster.kill(2)
        killed.set()

    threading.Thread(target=kill_in_the_middle, daemon=True).start()
    report = encode_on_ray(str(folder), tiny_model, str(out), address=ray_cluster.address, shard_size=8)
    assert killed.is_set()
    assert len(ray_cluster) == 2
    assert (report.written, report.shards) == (4000, 500)
    one = on_one_machine(folder, tiny_model, tmp_path / "one.parquet")
    assert as_one_file(out, tmp_path / "together.parquet") == one


@pytest.fixture
def ftp(tmp_path):
    """A real FTP server of the folder `tmp_path`; its address."""
    authorizers = pytest.importorskip("pyftpdlib.authorizers")
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import ThreadedFTPServer

    users = authorizers.DummyAuthorizer()
    users.add_user("me", "secret", str(tmp_path), perm="elradfmwMT")

    class Handler(FTPHandler):
        authorizer = users

    server = ThreadedFTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"ftp://me:secret@127.0.0.1:{server.address[1]}"
    server.close_all()
    thread.join(10)


def test_images_and_codes_at_addresses(ray_cluster, sources, tiny_model, tmp_path, ftp):
    for form, below in (("folder", "photos"), ("csv", "list.csv"), ("pictures", "pictures.parquet")):
        out = f"{ftp}/codes-{form}"
        report = encode_on_ray(f"{ftp}/{below}", tiny_model, out, address=ray_cluster.address, shard_size=8)
        assert (report.written, report.shards) == (18, 3)
        one = on_one_machine(sources[form], tiny_model, tmp_path / f"one-{form}.parquet")
        assert as_one_file(out, tmp_path / "together.parquet") == one
        assert "secret" not in (tmp_path / f"codes-{form}" / "_encoding.json").read_text()
        assert [len(read_failures(Location(out), number, Plan.of(Location(out)))) for number in range(3)].count(1) == 1
    assert not list(tmp_path.rglob("*.tmp"))
    # An image that is gone by the time it is encoded is one that cannot be used.
    (tmp_path / "photos" / "apple" / "apple_1.jpg").unlink()
    gone = encode_on_ray(f"{ftp}/list.csv", tiny_model, f"{ftp}/again", address=ray_cluster.address, shard_size=8)
    assert gone.written == 17
    assert any("apple_1.jpg: cannot be read" in str(failure) for failure in gone.failures)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"shard_size": 100}, "shard_size is 100; allowed are positive multiples of 8"),
        ({"out": "{photos}"}, "photos holds the images; give another folder"),
        ({"source": "{tmp}/nowhere"}, "nowhere does not exist"),
        ({"source": "{tmp}/shards", "out": "{tmp}/shards"}, "shards holds the images; give another folder"),
        ({"out": "{tmp}/shards"}, r"shards holds other files, as part-00000000\.parquet"),
        ({"source": "s4://bucket/photos"}, "no installed file system"),
        ({"out": "{photos}/note.txt"}, r"note\.txt is a file"),
    ],
)
def test_what_is_refused_before_anything_is_started(photo_folder, tiny_model, tmp_path, options, why):
    (photo_folder / "note.txt").write_text("of mine")
    (tmp_path / "shards").mkdir()
    pq.write_table(pa.table({"image": [b"of mine"]}), tmp_path / "shards" / "part-00000000.parquet")
    values = {"source": str(photo_folder), "out": str(tmp_path / "codes"), **options}
    named = {
        name: value.format(photos=photo_folder, tmp=tmp_path) if isinstance(value, str) else value
        for name, value in values.items()
    }
    source, out = named.pop("source"), named.pop("out")
    with pytest.raises((InputError, DataError), match=why):
        encode_on_ray(source, tiny_model, out, **named)
    assert (photo_folder / "note.txt").read_text() == "of mine"
    assert (tmp_path / "shards" / "part-00000000.parquet").exists()


def test_force_deletes_nothing_before_the_cluster_is_there(photo_folder, tiny_model, tmp_path, ray_cluster):
    out = tmp_path / "codes"
    encode_on_ray(str(photo_folder), tiny_model, str(out), address=ray_cluster.address)
    before = as_one_file(out, tmp_path / "before.parquet")
    with pytest.raises(ServerError, match="there is no Ray cluster"):
        encode_on_ray(str(photo_folder), tiny_model, str(out), address="127.0.0.1:9", force=True)
    assert as_one_file(out, tmp_path / "after.parquet") == before
    with pytest.raises(InputError, match="begun with shards of 1024 images, not 8"):
        encode_on_ray(str(photo_folder), tiny_model, str(out), shard_size=8)


def test_what_a_worker_said_is_shown(ray_cluster, photo_folder, tiny_model, tmp_path):
    content = next(photo_folder.rglob("*.jpg")).read_bytes()
    pq.write_table(pa.table({"image": [content] * 3, "key": ["a", None, "c"]}), tmp_path / "rows.parquet")
    with pytest.raises(ServerError, match=r"has no key in row"):
        encode_on_ray(str(tmp_path / "rows.parquet"), tiny_model, str(tmp_path / "codes"), address=ray_cluster.address)


def test_what_is_interrupted_before_its_plan_has_not_begun(
    ray_cluster, photo_folder, tiny_model, tmp_path, monkeypatch
):
    out, source = str(tmp_path / "codes"), str(photo_folder)
    encode_on_ray(source, tiny_model, out, address=ray_cluster.address)
    shutil.copy(next(photo_folder.rglob("*.jpg")), photo_folder / "banana" / "banana_new.jpg")

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Plan, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            encode_on_ray(source, tiny_model, out, force=True, address=ray_cluster.address)
    report = encode_on_ray(source, tiny_model, out, address=ray_cluster.address)
    assert (report.written, report.of_then) == (19, None)


def test_there_is_no_cluster_at_the_address(photo_folder, tiny_model, tmp_path):
    with pytest.raises(ServerError, match=r"there is no Ray cluster at 127.0.0.1:9 .*or leave --address out"):
        encode_on_ray(str(photo_folder), tiny_model, str(tmp_path / "codes"), address="127.0.0.1:9")


def test_an_encoding_of_another_model_is_refused(photo_folder, tiny_model, calibrated_model, tmp_path, ray_cluster):
    out = str(tmp_path / "codes")
    encode_on_ray(str(photo_folder), tiny_model, out, address=ray_cluster.address)
    with pytest.raises(InputError, match="give another folder, or --force"):
        encode_on_ray(str(photo_folder), calibrated_model, out, address=ray_cluster.address)
    assert Plan.of(Location(out)).n_images == 18


def test_options_of_a_cluster_without_one(photo_folder, tiny_model, tmp_path):
    said = run("encode", photo_folder, "--model", tiny_model, "--out", tmp_path / "c.parquet", "--address", "auto")
    assert "--address has no effect without --engine ray" in said.stderr
    said = run("encode", photo_folder, "--model", tiny_model, "--out", tmp_path / "c.parquet", "--workers", 2)
    assert "--workers has no effect without --engine ray" in said.stderr
    said = run("encode", "grocery-photos", "--model", tiny_model, "--out", Path("c"), "--engine", "local")
    assert "must end in .parquet" in said.stderr
