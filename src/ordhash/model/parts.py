"""Which parts of a picture deserve a code of their own.

A part is a window of the feature map, four tenths of its shorter side wide and high, and its code is what the head
makes of that window alone. What counts at a location is its attention times the length of its features; where a model
has no attention, the features alone. Windows are taken in the order of what they hold of that, and overlap no earlier
one. A window becomes a part if its code says something that the code of the whole picture and those of earlier parts
leave open: if its distance to each of them is at least four ninths of the mean distance of two codes. So a photograph
of one thing has hardly any part, and one of three things two or three (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.codes import MOST_PARTS, CodeSpec, OrdinalCodes, PartCodes, symbols_from_scores
from ordhash.errors import InputError
from ordhash.model.file import Model

__all__ = ["boxes_of", "check_sees_all", "differing_parts", "part_codes", "window_side", "windows_of"]

_SIDE = 0.4  # of the shorter side of the map
_LEAST = 0.02  # of what counts in the whole picture
_DIFFERING = 4 / 9  # of the mean distance of a code to all codes

Window = tuple[int, int]
"""Its first row and column in the feature map."""


def check_sees_all(model: Model) -> None:
    """Check that a model can encode parts of pictures.

    Args:
        model: The model.

    Raises:
        InputError: It sees the middle square alone.
    """
    if not model.info.sees_all:
        raise InputError(
            f"{model.path} sees the middle square of a picture alone, and parts need all of it; leave parts out, or "
            "train with --fit whole"
        )


def window_side(height: int, width: int) -> int:
    """Side of the windows of a feature map, in locations.

    >>> window_side(10, 13), window_side(5, 5)
    (4, 2)
    """
    return max(1, round(_SIDE * min(height, width)))


def windows_of(features: npt.NDArray[np.floating[Any]], attention: npt.NDArray[np.floating[Any]]) -> list[Window]:
    """Windows that hold much of what counts in a picture, most first; they do not overlap.

    Args:
        features: Feature map (D, h, w).
        attention: float (h, w), adds up to 1.

    Returns:
        At most 8 windows.

    >>> features, attention = np.ones((1, 5, 5)), np.zeros((5, 5))
    >>> attention[0, 1], attention[4, 4] = 0.3, 0.7
    >>> windows_of(features, attention)
    [(3, 3), (0, 0)]
    """
    height, width = attention.shape
    side = window_side(height, width)
    counts = attention * np.sqrt(np.einsum("dhw,dhw->hw", features, features, dtype=np.float64))
    total = counts.sum()
    if not total > 0:  # black pictures have no features
        return []
    inside = np.lib.stride_tricks.sliding_window_view(counts / total, (side, side)).sum(axis=(2, 3))
    found: list[Window] = []
    while len(found) < MOST_PARTS:
        top, left = np.unravel_index(int(inside.argmax()), inside.shape)
        if inside[top, left] < _LEAST:
            break
        found.append((int(top), int(left)))
        inside[max(0, top - side + 1) : top + side, max(0, left - side + 1) : left + side] = 0
    return found


def differing_parts(whole: npt.NDArray[np.uint8], parts: npt.NDArray[np.uint8], arity: int) -> list[int]:
    """Which parts say something that the whole and the parts kept before do not.

    Args:
        whole: Symbols of the whole, (n_segments,).
        parts: Symbols of the parts, (p, n_segments).
        arity: Number of values of a symbol.

    >>> differing_parts(np.array([0, 0, 0]), np.array([[0, 0, 0], [0, 1, 2], [0, 1, 2]]), 4)
    [1]
    """
    kept, held = [], [whole]
    least = _DIFFERING * len(whole) * (1 - 1 / arity) - 1e-9
    for number, symbols in enumerate(parts):
        if min(int((symbols != other).sum()) for other in held) >= least:
            kept.append(number)
            held.append(symbols)
    return kept


def boxes_of(windows: Sequence[Window], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Windows as left, top, right and bottom in 255ths of the picture, uint8 (len(windows), 4).

    Args:
        windows: Of a feature map.
        height: Rows of the map.
        width: Columns.

    >>> boxes_of([(0, 3)], 5, 5).tolist()
    [[153, 0, 255, 102]]
    """
    side = window_side(height, width)
    corners = np.array([(left, top, left + side, top + side) for top, left in windows]).reshape(-1, 4)
    return np.asarray((255 * corners / (width, height, width, height)).round(), dtype=np.uint8)


def part_codes(
    scores: npt.NDArray[np.float32],
    maps: Sequence[npt.NDArray[np.floating[Any]]],
    attention: Sequence[npt.NDArray[np.float32]],
    score: Callable[[Sequence[npt.NDArray[np.floating[Any]]]], npt.NDArray[np.float32]],
    model_id: str | None = None,
) -> PartCodes:
    """Codes of the parts of n pictures.

    Args:
        scores: Of the whole pictures, float32 (n, n_segments, arity).
        maps: Their feature maps (D, h, w).
        attention: Their attention (h, w).
        score: Scores (m, n_segments, arity) of m >= 1 feature maps.
        model_id: The model that makes them; None while it has no name.
    """
    windows = [windows_of(*pair) for pair in zip(maps, attention, strict=True)]
    cut = [
        features[:, top : top + side, left : left + side]
        for features, of_picture in zip(maps, windows, strict=True)
        for side in (window_side(*features.shape[1:]),)
        for top, left in of_picture
    ]
    spec = CodeSpec.of_segments(*scores.shape[1:])
    whole, parts = symbols_from_scores(scores), symbols_from_scores(score(cut) if cut else scores[:0])
    owners, symbols, boxes, done = [], [], [], 0
    for row, (features, of_picture) in enumerate(zip(maps, windows, strict=True)):
        candidates = parts[done : done + len(of_picture)]
        done += len(of_picture)
        kept = differing_parts(whole[row], candidates, spec.arity)
        owners += [row] * len(kept)
        symbols.append(candidates[kept])
        boxes.append(boxes_of([of_picture[number] for number in kept], *features.shape[1:]))
    if not owners:
        return PartCodes.none(spec, model_id)
    codes = OrdinalCodes(np.concatenate(symbols), spec, model_id)
    return PartCodes(codes, np.array(owners), np.concatenate(boxes))
