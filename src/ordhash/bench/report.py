"""Tables and figures from the results of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from ordhash.bench.comparing import BOUNDS
from ordhash.bench.compressed import COMPRESSED
from ordhash.bench.recipe import RAW_FEATURES
from ordhash.bench.results import FinishedRun, Results
from ordhash.evaluation import draw_curves
from ordhash.learn.objectives import OBJECTIVES
from ordhash.support import natural_order

__all__ = ["draw_figures", "markdown", "markdown_table", "mean_interval", "values_of", "with_interval"]

_OURS = next(iter(OBJECTIVES))


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval (Student's t), 0 for a single value.

    >>> mean_interval([0.5, 0.5, 0.8])[0].__round__(3)
    0.6
    """
    n = len(values)
    if n < 2:
        return float(values[0]), 0.0
    return float(np.mean(values)), float(scipy.stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def with_interval(mean: float, half: float) -> str:
    """A mean and half the width of its interval as text; the mean alone where that is 0.

    >>> with_interval(0.5, 0.0125), with_interval(0.5, 0.0)
    ('0.500 ± 0.013', '0.500')
    """
    return f"{mean:.3f} ± {half:.3f}" if half else f"{mean:.3f}"


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, with the first column left-aligned and the others right-aligned."""
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def markdown(results: Results) -> str:
    """Tables of every protocol: mAP by ordinal and by asymmetric distance, NDCG if relevance is graded.

    Args:
        results: From [run_recipe][ordhash.bench.run_recipe]; protocols without runs are left out.
    """
    begun = {run.protocol for run in results.runs}
    return "\n\n".join(_protocol(results, name) for name in results.protocols if name in begun) + "\n"


def _protocol(results: Results, protocol: str) -> str:
    facts = results.protocols[protocol]
    cutoff = "ALL" if facts.cutoff is None else facts.cutoff
    about = (
        f"{facts.query:,} queries, {facts.train:,} training images, database of {facts.database:,}; "
        f"{facts.citation}. {facts.backbone}; hash `{facts.hash}`. "
        f"{_seeds(results, protocol)} {results.tuning}{_level(results, protocol)} "
        f"Written by `ordhash bench {results.recipe}.toml`. {facts.note}"
    )
    measures = [
        (f"Tie-aware mAP@{cutoff}, ordinal distance", "ordinal", "map"),
        (f"Tie-aware mAP@{cutoff}, asymmetric distance", "asymmetric", "map"),
    ]
    if facts.graded:
        measures.append(("Tie-aware NDCG, ordinal distance", "ordinal", "ndcg"))
    parts = [f"### {protocol}", about.strip()]
    for title, distance, measure in measures:
        cells = _cells(results, protocol, distance, measure)
        verdict = _verdict(results, cells, protocol, distance if measure == "map" else "")
        parts += [f"{title}. {verdict}".strip(), _table(results, protocol, cells, distance, measure)]
    if facts.single:
        heading = "Share of the queries whose image is among the first (recall@k), ordinal distance"
        parts += _columns(results, protocol, heading, "found_at", lambda k: f"first {k}" if k > 1 else "first")
    heading = "Tie-aware mAP of groups, each searched alone where it is one of the database, ordinal distance"
    parts += _columns(results, protocol, heading, "by_group", str)
    return "\n\n".join(parts)


def _columns(results: Results, protocol: str, heading: str, measure: str, shown: Callable[[Any], str]) -> list[str]:
    """A table for each length with a column for each key of a measure that has several; none without such."""
    parts = []
    for bits in results.code_bits:
        found = {row.name: values_of(results, protocol, row.name, bits, "ordinal", measure) for row in results.rows}
        keys = {key for values in found.values() for value in values for key in value}
        ordered = sorted(keys, key=lambda key: natural_order(str(key)))
        lines = [
            [name, *(with_interval(*mean_interval([value[key] for value in values])) for key in ordered)]
            for name, values in found.items()
            if values and all(key in value for key in keys for value in values)
        ]
        if keys and lines:
            parts += [f"{heading}, {bits} bits.", markdown_table(["method", *map(shown, ordered)], lines)]
    return parts


def _seeds(results: Results, protocol: str) -> str:
    seeds = len({run.seed for run in results.runs if run.protocol == protocol})
    if seeds < 2:
        return "One seed: no intervals."
    return f"Means of up to {seeds} seeds with their 95 % interval (Student's t); without one, a single run."


def _level(results: Results, protocol: str) -> str:
    if len({run.row for run in results.runs if run.protocol == protocol} & _hashing_methods(results).keys()) < 2:
        return ""
    lengths = {run.code_bits for run in results.runs if run.protocol == protocol and run.code_bits is not None}
    paired = {one.code_bits for one in results.comparisons if one.protocol == protocol}
    if not paired:
        return " Level with the best, and bold too: the intervals overlap."
    unpaired = ", ".join(map(str, sorted(lengths - paired)))
    overlapping = f"; at {unpaired} bits: the intervals overlap" if unpaired else ""
    return (
        " Level with the best, and bold too: the interval of the difference, paired by seed and query, holds 0"
        f"{overlapping}."
    )


Cells = dict[tuple[str, int], tuple[float, float]]


def _cells(results: Results, protocol: str, distance: str, measure: str) -> Cells:
    """Mean and half interval of every row at every length that has runs."""
    return {
        (row.name, bits): mean_interval(values)
        for row in results.rows
        for bits in results.code_bits
        if (values := values_of(results, protocol, row.name, bits, distance, measure))
    }


def _with_codes(results: Results) -> list[str]:
    """Rows with codes; raw features have no length and fill every column."""
    return [row.name for row in results.rows if row.method != RAW_FEATURES]


def _hashing_methods(results: Results) -> dict[str, str]:
    return {row.name: row.method for row in results.rows if row.method not in BOUNDS}


def _best(results: Results, cells: Cells, bits: int) -> tuple[str, float, float] | None:
    """The best hashing method at a length, its mean and half interval."""
    column = [(*cells[name, bits], name) for name in _hashing_methods(results) if (name, bits) in cells]
    if not column:
        return None
    mean, half, name = max(column)
    return name, mean, half


def _as_good(results: Results, cells: Cells, column: tuple[str, int, str], best: tuple[str, float, float]) -> set[str]:
    """Hashing methods that may be as good as the best: the paired interval of the difference holds 0.

    Of methods without one (of NDCG, in results from before they were computed, and of too few seeds) those whose
    intervals overlap.

    Args:
        results: Results of a benchmark.
        cells: Means and half intervals.
        column: Protocol, length and distance; an empty distance stands for a measure without comparisons.
        best: The best method, its mean and half interval.
    """
    paired = [one for one in results.comparisons if (one.protocol, one.code_bits, one.distance) == column]
    level = {one.row for one in paired if one.level} | {one.best for one in paired}  # two may be best alike
    bits, told = column[1], level | {one.row for one in paired}
    there = [(name, cells[name, bits]) for name in _hashing_methods(results) if (name, bits) in cells]
    others = {name for name, (mean, half) in there if name not in told and mean + half >= best[1] - best[2]}
    return (level | others) - {best[0]}


def _ahead(
    results: Results, column: tuple[str, int, str], best: tuple[str, float, float], row: str, cells: Cells
) -> str:
    """How far the best method is ahead of a row, with the paired interval where it is known."""
    for one in results.comparisons:
        if (one.protocol, one.code_bits, one.distance, one.row) == (*column, row):
            return f"{best[0]} {one.mean:.3f} ± {one.half:.3f} ahead"
    return f"{best[0]} {best[1] - cells[row, column[1]][0]:.3f} ahead"


def _verdict(results: Results, cells: Cells, protocol: str, distance: str) -> str:
    """At which lengths our default is first, level with others, or behind."""
    hashing = _hashing_methods(results)
    ours = [name for name, method in hashing.items() if name == method == _OURS]  # variants are not the default
    first: list[str] = []
    level: list[str] = []
    behind: list[str] = []
    for bits in results.code_bits:
        mine = [(cells[name, bits], name) for name in ours if (name, bits) in cells]
        best = _best(results, cells, bits)
        if not mine or best is None or all((name, bits) not in cells for name in hashing if name not in ours):
            continue
        column = (protocol, bits, distance)
        _, name = max(mine)
        as_good = _as_good(results, cells, column, best)
        if best[0] == name:
            rivals = sorted(as_good - set(ours))
            (level if rivals else first).append(f"{bits} (with {', '.join(rivals)})" if rivals else f"{bits}")
        else:
            said = f"{bits} ({_ahead(results, column, best, name, cells)})"
            (level if name in as_good else behind).append(said)
    parts = [
        f"{words} at {', '.join(lengths)} bits"
        for words, lengths in (("first", first), ("level", level), ("behind", behind))
        if lengths
    ]
    return f"Our default is {'; '.join(parts)}." if parts else ""


def _table(results: Results, protocol: str, cells: Cells, distance: str, measure: str) -> str:
    """Every row at every length; the best hashing method of a column is bold, and so are those as good."""
    lines = []
    lengths = [bits for bits in results.code_bits if any((row, bits) in cells for row in _with_codes(results))]
    bold: dict[int, set[str]] = {}
    for bits in lengths:
        best = _best(results, cells, bits)
        column = (protocol, bits, distance if measure == "map" else "")
        bold[bits] = set() if best is None else {best[0], *_as_good(results, cells, column, best)}
    for row in results.rows:
        line = [row.name]
        for bits in lengths:
            cell = cells.get((row.name, bits))
            if cell is None:
                line.append("-")
                continue
            text = with_interval(*cell)
            line.append(f"**{text}**" if row.name in bold[bits] else text)
        if any(cell != "-" for cell in line[1:]):
            lines.append(line)
    if (distance, measure) == ("ordinal", "map"):
        for entry in results.published:
            if entry.protocol == protocol:
                shown = [f"*{entry.values[bits]:.3f}*" if bits in entry.values else "-" for bits in lengths]
                lines.append([f"*{entry.name}, as published ({entry.source})*", *shown])
    return markdown_table(["method", *(f"{bits} bits" for bits in lengths)], lines)


def values_of(results: Results, protocol: str, row: str, bits: int, distance: str, measure: str) -> list[Any]:
    """A measure for all seeds of a row at a length; raw features, which have no length, count for every length.

    Args:
        results: Results of a benchmark.
        protocol: Name of the protocol.
        row: Name of the row.
        bits: Length in bits.
        distance: ``ordinal`` or ``asymmetric``.
        measure: A field of [Quality][ordhash.evaluation.Quality].
    """
    return [
        getattr(ranking, measure)
        for run in results.runs
        if run.protocol == protocol and run.row == row and run.code_bits in (bits, None)
        if (ranking := getattr(run.outcome, distance)) is not None
    ]


def draw_figures(results: Results, folder: Path, *, most: int = 8) -> list[Path]:
    """Draw figures of every protocol: mAP against bits, mAP against training time, precision against recall.

    And mAP against bytes where features were compressed too.

    Args:
        results: Results of a benchmark.
        folder: Folder of the PNGs, named after recipe, protocol and figure.
        most: Maximum number of methods: ours, and the best of the others.

    Returns:
        The files.
    """
    paths = []
    for protocol in results.protocols:
        stem = f"{results.recipe}-{protocol}" if results.recipe != protocol else protocol
        names = _shown(results, protocol, most)
        if not names:
            continue
        lengths = results.code_bits
        # Runs adopted from condensed results have no curves; a figure with only some methods would be no comparison.
        ranked = [run for run in results.runs if run.protocol == protocol and run.outcome.ordinal is not None]
        whole = all(_curve(run) for run in ranked)
        measured = {
            name: {
                bits: mean_interval(values)
                for bits in lengths
                if (values := values_of(results, protocol, name, bits, "ordinal", "map"))
            }
            for name in names
        }
        longest = max(set.intersection(*(set(found) for found in measured.values())), default=max(lengths))
        lines: dict[str, Any] = {}
        times: dict[str, Any] = {}
        recalls: dict[str, Any] = {}
        for name, found in measured.items():
            lines[name] = tuple(zip(*((bits, *value) for bits, value in found.items()), strict=True))
            runs = [run for run in ranked if (run.row, run.code_bits) == (name, longest)]
            trained = [run.outcome.train_seconds for run in runs if run.outcome.train_seconds is not None]
            if trained:
                times[name] = ((float(np.mean(trained)),), *((value,) for value in found[longest]))
            if runs and whole:
                precision = np.mean([_curve(run) for run in runs], axis=0)[::5]
                recalls[name] = (np.linspace(0, 1, len(precision)), precision, np.zeros(len(precision)))
        sizes = _by_size(results, protocol, names)
        frozen = results.protocols[protocol].backbone.endswith("frozen")
        seconds_of = "seconds of training" + (" on one core" if frozen else "")
        for kind, curves, x, y, title in (
            ("bits", lines, "bits", "tie-aware mAP", protocol),
            ("time", times, seconds_of, "tie-aware mAP", f"{protocol}, {longest} bits"),
            ("recall", recalls, "recall", "precision", f"{protocol}, {longest} bits"),
            ("bytes", sizes, "bytes an image", "tie-aware mAP, the query as floats", protocol),
        ):
            if curves:
                paths.append(folder / f"{stem}-{kind}.png")
                draw_curves(paths[-1], curves, x=x, y=y, title=title, log="x" if kind == "bytes" else "")
    return paths


def _by_size(results: Results, protocol: str, names: list[str]) -> dict[str, Any]:
    """Quality by asymmetric distance against bytes, beside compressed features and floats; empty without these."""
    compressed = [row.name for row in results.rows if row.method in COMPRESSED]
    curves: dict[str, Any] = {}
    for name in (*names, *compressed) if compressed else ():
        measured = [
            (bits / 8, *mean_interval(values))
            for bits in results.code_bits
            if (values := values_of(results, protocol, name, bits, "asymmetric", "map"))
        ]
        if measured:
            curves[name] = tuple(zip(*measured, strict=True))
    for run in results.runs if compressed else ():
        if run.protocol == protocol and run.outcome.floats is not None and run.outcome.ordinal is not None:
            curves["floats"] = ((4.0 * run.outcome.floats,), (run.outcome.ordinal.map,), (0.0,))
    return curves


def _curve(run: FinishedRun) -> tuple[float, ...]:
    """Precision at increasing recall, by ordinal distance; empty in condensed results."""
    return () if run.outcome.ordinal is None else run.outcome.ordinal.precision


def _shown(results: Results, protocol: str, most: int) -> list[str]:
    """Rows for a figure: ours first, then the best of the others, each at the longest length with runs."""
    best = {}
    for row in results.rows:
        for bits in results.code_bits if row.method != RAW_FEATURES else ():
            values = values_of(results, protocol, row.name, bits, "ordinal", "map")
            if values:
                best[row.name] = (row.name == row.method == _OURS, float(np.mean(values)))
    return sorted(best, key=lambda name: best[name], reverse=True)[:most]
