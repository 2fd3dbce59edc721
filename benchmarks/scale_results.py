"""Tables of docs/scale.md: rates that were measured, and what they mean for more images than were measured."""

from __future__ import annotations

import json
import math
from typing import Any

from common import RESULTS, table

__all__ = ["costs", "encoding_rates", "serving_rates"]

LEVELS = ("strong", "bounded", "eventually")
SIZES = (10**6, 10**8, 10**9, 10**11)
GIBIBYTES = 64  # of the machines that Milvus runs on
MOST_IN_TABLES = 2**32 - 1
ROOM = 0.7  # of its memory, for codes


def encoding_rates(results: dict[str, Any]) -> str:
    """Images a second of one machine and of Ray on it."""
    found = results["encoding"]
    heads = ["", "images/s", "without the start"]
    rows = [["one machine, all cores", f"{found['alone']:.0f}", ""]]
    for workers, rate in found["ray"].items():
        name = f"Ray, {workers} worker{'s' if workers != '1' else ''}"
        rows.append([name, f"{rate:.0f}", f"{found['ray_without_start'][workers]:.0f}"])
    machine = results["machine"]
    note = (
        f"{found['images']:,} JPEG files of 320 x 240, the default network but with squares of 160 px; medians of "
        f"alternating rounds; {machine['processor']}, {machine['cores']} cores. "
        f"A job's start takes {found['start_seconds']:.1f} s. "
        f"Written by `{results['command']}`."
    )
    return table(heads, rows) + "\n\n" + note


def serving_rates(results: dict[str, Any]) -> str:
    """Bytes and seconds of the same codes here and in Milvus."""
    heads = [
        "codes",
        "index file, bytes/code",
        "Milvus, memory, bytes/code",
        "push, codes/s",
        "push of what is there, codes/s",
    ]
    heads += ["pull, codes/s", "search here, ms", *(f"Milvus, {level}, ms" for level in LEVELS)]
    rows = []
    for found in results["serving"]:
        n = found["codes"]
        rows.append(
            [
                f"{n:,}",
                f"{found['index_bytes'] / n:.0f}",
                f"{found['milvus_resident_bytes'] / n:,.0f}",
                *(f"{n / found[name]:,.0f}" for name in ("push_seconds", "push_again_seconds", "pull_seconds")),
                f"{1000 * found['search_seconds']:.2f}",
                *(f"{1000 * found['milvus_search_seconds'][level]:.0f}" for level in LEVELS),
            ]
        )
    machine = results["machine"]
    note = (
        "Random codes of 48 bits with keys of 18 characters and three columns; the ten nearest of one query, medians "
        f"of 50; server and client on the same {machine['cores']} cores ({machine['processor']}). "
        f"Written by `{results['command']}`."
    )
    return table(heads, rows) + "\n\n" + note


def costs(results: dict[str, Any]) -> str:
    """What numbers of images cost, from the rates."""
    search = json.loads((RESULTS / "search.json").read_text())
    encode = results["encoding"]["alone"] / results["encoding"]["cores"]
    largest = results["serving"][-1]
    a_row, milvus_row = (largest[name] / largest["codes"] for name in ("index_bytes", "milvus_resident_bytes"))
    tables = search["sublinear"]
    scan = tables["scan"] / 1000 / tables["codes"]
    # What is left when the shortest wait is taken off, which is there with few codes as well.
    few, many = (found["milvus_search_seconds"]["eventually"] for found in (results["serving"][0], largest))
    milvus_scan = max(0.0, many - few) / (largest["codes"] - results["serving"][0]["codes"])
    push = largest["codes"] / largest["push_seconds"]
    room = ROOM * GIBIBYTES * 2**30
    rows = []
    for n in SIZES:
        machines = max(1, math.ceil(n * milvus_row / room))
        rows.append(
            [
                f"10^{round(math.log10(n))}",
                _bytes(6 * n),
                _bytes(a_row * n),
                _time(n / encode),
                _time(n / (encode * 1000)),
                _time(n * scan),
                _bytes(tables["bytes_a_code"] * n) if n <= MOST_IN_TABLES else "-",
                f"{machines:,}",
                _time(n / push),
                _time(few + n * milvus_scan / machines),
            ]
        )
    heads = ["images", "codes alone", "index file", "encoding, one core", "encoding, 1,000 cores", "scan here, 2 cores"]
    heads += ["codes and tables here", f"Milvus machines of {GIBIBYTES} GiB", "push", "search in Milvus"]
    note = (
        f"48 bits. From {encode:.0f} images a second and core (squares of 160 px; the default network takes twice as "
        f"long), {a_row:.0f} bytes of an index file and {milvus_row:.0f} bytes of Milvus' memory a code, "
        f"{1e9 * scan:.2f} ns of a scan and {1e9 * milvus_scan:.1f} ns of Milvus' scan a code, "
        f"{push:,.0f} codes pushed a second by one client. Measured: scans and tables of up to 10^8 codes here, up to "
        f"{largest['codes']:,} codes in Milvus; all else is extrapolated."
    )
    return table(heads, rows) + "\n\n" + note


def _bytes(n: float) -> str:
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        n /= 1000
        if n < 1000:
            return f"{n:.0f} {unit}" if n >= 10 else f"{n:.1f} {unit}"
    return f"{n:.0f} PB"


def _time(seconds: float) -> str:
    for unit, size in (("years", 31_557_600), ("days", 86_400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 0.001)):
        if seconds >= size:
            number = seconds / size
            return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{1e6 * seconds:.0f} µs"
