"""What many images cost: rates of encoding, pushing and searching, here and with Ray and Milvus: ``make bench-scale``.

docs/scale.md computes from these rates what more images than a machine has would cost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import ray
from common import RESULTS, SMALL_PICTURES, machine, untaught_model
from PIL import Image

from ordhash.codes import CodeTable, OrdinalCodes, write_codes
from ordhash.data import read_images
from ordhash.index import OrdinalIndex
from ordhash.milvus import Consistency, MilvusIndex
from ordhash.model import Encoder
from ordhash.ray import encode_on_ray
from ordhash.support import write_json

ENVIRONMENT = Path(".cache/milvus/bin/python")
PROGRAM = Path("examples/milvus_server.py")
TOP_K = 10


def seconds(work: Callable[..., object], *arguments: Any, **named: Any) -> float:
    started = time.perf_counter()
    work(*arguments, **named)
    return time.perf_counter() - started


def made_table(n: int) -> CodeTable:
    """Random codes of 48 bits with keys and metadata as a collection has them."""
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, 4, (n, 24), dtype=np.uint8)
    codes = OrdinalCodes.from_symbols(symbols, arity=4, model_id="random")
    keys = [f"{row % 1000:03}/IMG_{row:09}.jpg" for row in range(n)]
    metadata = pa.table(
        {
            "folder": [f"{row % 1000:03}" for row in range(n)],
            "size": pa.array(rng.integers(10_000, 9_000_000, n)),
            "modified": pa.array(
                rng.integers(1_500_000_000_000_000, 1_700_000_000_000_000, n), pa.timestamp("us", "UTC")
            ),
        }
    )
    return CodeTable(codes, keys, metadata, "model.onnx")


def encoding(model: Path, n: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Images a second of one machine, alone and as a Ray cluster of one, two workers; and what a start costs."""
    photographs = folder / "photographs"
    photographs.mkdir()
    rng = np.random.default_rng(0)
    for row in range(n):
        small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        small.resize((320, 240)).save(photographs / f"{row:06}.jpg", quality=85)
    images = read_images(photographs)
    encoder = Encoder(model)
    cores = len(os.sched_getaffinity(0))
    alone: list[float] = []
    on_ray: dict[int, list[float]] = {1: [], cores: []}
    nothing: list[float] = []
    ray.init("local", num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level=50)
    try:
        for round_ in range(rounds):
            alone.append(seconds(encoder.tabulate, images))
            for workers, times in on_ray.items():
                out = str(folder / f"codes-{round_}-{workers}")
                times.append(seconds(encode_on_ray, str(photographs), model, out, workers=workers, shard_size=256))
            few = str(folder / f"few-{round_}")
            nothing.append(seconds(encode_on_ray, images.subset(range(8)), model, few, workers=1))
    finally:
        ray.shutdown()
    start = statistics.median(nothing)
    return {
        "images": n,
        "alone": n / statistics.median(alone),
        "ray": {str(workers): n / statistics.median(times) for workers, times in on_ray.items()},
        "ray_without_start": {
            str(workers): n / (statistics.median(times) - start) for workers, times in on_ray.items()
        },
        "start_seconds": start,
        "cores": cores,
    }


@contextmanager
def milvus_server(folder: Path, port: int) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen([ENVIRONMENT, PROGRAM, folder, str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    uri, server = process.stdout.readline().split()
    try:
        yield uri, int(server)
    finally:
        os.kill(int(server), signal.SIGKILL)  # asked to stop, it takes its time, and nobody wants its data
        process.wait(timeout=60)


def resident_bytes(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def latency(search: Callable[..., object], queries: OrdinalCodes) -> float:
    """Median seconds of a search with one query."""
    search(queries[:1], top_k=TOP_K)
    return statistics.median(seconds(search, queries[row : row + 1], top_k=TOP_K) for row in range(len(queries)))


def serving(sizes: list[int], folder: Path, port: int) -> list[dict[str, Any]]:
    """Bytes and seconds of the same codes in an index of ours and in Milvus."""
    found = []
    queries = OrdinalCodes.from_symbols(np.random.default_rng(1).integers(0, 4, (50, 24), dtype=np.uint8), arity=4)
    with milvus_server(folder / "milvus", port) as (uri, server):
        before = resident_bytes(server)
        for n in sizes:
            table = made_table(n)
            write_codes(folder / "codes.parquet", table.codes, table.keys, table.metadata)
            OrdinalIndex(table.codes, table.keys, table.metadata).save(folder / "index")
            index = OrdinalIndex.load(folder / "index")
            index.warm_up()
            remote = MilvusIndex(uri, f"random_{n}", timeout=300)
            pushed = seconds(remote.push, table)
            again = seconds(remote.push, table)
            time.sleep(20)  # it builds its indexes after the push
            found.append(
                {
                    "codes": n,
                    "parquet_bytes": (folder / "codes.parquet").stat().st_size,
                    "index_bytes": (folder / "index").stat().st_size,
                    "milvus_resident_bytes": resident_bytes(server) - before,
                    "push_seconds": pushed,
                    "push_again_seconds": again,
                    "search_seconds": latency(index.search, queries),
                    "milvus_search_seconds": {
                        level: latency(MilvusIndex(uri, remote.name, consistency=level).nearest, queries)
                        for level in get_args(Consistency)
                    },
                    "pull_seconds": seconds(remote.pull),
                }
            )
            remote.close()
            before = resident_bytes(server)
            print(found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="few images and codes; writes runs/bench-scale.json")
    parser.add_argument("--port", type=int, default=19630, help="of the Milvus server that is started")
    options = parser.parse_args()
    out = Path("runs/bench-scale.json") if options.rehearse else RESULTS / "scale.json"
    n_images, rounds, sizes = (64, 1, [1000]) if options.rehearse else (4096, 3, [10_000, 100_000, 1_000_000])
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        results = {
            "command": "make bench-scale",
            "machine": machine(),
            "encoding": encoding(untaught_model(folder, SMALL_PICTURES), n_images, rounds, folder),
            "serving": serving(sizes, folder, options.port),
        }
        write_json(out, results)
        print(f"wrote {out}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
