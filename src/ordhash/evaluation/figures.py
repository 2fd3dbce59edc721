"""Pictures of results. Needs the extra ``ordhash[figures]``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ordhash.data import ImageSet, open_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["attention_overlay", "draw_curves", "draw_results"]

# Distinguishable with red-green blindness, and by the mark on top.
_RIGHT, _WRONG = "#1a7f5a", "#d1495b"


def attention_overlay(picture: Image.Image, attention: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """A photograph with its attention map over it: places without attention are dark and grey.

    Args:
        picture: RGB.
        attention: float (h, w), any scale.

    Returns:
        float64 (height, width, 3) in 0..1.
    """
    import matplotlib as mpl  # here and below: an extra, which metrics do without

    rgb = np.asarray(picture, dtype=np.float64) / 255
    scaled = attention / max(float(attention.max()), 1e-12)
    layer = Image.fromarray(np.uint8(scaled * 255)).resize(picture.size, Image.Resampling.BICUBIC)
    weight = (np.asarray(layer, dtype=np.float64) / 255)[..., None]
    colours = mpl.colormaps["inferno"](weight[..., 0])[..., :3]
    overlay: npt.NDArray[np.float64] = np.clip(
        0.45 * rgb + 0.55 * (weight * rgb + (1 - weight) * rgb.mean() * 0.15) + 0.35 * colours * weight, 0, 1
    )
    return overlay


def draw_results(
    path: Path,
    queries: ImageSet,
    attention: Sequence[npt.NDArray[np.floating[Any]]],
    database: ImageSet,
    found: npt.NDArray[np.int64],
    relevant: npt.NDArray[np.bool_],
    *,
    title: str,
) -> None:
    """Write a figure: a row per query with its photograph, its attention map and what was found, marked right or wrong.

    Args:
        path: A PNG.
        queries: q images with labels.
        attention: q maps, float (h, w).
        database: Images that were searched.
        found: int (q, k), rows of the database, best first.
        relevant: bool (q, k), whether what was found is right.
        title: Above the figure.
    """
    from matplotlib.figure import Figure

    n, k = found.shape
    figure = Figure(figsize=(1.05 * (k + 2.3), 1.28 * n + 0.6), dpi=90, layout="constrained")
    axes: Any = figure.subplots(n, k + 2, squeeze=False, gridspec_kw={"width_ratios": [1.15, 1.15] + [1] * k})
    for row in range(n):
        picture = _thumbnail(queries, row)
        _show(axes[row, 0], picture, _label(queries, row))
        _show(axes[row, 1], attention_overlay(picture, attention[row]), "attention" if row == 0 else "")
        for rank in range(k):
            right = bool(relevant[row, rank])
            axis = axes[row, rank + 2]
            _show(axis, _thumbnail(database, int(found[row, rank])), f"{rank + 1} {'✓' if right else '✗'}")
            axis.title.set_color(_RIGHT if right else _WRONG)
            for spine in axis.spines.values():
                spine.set(visible=True, color=_RIGHT if right else _WRONG, linewidth=2.5)
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def draw_curves(
    path: Path,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    title: str,
    log: str = "",
) -> None:
    """Write a figure of lines with intervals.

    Args:
        path: A PNG.
        curves: Name -> positions, values, half-widths of the intervals.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        title: Above the figure.
        log: Axes that are logarithmic: ``x``, ``xy`` or none.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(5.6, 3.8), dpi=110, layout="constrained")
    axis = figure.subplots()
    colours = colormaps["tab10" if len(curves) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    for (name, (positions, values, halves)), marker, colour in zip(
        curves.items(), itertools.cycle("osD^vP*X"), itertools.cycle(colours), strict=False
    ):
        axis.errorbar(positions, values, yerr=halves, marker=marker, color=colour, capsize=3, label=name)
    axis.set(xlabel=x, ylabel=y, title=title)
    axis.set(**{f"{name}scale": "log" for name in log})
    for name in log:
        ends = getattr(axis, f"get_{name}lim")()
        along = getattr(axis, f"{name}axis")
        along.set_major_locator(LogLocator(subs=(1, 2, 5) if ends[1] < 500 * ends[0] else (1,)))
        along.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        along.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3 if len(curves) > 4 else 2, fontsize=8)  # where it hides no line
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _thumbnail(images: ImageSet, row: int) -> Image.Image:
    picture = open_rgb(images.images[row], name=images.name(row))
    return picture.resize((128, 128), Image.Resampling.BICUBIC)


def _label(images: ImageSet, row: int) -> str:
    if images.labels is None:
        return str(images.keys[row])
    return ", ".join(name for name, on in zip(images.class_names, images.labels[row], strict=True) if on)


def _show(axis: Axes, picture: Any, title: str) -> None:
    axis.imshow(picture)
    axis.set_title(title, fontsize=7, pad=2)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
