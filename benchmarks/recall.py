"""Recall against queries per second, exact and approximate indexes side by side: ``make bench-search``.

Every index gets the same codes, the same threads and the same question: the nearest by ordinal distance, which is half
the Hamming distance of one-hot codes. Each is tried at several values of its search parameter, in rounds that take
turns. Many codes are at equal distance, so a row counts as found if it is as near as the last of the true nearest,
whichever of the equals it is; the distance is computed from the codes and not taken from the index.

``--rehearse`` does everything on few codes in a minute and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import usearch
from codes import SPEC, one_hot, padded, random_codes, real_codes
from common import RESULTS, machine, medians
from usearch.compiled import MetricKind
from usearch.index import BatchMatches, Index

from ordhash import OrdinalCodes, OrdinalIndex
from ordhash.codes import ordinal_distances
from ordhash.support import available_cores, write_json

TOP_K, ROUNDS = 10, 5
BITS = SPEC.n_segments * SPEC.arity
# Links of a graph. Of many codes, 16 would take minutes more to build, and of 100,000 random ones they found less at
# every speed; of the real ones, which are few and repeat, either may be better.
LINKS, MANY = (16, 32), 100_000
PLACING = 128  # codes that the search for the place of a new one keeps: usearch's own default, and more than FAISS's
LOOKED_AT = (16, 32, 64, 128, 256, 512)
PROBES = (1, 4, 16, 64, 256, 1024)
# Tables and bits of each. Where a hash covers whole segments, two codes differ in an even number of its one-hot bits,
# so an odd number of flips finds nothing that one flip fewer does not.
HASHES, FLIPS = ((3, 32), (4, 24)), (0, 2)
CENTROIDS_PER_ROOT, TRAINED_ON = 4, 64  # lists are 4 sqrt(n); codes for each list that k-means sees

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Queries:
    """Queries as ordhash and as the others want them.

    Attributes:
        codes: q codes.
        bits: uint8 (q, 12), their one-hot bits.
    """

    codes: OrdinalCodes
    bits: npt.NDArray[np.uint8]
    padded: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, codes: OrdinalCodes) -> Queries:
        """Some codes and their one-hot bits."""
        bits = one_hot(codes)
        return cls(codes, bits, padded(bits))

    def one_by_one(self, n: int) -> list[Queries]:
        """The first n, each alone."""
        return [Queries.of(self.codes[row : row + 1]) for row in range(n)]


@dataclass(frozen=True)
class Point:
    """An index at one value of its search parameter.

    Attributes:
        index: Its name in the results.
        parameters: How it was built and how it searches.
        build_seconds: How long it took to build.
        ask: Searches; what it gives is turned into rows when time no longer counts.
        rows: Rows found by a search, int64 (q, TOP_K), -1 where there are too few.
        exact: Whether it promises to find all.
    """

    index: str
    parameters: dict[str, Any]
    build_seconds: float
    ask: Callable[[Queries], Any]
    rows: Callable[[Any], Rows]
    exact: bool = False


def built(build: Callable[[], Any]) -> tuple[Any, float]:
    """An index, and the seconds that all threads together took for it."""
    faiss.omp_set_num_threads(available_cores())
    started = time.perf_counter()
    index = build()
    return index, time.perf_counter() - started


def ask_ordhash(index: OrdinalIndex, queries: Queries) -> Any:
    return index.search(queries.codes, top_k=TOP_K)


def ordhash_rows(found: Any) -> Rows:
    rows: Rows = found.rows
    return rows


def ordhash_points(codes: OrdinalCodes) -> list[Point]:
    """The index as it comes, and with tables where it would build any."""
    OrdinalIndex(codes[:1]).warm_up()  # compiled once on a machine, and not for an index
    plain, seconds = built(lambda: OrdinalIndex(codes))
    plain.warm_up()
    points = [
        Point("ordhash", {"method": plain.stats.method}, seconds, partial(ask_ordhash, plain), ordhash_rows, exact=True)
    ]

    def with_tables() -> OrdinalIndex:
        index = OrdinalIndex(codes)
        index.build_tables()
        return index

    tabled, seconds = built(with_tables)
    if tabled.stats.method == "tables":
        ask = partial(ask_ordhash, tabled)
        points.append(Point("ordhash_tables", {"method": "tables"}, seconds, ask, ordhash_rows, exact=True))
    return points


def useful_threads(queries: Queries) -> int:
    """FAISS and usearch share queries among threads; one alone would only wait for threads that have nothing to do."""
    return min(available_cores(), len(queries.bits))


def faiss_rows(found: Any) -> Rows:
    rows: Rows = found[1]
    return rows


def ask_faiss(index: Any, setting: Callable[[], None], queries: Queries) -> Any:
    setting()
    faiss.omp_set_num_threads(useful_threads(queries))
    return index.search(queries.padded, TOP_K)


def flat_points(bits: npt.NDArray[np.uint8]) -> list[Point]:
    """FAISS's scan."""

    def build() -> Any:
        index = faiss.IndexBinaryFlat(8 * bits.shape[1])
        index.add(bits)
        return index

    index, seconds = built(build)
    return [Point("faiss_flat", {}, seconds, partial(ask_faiss, index, lambda: None), faiss_rows, exact=True)]


def faiss_graph_points(bits: npt.NDArray[np.uint8], links: int) -> list[Point]:
    """FAISS's graph, HNSW."""

    def build() -> Any:
        index = faiss.IndexBinaryHNSW(8 * bits.shape[1], links)
        index.hnsw.efConstruction = PLACING
        index.add(bits)
        return index

    index, seconds = built(build)
    return [
        Point(
            "faiss_hnsw",
            {"M": links, "efConstruction": PLACING, "efSearch": n},
            seconds,
            partial(ask_faiss, index, partial(setattr, index.hnsw, "efSearch", n)),
            faiss_rows,
        )
        for n in LOOKED_AT
    ]


def inverted_points(bits: npt.NDArray[np.uint8]) -> list[Point]:
    """FAISS's inverted lists around the centroids of k-means."""
    lists = int(CENTROIDS_PER_ROOT * len(bits) ** 0.5)

    def build() -> Any:
        index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(8 * bits.shape[1]), 8 * bits.shape[1], lists)
        sample = np.random.default_rng(6).permutation(len(bits))[: TRAINED_ON * lists]
        index.train(bits[sample])
        index.add(bits)
        return index

    index, seconds = built(build)
    return [
        Point(
            "faiss_ivf",
            {"nlist": lists, "nprobe": n},
            seconds,
            partial(ask_faiss, index, partial(setattr, index, "nprobe", n)),
            faiss_rows,
        )
        for n in PROBES
        if n <= lists
    ]


def multi_hash_points(bits: npt.NDArray[np.uint8], tables: int, width: int) -> list[Point]:
    """FAISS's hash tables of parts of a code, looked up with some bits flipped."""

    def build() -> Any:
        index = faiss.IndexBinaryMultiHash(8 * bits.shape[1], tables, width)
        index.add(bits)
        return index

    index, seconds = built(build)
    return [
        Point(
            "faiss_multi_hash",
            {"nhash": tables, "b": width, "nflip": n},
            seconds,
            partial(ask_faiss, index, partial(setattr, index, "nflip", n)),
            faiss_rows,
        )
        for n in FLIPS
    ]


def ask_usearch(index: Index, n: int, exact: bool, queries: Queries) -> Any:
    setattr(index, "expansion_search", n)  # noqa: B010 - its types say that it cannot be set, its documentation that it can
    return index.search(queries.bits, TOP_K, threads=useful_threads(queries), exact=exact)


def usearch_rows(found: BatchMatches) -> Rows:
    rows = np.asarray(found.keys).astype(np.int64).reshape(-1, TOP_K)
    return np.where(np.arange(TOP_K) < np.reshape(found.counts, (-1, 1)), rows, -1)


def usearch_points(bits: npt.NDArray[np.uint8], links: int) -> list[Point]:
    """The graph of usearch, HNSW, and its scan: the index scans faster than ``usearch.index.search`` does."""
    how = {"connectivity": links, "expansion_add": PLACING}

    def build() -> Index:
        index = Index(ndim=BITS, metric=MetricKind.Hamming, dtype="b1", connectivity=links, expansion_add=PLACING)
        index.add(np.arange(len(bits)), bits, threads=available_cores())
        return index

    index, seconds = built(build)
    scan = partial(ask_usearch, index, LOOKED_AT[0], True)
    return [
        Point("usearch_exact", how, seconds, scan, usearch_rows, exact=True),
        *(
            Point(
                "usearch_hnsw",
                {**how, "expansion_search": n},
                seconds,
                partial(ask_usearch, index, n, False),
                usearch_rows,
            )
            for n in LOOKED_AT
        ),
    ]


def all_points(codes: OrdinalCodes) -> Iterable[Point]:
    bits = one_hot(codes)
    long = padded(bits)  # for FAISS; usearch is as fast without
    yield from ordhash_points(codes)
    yield from flat_points(long)
    yield from inverted_points(long)
    for tables, width in HASHES:
        yield from multi_hash_points(long, tables, width)
    for links in LINKS if len(codes) <= MANY else LINKS[-1:]:
        yield from faiss_graph_points(long, links)
        yield from usearch_points(bits, links)


def distinct(codes: OrdinalCodes) -> OrdinalCodes:
    """Every code once."""
    return codes[np.unique(codes.packed(), axis=0, return_index=True)[1]]


def farthest_wanted(codes: OrdinalCodes, queries: OrdinalCodes) -> npt.NDArray[np.uint16]:
    """Ordinal distance of the last of the true nearest of every query, (q,), by the definition."""
    blocks = [queries[start : start + 32] for start in range(0, len(queries), 32)]
    return np.concatenate(
        [np.partition(ordinal_distances(some, codes), TOP_K - 1, axis=1)[:, TOP_K - 1] for some in blocks]
    )


def recall(rows: Rows, codes: OrdinalCodes, queries: OrdinalCodes, limits: npt.NDArray[np.uint16]) -> float:
    """Share of the wanted rows that were found, mean over the queries; a row that comes twice counts once."""
    ordered = np.sort(rows, axis=1)
    counts = (ordered >= 0) & (np.diff(ordered, axis=1, prepend=-1) > 0)
    differs = codes.symbols[ordered] != queries.symbols[:, None]  # -1 reads some row, and does not count
    return float((counts & (differs.sum(axis=2) <= limits[:, None])).mean())


def measured(dataset: str, codes: OrdinalCodes, asked: OrdinalCodes, alone: int, rounds: int) -> list[dict[str, Any]]:
    """All points on the same codes: recall, and queries per second of all at once and of each alone."""
    queries, limits = Queries.of(asked), farthest_wanted(codes, asked)
    singles, points, found = queries.one_by_one(alone), [], []
    for point in all_points(codes):
        share = recall(point.rows(point.ask(queries)), codes, asked, limits)
        print(f"{dataset}: {point.index} {point.parameters}: recall {share:.4f}", flush=True)
        if point.exact and share != 1:
            raise RuntimeError(f"{point.index} is exact and finds {share} of the nearest")
        points.append(point)
        found.append(share)

    def each(point: Point) -> None:
        for query in singles:
            point.ask(query)

    names = [str(number) for number in range(len(points))]
    at_once = medians({name: partial(p.ask, queries) for name, p in zip(names, points, strict=True)}, rounds)
    one_by_one = medians({name: partial(each, p) for name, p in zip(names, points, strict=True)}, rounds)
    return [
        {
            "dataset": dataset,
            "index": point.index,
            "parameters": point.parameters,
            "build_seconds": point.build_seconds,
            "recall": share,
            "qps_batch": len(asked) / at_once[name],
            "qps_single": alone / one_by_one[name],
        }
        for name, point, share in zip(names, points, found, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="few codes, no results kept")
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    n, n_queries, alone, rounds = (20_000, 100, 20, 1) if options.rehearse else (250_000, 1000, 200, ROUNDS)
    if options.rehearse:
        real, real_queries = random_codes(1000, 2)[np.resize(np.arange(1000), n)], random_codes(n_queries, 3)
    else:
        real, real_queries = real_codes(options.cache)
    data = {
        "random": (random_codes(n), random_codes(n_queries, 1)),
        "real": (real, real_queries),
        "distinct": (distinct(real), real_queries),  # graphs lose their way among equals, of which real codes have many
    }
    results = {
        "command": "make bench-search",
        "machine": {**machine(), "faiss": faiss.__version__, "usearch": usearch.__version__},
        "code_bits": SPEC.code_bits,
        "arity": SPEC.arity,
        "top_k": TOP_K,
        "rounds": rounds,
        "alone": alone,
        "data": {
            name: {"codes": len(codes), "distinct": len(distinct(codes)), "queries": len(queries)}
            for name, (codes, queries) in data.items()
        },
        "points": [
            point for name, (codes, queries) in data.items() for point in measured(name, codes, queries, alone, rounds)
        ],
    }
    print(json.dumps(results["points"]), flush=True)
    if not options.rehearse:
        write_json(RESULTS / "recall.json", results)


if __name__ == "__main__":
    main()
