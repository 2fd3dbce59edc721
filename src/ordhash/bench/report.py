"""Tables and figures of a benchmark, from its results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from ordhash.figures import draw_curves
from ordhash.learn.objectives import OBJECTIVES

__all__ = ["draw_figures", "markdown", "markdown_table", "mean_interval"]

Values = dict[str, Any]
_OURS = next(iter(OBJECTIVES))
_BOUNDS = ("raw", "classifier")  # no hashing methods, or none that could grow: what to measure against


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval (Student's t); 0 for a single value.

    >>> mean_interval([0.5, 0.5, 0.8])[0].__round__(3)
    0.6
    """
    n = len(values)
    if n < 2:
        return float(values[0]), 0.0
    return float(np.mean(values)), float(scipy.stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def markdown(results: Values) -> str:
    """Every protocol with its tables: mAP by ordinal and by asymmetric distance, NDCG where relevance is graded.

    Args:
        results: What [run_recipe][ordhash.bench.run_recipe] gives.
    """
    return "\n\n".join(_protocol(results, name) for name in results["protocols"]) + "\n"


def _protocol(results: Values, protocol: str) -> str:
    facts = results["protocols"][protocol]
    cutoff = "ALL" if facts["cutoff"] is None else facts["cutoff"]
    tables = [
        f"### {protocol}",
        f"{facts['query']:,} queries, {facts['train']:,} training images, database of {facts['database']:,}; "
        f"{facts['citation']}. {facts['backbone']}; hash `{facts['hash']}`."
        + (f" {facts['note']}" if facts["note"] else ""),
        f"Tie-aware mAP@{cutoff}, ordinal distance:",
        _table(results, protocol, "ordinal", "map"),
        f"Tie-aware mAP@{cutoff}, asymmetric distance:",
        _table(results, protocol, "asymmetric", "map"),
    ]
    if facts["graded"]:
        tables += ["Tie-aware NDCG, ordinal distance:", _table(results, protocol, "ordinal", "ndcg")]
    return "\n\n".join(tables)


def _table(results: Values, protocol: str, distance: str, measure: str) -> str:
    """Mean and interval of every row at every length; the best method of a column, and what is not worse, is bold."""
    lengths, cells = results["code_bits"], {}
    for row in results["rows"]:
        for bits in lengths:
            values = values_of(results, protocol, row["name"], bits, distance, measure)
            if values:
                cells[row["name"], bits] = mean_interval(values)
    bold = set()
    methods = [row["name"] for row in results["rows"] if row["method"] not in _BOUNDS]
    for bits in lengths:
        column = {name: cells[name, bits] for name in methods if (name, bits) in cells}
        if column:
            best, half = max(column.values())
            bold |= {(name, bits) for name, (mean, own) in column.items() if mean + own >= best - half}
    lines = []
    for row in results["rows"]:
        line = [row["name"]]
        for bits in lengths:
            if (row["name"], bits) not in cells:
                line.append("-")
                continue
            mean, half = cells[row["name"], bits]
            text = f"{mean:.3f} ± {half:.3f}" if half else f"{mean:.3f}"
            line.append(f"**{text}**" if (row["name"], bits) in bold else text)
        if any(cell != "-" for cell in line[1:]):
            lines.append(line)
    if (distance, measure) == ("ordinal", "map"):
        for entry in results["published"]:
            if entry["protocol"] == protocol:
                known = {int(bits): value for bits, value in entry["values"].items()}
                shown = [f"*{known[bits]:.3f}*" if bits in known else "-" for bits in lengths]
                lines.append([f"*{entry['name']}, as published ({entry['source']})*", *shown])
    return markdown_table(["method", *(f"{bits} bits" for bits in lengths)], lines)


def values_of(results: Values, protocol: str, row: str, bits: int, distance: str, measure: str) -> list[float]:
    """A measure of all seeds of a row at a length; of raw features, which have no length, the one there is.

    Args:
        results: Of a benchmark.
        protocol: Its name.
        row: Name of the row.
        bits: Length.
        distance: ``ordinal`` or ``asymmetric``.
        measure: A field of [Quality][ordhash.evaluation.Quality].
    """
    return [
        run[distance][measure]
        for run in results["runs"]
        if run["protocol"] == protocol and run["row"] == row and run["code_bits"] in (bits, None) and distance in run
    ]


def draw_figures(results: Values, folder: Path, *, most: int = 8) -> list[Path]:
    """Figures of every protocol: mAP against bits, mAP against training time, precision against recall.

    Args:
        results: Of a benchmark.
        folder: For PNGs, named after recipe, protocol and figure.
        most: Methods shown where there are more: ours, and the best of the others.

    Returns:
        The files.
    """
    paths = []
    for protocol in results["protocols"]:
        stem = f"{results['recipe']}-{protocol}" if results["recipe"] != protocol else protocol
        names = _shown(results, protocol, most)
        if not names:
            continue
        lengths = results["code_bits"]
        lines: dict[str, Any] = {}
        times: dict[str, Any] = {}
        recalls: dict[str, Any] = {}
        for name in names:
            measured = [
                (bits, *mean_interval(values))
                for bits in lengths
                if (values := values_of(results, protocol, name, bits, "ordinal", "map"))
            ]
            lines[name] = tuple(zip(*measured, strict=True))
            at = max(bits for bits, _, _ in measured)
            runs = [r for r in results["runs"] if (r["protocol"], r["row"], r["code_bits"]) == (protocol, name, at)]
            if runs and "train_seconds" in runs[0]:
                seconds = float(np.mean([run["train_seconds"] for run in runs]))
                times[name] = ((seconds,), (measured[-1][1],), (measured[-1][2],))
            curve = [run["ordinal"]["precision"] for run in runs]
            if curve:
                precision = np.mean(curve, axis=0)[::5]
                recalls[name] = (np.linspace(0, 1, len(precision)), precision, np.zeros(len(precision)))
        longest = max(lengths)
        for kind, curves, x, y, title in (
            ("bits", lines, "bits", "tie-aware mAP", protocol),
            ("time", times, "seconds of training on one core", "tie-aware mAP", f"{protocol}, {longest} bits"),
            ("recall", recalls, "recall", "precision", f"{protocol}, {longest} bits"),
        ):
            if curves:
                paths.append(folder / f"{stem}-{kind}.png")
                draw_curves(paths[-1], curves, x=x, y=y, title=title)
    return paths


def _shown(results: Values, protocol: str, most: int) -> list[str]:
    """Rows for a figure: ours first, then the best of the others at the greatest length."""
    best = {}
    for row in results["rows"]:
        values = values_of(results, protocol, row["name"], max(results["code_bits"]), "ordinal", "map")
        if values and row["method"] != "raw":
            best[row["name"]] = (row["method"] == _OURS, float(np.mean(values)))
    return sorted(best, key=lambda name: best[name], reverse=True)[:most]
