"""The HTTP API under load: latencies at a million photographs, and memory over a soak: ``make bench-serve``.

A collection of random codes, which is the hardest one to search, is served by ``ordhash serve`` as a process of its
own. Requests leave by a clock and not when the last one is answered, so a stall counts for every request that it holds
up (no coordinated omission); a latency counts from the moment the clock said. Searches by key need no network; of
searches by upload, what decoding and the network took is taken off.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from common import RESULTS, SMALL_PICTURES, machine, untaught_model
from PIL import Image

from ordhash.codes import CodeFacts, OrdinalCodes
from ordhash.collection import Collection, Entry
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.fingerprints import FINGERPRINT
from ordhash.model import load_model
from ordhash.support import write_json

FOLDER = Path("runs/bench-serve")
RATE, CLIENTS, TOP_K = 50, 16, 50
CHUNK = 50_000


def made_collection(n: int, model_path: Path) -> Path:
    """A collection of n random codes, written as a sync writes it."""
    path, folder = FOLDER / f"{n}.ordhash", FOLDER / "photographs"
    model = load_model(model_path)
    if Collection.is_one(path):
        info = Collection(path).info()
        if (info.count, info.model_id) == (n, model.id):
            return path
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    facts = CodeFacts(model.info.spec, model.id, str(model_path.absolute()))
    with Catalogue(path / "catalogue.sqlite", facts, folder.absolute()) as catalogue:
        for start in range(0, n, CHUNK):
            rows = range(start, min(start + CHUNK, n))
            symbols = rng.integers(0, model.info.spec.arity, (len(rows), model.info.spec.n_segments))
            codes = OrdinalCodes.from_symbols(symbols, arity=model.info.spec.arity)
            fingerprints = rng.integers(0, 256, (len(rows), FINGERPRINT.packed_bytes), dtype=np.uint8)
            catalogue.update(
                Entry(f"{row // 1000}/{row}.jpg", 1_000_000 + row, 10**18 + row, row.to_bytes(16), code, mark)
                for row, code, mark in zip(rows, map(bytes, codes.packed()), map(bytes, fingerprints), strict=True)
            )
    Collection(path).index()
    return path


class Server:
    """`ordhash serve` in a process of its own."""

    def __init__(self, collection: Path) -> None:
        command = [sys.executable, "-m", "ordhash.cli", "serve", str(collection), "--port", "0", "--read-only"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)", said)
        if found is None:
            raise RuntimeError(f"the server said {said!r}")
        self.address = found[1], int(found[2])

    def memory(self) -> int:
        """Bytes of memory that are the process's own."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1])  # type: ignore[index]

    def stop(self) -> None:
        """Let it answer what is under way, and end."""
        self.process.terminate()
        self.process.wait(60)


def load(server: Server, n: int, seconds: float, uploads: int) -> list[dict[str, float]]:
    """Requests at a steady rate, every so-manyth an upload (0: none); milliseconds of each."""
    asked = np.random.default_rng(2).integers(0, n, round(RATE * seconds))
    photograph = io.BytesIO()
    astronaut = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    Image.fromarray(astronaut).save(photograph, "JPEG", quality=90)
    waiting: queue.Queue[tuple[float, int] | None] = queue.Queue()
    answers: list[dict[str, float]] = []
    failed: list[str] = []

    def client() -> None:
        connection = http.client.HTTPConnection(*server.address, timeout=60)
        while (task := waiting.get()) is not None:
            due, number = task
            if uploads and number % uploads == 0:
                path, body, kind = f"/v1/search/image?top_k={TOP_K}", photograph.getvalue(), "application/octet-stream"
            else:
                row = int(asked[number])
                wanted = {"examples": [{"key": f"{row // 1000}/{row}.jpg"}], "top_k": TOP_K, "distance": "ordinal"}
                path, body, kind = "/v1/search", json.dumps(wanted).encode(), "application/json"
            connection.request("POST", path, body, {"Content-Type": kind})
            response = connection.getresponse()
            answer = json.loads(response.read())
            took = 1000 * (time.perf_counter() - due)
            if response.status != 200:
                failed.append(f"{response.status}: {answer}")
                continue
            encode = answer["encode_milliseconds"]
            answers.append({"all": took, "encode": encode, "search": answer["search_milliseconds"]})

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    for number in range(round(RATE * seconds)):
        due = began + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        waiting.put((due, number))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if failed or len(answers) < len(asked):
        raise RuntimeError(f"{len(asked) - len(answers)} of {len(asked)} requests were not answered: {failed[:1]}")
    return answers


def summary(answers: list[dict[str, float]]) -> dict[str, float]:
    """Percentiles of what is not the encoder's, in milliseconds."""
    without = [answer["all"] - answer["encode"] for answer in answers]
    percentiles = {f"p{p}": round(float(np.percentile(without, p)), 2) for p in (50, 95, 99, 100)}
    search = [answer["search"] for answer in answers]
    encode = [answer["encode"] for answer in answers if answer["encode"]]
    return {
        **percentiles,
        "search_p99": round(float(np.percentile(search, 99)), 2),
        "encode_p50": round(float(np.median(encode)), 2) if encode else 0.0,
        "requests": len(answers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60, help="of each load")
    parser.add_argument("--soak", type=float, default=10, help="minutes")
    parser.add_argument("--rehearse", action="store_true", help="few images, seconds; nothing is written")
    given = parser.parse_args()
    if given.rehearse:
        given.images, given.seconds, given.soak = 2_000, 2, 0
    collection = made_collection(given.images, untaught_model(FOLDER, SMALL_PICTURES))
    started = time.perf_counter()
    server = Server(collection)
    results: dict[str, Any] = {"start_seconds": round(time.perf_counter() - started, 2)}
    try:
        load(server, given.images, 5, 5)  # warm up
        results["by_key"] = summary(load(server, given.images, given.seconds, 0))
        print(results, flush=True)
        results["with_uploads"] = summary(load(server, given.images, given.seconds, 10))
        print(results, flush=True)
        memory, soaked = [server.memory()], []
        for _ in range(round(2 * given.soak)):
            soaked += load(server, given.images, 30, 10)
            memory.append(server.memory())
            print(f"{len(memory) / 2:.1f} minutes: {memory[-1] / 1e6:.0f} MB", flush=True)
        results["soak"] = {"minutes": given.soak, "megabytes": [round(size / 1e6, 1) for size in memory]}
        if soaked:
            results["soak"] |= summary(soaked)
    finally:
        server.stop()
    if given.rehearse:
        return
    settings = {"images": given.images, "rate": RATE, "clients": CLIENTS, "top_k": TOP_K}
    write_json(RESULTS / "serve.json", {"machine": machine(), **settings, **results})


if __name__ == "__main__":
    main()
