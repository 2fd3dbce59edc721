"""Where attention maps look, against a rectangle of the picture whose content is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.errors import InputError

__all__ = ["attention_inside", "peak_inside"]

Floats = npt.NDArray[np.float64]


def attention_inside(attention: npt.NDArray[np.floating[Any]], boxes: npt.ArrayLike) -> Floats:
    """Share of every attention map that lies inside a rectangle of its picture.

    A map has few cells, so a rectangle cuts through them: a cell counts by the part of it that the rectangle covers.
    A map that is the same everywhere has the rectangle's share of the area.

    Args:
        attention: Numbers (n, h, w), not negative, of any sum above 0.
        boxes: (n, 4): left, top, right and bottom, as fractions of the picture's width and height.

    Returns:
        float64 (n,), from 0 to 1.

    Raises:
        InputError: Wrong shapes, a map without attention, or a rectangle that is empty or leaves the picture.

    >>> attention = np.array([[[0.0, 0.0], [0.2, 0.8]]])
    >>> attention_inside(attention, [(0.5, 0.5, 1, 1)]), attention_inside(attention, [(0.25, 0, 1, 1)])
    (array([0.8]), array([0.9]))
    """
    maps, edges = _check(attention, boxes)
    rows = _covered(edges[:, 1], edges[:, 3], maps.shape[1])
    columns = _covered(edges[:, 0], edges[:, 2], maps.shape[2])
    inside = np.einsum("nhw,nh,nw->n", maps, rows, columns)
    share: Floats = np.minimum(inside / maps.sum(axis=(1, 2)), 1.0)  # rounding may lift a whole map above 1
    return share


def peak_inside(attention: npt.NDArray[np.floating[Any]], boxes: npt.ArrayLike) -> Floats:
    """Whether every map is largest inside a rectangle of its picture (the pointing game): 1, 0, or between for ties.

    The place of a cell is its middle. Where several cells are equally large, the share of them that is inside counts,
    as any of them could be named; a map that is the same everywhere is then not judged by its first cell.

    Args:
        attention: As in [attention_inside][ordhash.evaluation.attention_inside].
        boxes: As there. A middle on an edge is inside.

    Returns:
        float64 (n,).

    Raises:
        InputError: As there.

    >>> peak_inside(np.array([[[0.0, 0.0], [0.2, 0.8]]]), [(0.5, 0.5, 1, 1)])
    array([1.])
    >>> peak_inside(np.ones((1, 2, 2)), [(0.5, 0.5, 1, 1)])
    array([0.25])
    """
    maps, edges = _check(attention, boxes)
    rows = _middles_inside(edges[:, 1], edges[:, 3], maps.shape[1])
    columns = _middles_inside(edges[:, 0], edges[:, 2], maps.shape[2])
    largest = maps == maps.max(axis=(1, 2), keepdims=True)
    found = (largest & rows[:, :, None] & columns[:, None, :]).sum(axis=(1, 2))
    return np.asarray(found / largest.sum(axis=(1, 2)), dtype=np.float64)


def _covered(start: Floats, stop: Floats, cells: int) -> Floats:
    """Part of each of some equal cells of 0..1 that lies between start and stop, (n, cells)."""
    edges = np.arange(cells + 1) / cells
    overlap = np.minimum(stop[:, None], edges[1:]) - np.maximum(start[:, None], edges[:-1])
    part: Floats = np.clip(overlap * cells, 0.0, 1.0)
    return part


def _middles_inside(start: Floats, stop: Floats, cells: int) -> npt.NDArray[np.bool_]:
    middles = (np.arange(cells) + 0.5) / cells
    return np.asarray((start[:, None] <= middles) & (middles <= stop[:, None]))


def _check(attention: npt.NDArray[np.floating[Any]], boxes: npt.ArrayLike) -> tuple[Floats, Floats]:
    maps, edges = np.asarray(attention, dtype=np.float64), np.asarray(boxes, dtype=np.float64)
    if maps.ndim != 3 or edges.shape != (len(maps), 4):
        raise InputError(
            f"attention has shape {maps.shape} and boxes {edges.shape}; give maps (n, h, w) and a box (left, top, "
            "right, bottom) for each"
        )
    if maps.size and not (np.isfinite(maps).all() and (maps >= 0).all() and (maps.sum(axis=(1, 2)) > 0).all()):
        raise InputError("a map has negative or infinite attention, NaN, or none at all; give what an encoder returns")
    if not (edges.size == 0 or (((edges >= 0) & (edges <= 1)).all() and (edges[:, :2] < edges[:, 2:]).all())):
        raise InputError(
            "a box is empty or leaves the picture; allowed are 0 <= left < right <= 1, top and bottom alike"
        )
    return maps, edges
