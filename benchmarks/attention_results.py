"""Tables and figure of what ``benchmarks/attention.py`` measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import mean_interval, table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from ordhash.evaluation import attention_overlay

__all__ = ["Panel", "attention", "draw_attention"]

ROWS = {
    "attention": "**attention in the pasted photograph**",
    "other boxes": "the same maps, in the rectangles of the other queries",
    "other photograph": "a photograph without groceries pasted in the same place",
    "learned": "learned attention",
    "local stream alone": "attention of a network without the global stream",
    "untrained head": "attention of a head that has learned nothing",
    "no attention": "without attention: the same everywhere",
}


@dataclass(frozen=True, eq=False)
class Panel:
    """A composite of the figure.

    Attributes:
        picture: RGB.
        attention: float (h, w).
        box: Where the photograph is pasted: left, top, right, bottom as fractions.
        inside: Share of the attention in the box.
        area: Share of the area in the box.
        name: Class of the pasted photograph.
    """

    picture: Image.Image
    attention: npt.NDArray[np.float32]
    box: tuple[float, ...]
    inside: float
    area: float
    name: str


def percent(value: dict[str, float]) -> str:
    """A share with its interval."""
    return f"{100 * value['mean']:.1f} ± {100 * value['half']:.1f} %"


def plain_or_interval(values: list[float]) -> str:
    """A mean over seeds with its interval, if there are several."""
    centre, half = mean_interval(values)
    return f"{centre:.3f} ± {half:.3f}" if len(values) > 1 else f"{centre:.3f}"


def attention(results: dict[str, Any]) -> str:
    """Where attention is, and how composites search with and without it."""
    where = [
        [
            label,
            percent(results["attention"][name]["inside"]),
            f"{results['attention'][name]['ratio']['mean']:.2f} ± {results['attention'][name]['ratio']['half']:.2f}",
            percent(results["attention"][name]["peak"]),
        ]
        for name, label in ROWS.items()
        if name in results["attention"]
    ]
    found = [
        [network, plain_or_interval(kinds["plain"]), plain_or_interval(kinds["pasted"])]
        for network, kinds in results["retrieval"].items()
    ]
    gains = "; ".join(
        f"{streams} {values['pasted']['mean']:+.3f} ± {values['pasted']['half']:.3f} on composites and "
        f"{values['plain']['mean']:+.3f} ± {values['plain']['half']:.3f} on plain photographs"
        for streams, values in results["gain"].items()
    )
    behind = {
        "corel5k": "photographs of Corel-5K that show no food",
        "scikit-image": "crops of six photographs of scikit-image",
    }[results["backgrounds"]]
    low, high = (f"{100 * share:.0f}" for share in results["shares"])
    h, w = results["map"]
    notes = (
        f"The {results['queries']} queries of `{results['protocol']}` ({results['protocol_hash']}), each pasted once "
        f"at a random place into {behind}, on {low} to {high} % of the area, {percent(results['area'])} on average. "
        f"Maps of {h} x {w} cells, which the rectangles cut in fractions; a maximum is inside if the middle of its "
        f"cell is. Shares are averaged over {results['seeds']} trainings, image by image; intervals are 95 %, over "
        f"images. {results['network']}.",
        f"Tie-aware mAP@ALL of {results['code_bits']}-bit codes by ordinal distance, database of "
        f"{results['database']} plain photographs; means of {results['seeds']} trainings ± 95 % interval (Student's "
        f"t). What attention adds, query by query (95 % intervals over queries): {gains}. Written by "
        f"`{results['command']}`.",
    )
    return "\n\n".join(
        [
            table(["", "share of the attention", "against the share of the area", "maximum inside"], where),
            notes[0],
            table(["network", "plain queries", "pasted queries"], found),
            notes[1],
        ]
    )


def draw_attention(
    path: Path, composites: Sequence[Panel], plain: Sequence[tuple[Image.Image, npt.NDArray[np.float32]]]
) -> None:
    """Write the figure: composites, their attention, plain photographs, their attention; a column for each query."""
    n = len(composites)
    figure = Figure(figsize=(1.75 * n, 7.6), dpi=100, layout="constrained")
    axes: Any = figure.subplots(4, n, squeeze=False)
    for column, panel in enumerate(composites):
        show(axes[0, column], panel.picture, panel.name)
        overlay = attention_overlay(panel.picture, panel.attention)
        show(axes[1, column], overlay, f"{100 * panel.inside:.0f} % in {100 * panel.area:.0f} % of the area")
        width, height = panel.picture.size
        left, top, right, bottom = panel.box
        corner, size = (left * width, top * height), ((right - left) * width, (bottom - top) * height)
        axes[1, column].add_patch(Rectangle(corner, *size, fill=False, edgecolor="white", linewidth=1.2))
    for column, (picture, looked) in enumerate(plain):
        show(axes[2, column], picture, "")
        show(axes[3, column], attention_overlay(picture, looked), "")
    for row, label in enumerate(("pasted", "attention", "plain", "attention")):
        axes[row, 0].set_ylabel(label, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, pil_kwargs={"quality": 85})


def show(axis: Axes, picture: Any, title: str) -> None:
    """A picture without a frame."""
    axis.imshow(picture)
    axis.set_title(title, fontsize=8, pad=3)
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)
