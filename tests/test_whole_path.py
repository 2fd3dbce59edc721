"""The whole path at once: 20,000 photographs, encoded on a cluster that loses a node, served by Milvus."""

import io
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

pytest.importorskip("ray", reason="needs ordhash[cluster]")
pytest.importorskip("pymilvus", reason="needs ordhash[cluster]")
pytest.importorskip("torch", reason="needs ordhash[learn]")

from ordhash.codes.shards import read_shards
from ordhash.data import load_protocol, read_images
from ordhash.index import OrdinalIndex
from ordhash.index.conditions import Condition, rows_that_meet
from ordhash.learn import DOHConfig, TrainConfig, train
from ordhash.milvus.index import MilvusIndex
from ordhash.model.encoder import Encoder
from ordhash.ray.encoding import encode_on_ray
from ordhash.support.locations import Location

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray", "ignore:.*:DeprecationWarning:ray"),
]

DATA = Path(__file__).parents[1] / "data"
N, N_QUERIES, SHARD = 20_000, 200, 256


@pytest.fixture
def photographs(tmp_path):
    """CIFAR-10: the first images of the database as a Parquet file of PNGs with their labels, and queries."""
    if not (DATA / "cifar10").is_dir():
        pytest.skip("needs `ordhash data get cifar10`")
    protocol = load_protocol("cifar10", DATA)
    database = protocol.database.subset(range(N))
    names = np.array(database.class_names)
    contents = []
    for picture in database.images:
        png = io.BytesIO()
        Image.fromarray(picture).save(png, "PNG", compress_level=1)
        contents.append(png.getvalue())
    labels = [";".join(names[row]) for row in database.labels]
    keys = [str(key) for key in database.keys]
    table = pa.table({"image": contents, "key": keys, "labels": labels, "number": np.arange(N)})
    pq.write_table(table, tmp_path / "photographs.parquet", row_group_size=1000)
    return (
        tmp_path / "photographs.parquet",
        protocol.query.subset(range(N_QUERIES)),
        protocol.train.subset(range(0, 5000, 5)),
    )


def test_the_answers_of_one_machine(photographs, ray_cluster, milvus, tmp_path):
    parquet, queries, examples = photographs
    config = DOHConfig(backbone="tf_efficientnet_lite0", image_size=96)
    settings = TrainConfig(epochs=5, accelerator="cpu")
    model = train(examples, config, settings, out=tmp_path / "run", cache=tmp_path / "cache").model

    out = tmp_path / "codes"
    killed = threading.Event()

    def kill_in_the_middle():
        # One worker on each node has written something.
        while len({pq.read_schema(path).metadata[b"ordhash.worker"] for path in out.glob("part-*")}) < 3:
            time.sleep(0.05)
        ray_cluster.kill(2)
        killed.set()

    threading.Thread(target=kill_in_the_middle, daemon=True).start()
    report = encode_on_ray(str(parquet), model, str(out), address=ray_cluster.address, shard_size=SHARD)
    assert killed.is_set()
    assert (report.written, report.failures) == (N, [])
    table = read_shards(Location(str(out)))

    encoder = Encoder(model)
    here, failures = encoder.tabulate(read_images(parquet))
    assert failures == []
    np.testing.assert_array_equal(table.codes.symbols, here.codes.symbols)
    assert table.keys.tolist() == here.keys.tolist()
    assert table.metadata.equals(here.metadata)

    index = MilvusIndex(milvus.uri, "photographs")
    assert index.push(table).upserted == N
    asked = encoder.run(queries).codes
    embedded = OrdinalIndex(here.codes, here.keys, here.metadata)
    for texts in ((), ("labels=cat",), ("number<5000", "labels!=dog")):
        conditions = [Condition.parse(text) for text in texts]
        local = embedded.search(asked, top_k=10, where=rows_that_meet(embedded, conditions))
        found = index.nearest(asked, top_k=10, conditions=conditions)
        assert len(found) == N_QUERIES
        for keys, distances, answers in zip(local.keys.tolist(), local.distances, found, strict=True):
            np.testing.assert_array_equal([answer.distance for answer in answers], distances)
            nearer = distances < distances.max()
            # Which of those that are as far as the last are among the ten is open.
            assert set(np.array(keys)[nearer]) == set(np.array([answer.key for answer in answers])[nearer])
