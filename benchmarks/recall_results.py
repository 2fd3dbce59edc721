"""Table and figure of recall against queries per second, from what ``benchmarks/recall.py`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common import table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

__all__ = ["draw_recall", "recall"]

Points = list[dict[str, Any]]

# Name, colour (the palette of Okabe and Ito, told apart by people who do not see all colours) and marker of each.
INDEXES = {
    "ordhash": ("ordhash", "#d55e00", "*"),
    "ordhash_tables": ("ordhash, tables", "#cc79a7", "P"),
    "faiss_flat": ("FAISS Flat", "#000000", "s"),
    "usearch_exact": ("usearch exact", "#f0e442", "D"),
    "faiss_hnsw": ("FAISS HNSW", "#0072b2", "o"),
    "usearch_hnsw": ("usearch HNSW", "#56b4e9", "^"),
    "faiss_ivf": ("FAISS IVF", "#009e73", "v"),
    "faiss_multi_hash": ("FAISS MultiHash", "#e69f00", "X"),
}
EXACT = ("ordhash", "ordhash_tables", "faiss_flat", "usearch_exact")
DATA = {"random": "random codes", "real": "codes of CIFAR-10", "distinct": "distinct codes of CIFAR-10"}


def best(points: Points, recall: float, speed: str) -> str:
    """Most queries per second of the points that find so much, or a dash where none does."""
    speeds = [point[speed] for point in points if point["recall"] >= recall]
    return f"{max(speeds):,.0f}" if speeds else "-"


def parameters(points: Points, *names: str) -> str:
    """Some parameters of the points, each with its values."""
    values = {name: sorted({point["parameters"][name] for point in points}) for name in names}
    return "; ".join(f"{name} {', '.join(f'{value:,}' for value in values[name])}" for name in names)


def recall(results: dict[str, Any]) -> str:
    """Queries per second of every index at two levels of recall, a table for each set of codes."""
    parts = []
    for dataset, what in DATA.items():
        rows = []
        for index, (name, _, _) in INDEXES.items():
            points = [p for p in results["points"] if p["dataset"] == dataset and p["index"] == index]
            if points:
                speeds = [best(points, share, way) for way in ("qps_batch", "qps_single") for share in (0.95, 1)]
                seconds = max(p["build_seconds"] for p in points)
                rows.append([name, *speeds, f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2f}"])
        data = results["data"][dataset]
        heading = [
            f"{data['codes']:,} {what}" + (f", {data['distinct']:,} distinct" if dataset == "real" else ""),
            *("at once, recall ≥ 0.95", "at once, recall 1"),
            *("one by one, recall ≥ 0.95", "one by one, recall 1"),
            "s to build",
        ]
        parts.append(table(heading, rows))
    machine, points = results["machine"], results["points"]
    graphs, lists, hashes = (
        [p for p in points if p["index"] == index] for index in ("faiss_hnsw", "faiss_ivf", "faiss_multi_hash")
    )
    shapes = sorted({f"{p['parameters']['nhash']} x {p['parameters']['b']}" for p in hashes})
    parts.append(
        f"Queries per second at the fastest setting with that recall of the top {results['top_k']}; "
        f"{results['code_bits']} bits, K = {results['arity']}; {results['data']['random']['queries']:,} queries at "
        f"once, or {results['alone']:,} one by one; medians of {results['rounds']} alternating rounds, the same "
        f"threads. Both HNSW: {parameters(graphs, 'M', 'efConstruction', 'efSearch')}. IVF: "
        f"{parameters(lists, 'nlist', 'nprobe')}. MultiHash: nhash x b {', '.join(shapes)}; "
        f"{parameters(hashes, 'nflip')}. "
        f"{machine['processor']}, {machine['cores']} cores, FAISS {machine['faiss']}, usearch {machine['usearch']}. "
        f"Written by `{results['command']}`."
    )
    return "\n\n".join(parts)


def not_beaten(points: Points) -> Points:
    """Points that no other beats in both recall and speed, by rising recall."""
    front: Points = []
    for point in sorted(points, key=lambda p: (p["recall"], p["qps_batch"]), reverse=True):
        if not front or point["qps_batch"] > front[-1]["qps_batch"]:
            front.append(point)
    return front[::-1]


def draw_panel(axis: Axes, points: Points) -> None:
    """A line for each approximate index, a larger mark for each exact one, which has recall 1 and no line."""
    for index, (name, colour, marker) in INDEXES.items():
        mine = not_beaten([point for point in points if point["index"] == index])
        exact = index in EXACT
        axis.plot(
            [point["recall"] for point in mine],
            [point["qps_batch"] for point in mine],
            color=colour,
            marker=marker,
            markersize=(12 if marker == "*" else 8) if exact else 5,
            markeredgecolor="black" if exact else colour,
            linestyle="none" if exact else "solid",
            label=name,
            zorder=4 if exact else 3,
        )


def draw_recall(path: Path, results: dict[str, Any]) -> None:
    """Write the figure: a panel for each set of codes, all queries at once."""
    figure = Figure(figsize=(12.0, 4.4), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(DATA), sharey=True)
    for axis, (dataset, what) in zip(axes, DATA.items(), strict=True):
        draw_panel(axis, [point for point in results["points"] if point["dataset"] == dataset])
        axis.set(title=f"{results['data'][dataset]['codes']:,} {what}", xlabel=f"recall of the top {results['top_k']}")
        axis.set(xlim=(0, 1.03), yscale="log")  # room for whole marks at recall 1
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("queries per second, up is better")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
