"""Search speed against FAISS, memory, and growth with the number of codes: ``make bench-search``.

Rivals get the same codes, queries and threads, and the rounds alternate. FAISS on one-hot codes answers the same
question (its Hamming distance is twice the ordinal one); on plain bits it answers an easier one. Its codes get zeros up
to a length that it has a scan of its own for: 16 bytes instead of 12, 8 instead of 6. The real codes are
those of CIFAR-10's 59,000 database images, encoded by a model that is trained here if it is not there yet, and repeated
to the wanted number, so their frequencies are real.

``--rehearse`` does everything on few codes in a minute and keeps nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from codes import SPEC, one_hot, padded, random_codes, real_codes
from common import RESULTS, check_machine, machine, medians

from ordhash import OrdinalCodes, OrdinalIndex
from ordhash.codes import PartCodes, symbol_losses
from ordhash.index import kernels
from ordhash.index.planes import BLOCK, PlaneCodes
from ordhash.support import available_cores, write_json

TOP_K, BATCH, ROUNDS = 100, 64, 7
Work = Callable[[], Any]


def binary_flat(rows: Callable[[OrdinalCodes], npt.NDArray[np.uint8]], codes: OrdinalCodes) -> faiss.IndexBinaryFlat:
    index = faiss.IndexBinaryFlat(8 * padded(rows(codes[:1])).shape[1])
    for start in range(0, len(codes), 1 << 20):
        index.add(padded(rows(codes[start : start + (1 << 20)])))
    return index


def fast_scan(codes: OrdinalCodes) -> faiss.IndexPQFastScan:
    """FAISS's fastest look-up: every two segments are a sub-quantiser, whose 16 centroids are one-hot."""
    pairs, width = SPEC.n_segments // 2, 2 * SPEC.arity
    index = faiss.IndexPQFastScan(pairs * width, pairs, 4, faiss.METRIC_INNER_PRODUCT)
    both = np.array([np.append(a, b) for a in np.eye(4) for b in np.eye(4)], dtype=np.float32)
    faiss.copy_array_to_vector(np.tile(both, (pairs, 1)).ravel(), index.pq.centroids)
    index.is_trained = True
    for start in range(0, len(codes), 1 << 18):
        symbols = codes.symbols[start : start + (1 << 18)]
        index.add(np.eye(SPEC.arity, dtype=np.float32)[symbols].reshape(len(symbols), -1))
    return index


def against_flat(index: OrdinalIndex, queries: OrdinalCodes, plain: Any, expanded: Any) -> dict[str, Any]:
    """The k nearest of one query, and of many at once per query, against FAISS on plain and on one-hot bits."""
    found, (theirs, _) = index.search(queries, top_k=TOP_K), expanded.search(padded(one_hot(queries)), TOP_K)
    if not np.array_equal(2 * found.distances, theirs):
        raise RuntimeError("FAISS finds other distances on one-hot codes")
    out = {}
    for name, n in (("one", 1), ("batch", BATCH)):
        some, bits, hot = queries[:n], padded(queries[:n].packed()), padded(one_hot(queries[:n]))
        times = medians(
            {
                "ordhash": lambda some=some: index.search(some, top_k=TOP_K),  # type: ignore[misc]
                "faiss_one_hot": lambda hot=hot: expanded.search(hot, TOP_K),  # type: ignore[misc]
                "faiss_plain_bits": lambda bits=bits: plain.search(bits, TOP_K),  # type: ignore[misc]
            },
            ROUNDS,
        )
        out[name] = {who: 1000 * seconds / n for who, seconds in times.items()}
    return out


def against_fast_scan(index: OrdinalIndex, codes: OrdinalCodes) -> dict[str, Any]:
    """The k nearest by asymmetric distance, per query, and how many of them FAISS's rounded tables find."""
    scores = 2 * np.random.default_rng(2).normal(size=(BATCH, SPEC.n_segments, SPEC.arity))
    rival, asked = fast_scan(codes), -symbol_losses(scores, SPEC).reshape(BATCH, -1)
    out: dict[str, Any] = {}
    for name, n in (("one", 1), ("batch", BATCH)):
        times = medians(
            {
                "ordhash": lambda n=n: index.search_asymmetric(scores[:n], top_k=TOP_K),  # type: ignore[misc]
                "faiss_fast_scan": lambda n=n: rival.search(asked[:n], TOP_K),  # type: ignore[misc]
            },
            ROUNDS,
        )
        out[name] = {who: 1000 * seconds / n for who, seconds in times.items()}
    mine, (_, theirs) = index.search_asymmetric(scores, top_k=TOP_K).rows, rival.search(asked, TOP_K)
    out["found_by_rounded_tables"] = float(np.mean([np.isin(a, b).mean() for a, b in zip(mine, theirs, strict=True)]))
    return out


def bandwidth(index: OrdinalIndex) -> dict[str, float]:
    """Reading all codes once: a plain sum of the bytes, as 64-bit words, against a search for the nearest, GB/s."""
    planes: PlaneCodes = index._warming.store.planes  # type: ignore[union-attr]
    words, query = planes.blocks.reshape(-1).view(np.uint64), random_codes(1, 3)
    parts = np.array_split(words, available_cores())

    def plain_sum() -> Any:
        return kernels.parts.in_threads(lambda _, part: parts[part[0]].sum(), [(i, i) for i in range(len(parts))])

    times = medians({"sum": plain_sum, "search": lambda: kernels.nearest(planes, query, 1)}, ROUNDS, repeats=3)
    return {name: planes.blocks.nbytes / seconds / 1e9 for name, seconds in times.items()}


def growth(sizes: list[int]) -> list[dict[str, float]]:
    """Milliseconds of one query and of one of a batch, against the number of codes."""
    points = []
    for n in sizes:
        index, queries = OrdinalIndex.load(written_index(n)), random_codes(BATCH, 1)
        index.warm_up()  # also where an index would begin with plain NumPy
        times = medians(
            {
                "one": lambda index=index, queries=queries: index.search(queries[:1], top_k=TOP_K),  # type: ignore[misc]
                "batch": lambda index=index, queries=queries: index.search(queries, top_k=TOP_K),  # type: ignore[misc]
            },
            ROUNDS,
            repeats=1 if n > 1_000_000 else 5,
        )
        points.append({"codes": n, "one": 1000 * times["one"], "batch": 1000 * times["batch"] / BATCH})
        print(f"{n:,} codes: {points[-1]['one']:.3f} ms one query, {points[-1]['batch']:.3f} ms in a batch", flush=True)
    return points


def sublinear(n: int, top_k: int = 10) -> dict[str, Any]:
    """Tables against a scan of the same codes, one query at a time, another one each round."""
    scanned, tabled = (OrdinalIndex.load(written_index(n)) for _ in range(2))
    scanned.warm_up()
    started = time.perf_counter()
    tabled.build_tables()
    seconds = time.perf_counter() - started
    queries, times = random_codes(ROUNDS + 1, 5), []
    for round_ in range(ROUNDS + 1):
        query, both, results = queries[round_ : round_ + 1], [], []
        for index in (scanned, tabled):
            started = time.perf_counter()
            results.append(index.search(query, top_k=top_k))
            both.append(1000 * (time.perf_counter() - started))
        if not np.array_equal(results[0].rows, results[1].rows):
            raise RuntimeError("the tables find other rows than the scan")
        times.append(both)
    scan, tables = (statistics.median(column) for column in zip(*times[1:], strict=True))
    return {
        "codes": n,
        "top_k": top_k,
        "scan": scan,
        "tables": tables,
        "seconds_to_build": seconds,
        "bytes_a_code": tabled.stats.nbytes / n,
    }


_folder = tempfile.TemporaryDirectory()


def written_index(n: int) -> Path:
    """File of an index of n random codes without keys, written without holding their symbols."""
    from ordhash.codes import CodeFacts
    from ordhash.index.indexfile import IndexContents, write_index
    from ordhash.index.stores import Scan

    path = Path(_folder.name) / f"{n}.index"
    if not path.exists():
        width = SPEC.packed_bytes
        blocks = np.random.default_rng(n).integers(0, 256, (-(-n // BLOCK), width, BLOCK), dtype=np.uint8)
        blocks[-1, :, n - (len(blocks) - 1) * BLOCK :] = 0
        write_index(path, IndexContents(Scan(PlaneCodes(blocks, n, SPEC)), CodeFacts(SPEC, None, None), None, None))
    return path


OPENING = r"""
import json, re, sys, time
from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.index import OrdinalIndex
started = time.perf_counter()
index = OrdinalIndex.load(sys.argv[1])
opened = time.perf_counter() - started
query = OrdinalCodes.from_symbols([[0] * 24], arity=4)
if sys.argv[2] == "search":
    index.search(query, top_k=100)
peak = 1024 * int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
print(json.dumps({"seconds_to_open": opened, "resident_bytes": peak}))
"""


def memory(n: int) -> dict[str, Any]:
    """A process of its own opens an index of n codes and searches it: time to open, and its largest resident size."""
    path = written_index(n)
    out: dict[str, Any] = {"codes": n, "file_bytes": path.stat().st_size}
    for what in ("open", "search"):
        command = [sys.executable, "-c", OPENING, str(path), what]
        answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        out[what] = answer
    return out


def on_random_codes(n: int) -> dict[str, Any]:
    """The parts that share the random codes."""
    codes, queries = random_codes(n), random_codes(BATCH, 1)
    index = OrdinalIndex(codes)
    plain, expanded = binary_flat(OrdinalCodes.packed, codes), binary_flat(one_hot, codes)
    return {
        "random": against_flat(index, queries, plain, expanded),
        "asymmetric": against_fast_scan(index, codes),
        "bandwidth": bandwidth(index),
    }


def on_real_codes(codes: OrdinalCodes) -> dict[str, Any]:
    """Against the same rivals on codes that repeat as learned ones do."""
    index, queries = OrdinalIndex(codes), codes[np.random.default_rng(4).choice(len(codes), BATCH, replace=False)]
    plain, expanded = binary_flat(OrdinalCodes.packed, codes), binary_flat(one_hot, codes)
    return {"stats": dataclasses.asdict(index.stats), **against_flat(index, queries, plain, expanded)}


def with_parts(n: int, each: int) -> dict[str, Any]:
    """The nearest of n items by their codes alone, and by ``each`` parts too, in the same index."""
    owners = np.repeat(np.arange(n), each)
    boxes = np.tile(np.array([0, 0, 255, 255], np.uint8), (n * each, 1))
    index = OrdinalIndex(random_codes(n), parts=PartCodes(random_codes(n * each, 6), owners, boxes))
    index.warm_up()
    queries, scores = random_codes(BATCH, 1), np.random.default_rng(2).normal(size=(BATCH, SPEC.n_segments, SPEC.arity))
    out: dict[str, Any] = {"codes": n, "parts": each, "bytes_an_item": index.stats.nbytes / n}

    def work(count: int, kind: str, parts: bool) -> Work:
        if kind == "ordinal":
            return lambda: index.search(queries[:count], top_k=TOP_K, parts=parts)
        return lambda: index.search_asymmetric(scores[:count], top_k=TOP_K, parts=parts)

    for name, count in (("one", 1), ("batch", BATCH)):
        works = {
            f"{kind}, parts" if parts else kind: work(count, kind, parts)
            for kind in ("ordinal", "asymmetric")
            for parts in (False, True)
        }
        out[name] = {what: 1000 * seconds / count for what, seconds in medians(works, ROUNDS, repeats=5).items()}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="few codes, no results kept")
    parser.add_argument(
        "--only", choices=("random", "real", "parts", "memory", "sublinear", "growth"), help="measure one part anew"
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    n, most = (200_000, 300_000) if options.rehearse else (10_000_000, 100_000_000)
    faiss.omp_set_num_threads(available_cores())

    def real() -> dict[str, Any]:
        codes = random_codes(1000) if options.rehearse else real_codes(options.cache)[0]
        return on_real_codes(codes[np.random.default_rng(0).permutation(np.resize(np.arange(len(codes)), n))])

    parts: dict[str, Work] = {
        "random": lambda: on_random_codes(n),
        "real": lambda: {"real": real()},
        "parts": lambda: {"parts": [with_parts(n // 10, each) for each in (1, 2, 4, 8)]},
        "memory": lambda: {"memory": memory(most)},
        "sublinear": lambda: {"sublinear": sublinear(most)},
        "growth": lambda: {"growth": growth([size for size in (10**4, 10**5, 10**6, 10**7, 10**8) if size <= most])},
    }
    path = RESULTS / "search.json"
    here, results = {**machine(), "faiss": faiss.__version__}, {}
    if options.only and not options.rehearse and path.exists():
        results = json.loads(path.read_text())
        check_machine(results, here, path)
    results |= {
        "command": "make bench-search",
        "machine": here,
        "codes": n,
        "code_bits": SPEC.code_bits,
        "arity": SPEC.arity,
        "top_k": TOP_K,
        "batch": BATCH,
        "rounds": ROUNDS,
    }
    for name, part in parts.items():
        if options.only in (None, name):
            measured = part()
            print(json.dumps(measured), flush=True)
            results |= measured
    if not options.rehearse:
        write_json(path, results)


if __name__ == "__main__":
    main()
