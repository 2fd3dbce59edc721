"""Whether a model that was learned from a collection's own photographs still suits them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.codes import OrdinalCodes

__all__ = [
    "GENERAL",
    "LEAST_LEARNED_FROM",
    "MOST_LEARNED_FROM",
    "SYMBOL_SHARES",
    "learned_from",
    "staleness",
    "symbol_shares",
]

SYMBOL_SHARES, _AVAILABLE = "symbol_shares", "available_images"  # what model files call them
GENERAL = "general"  # of how many photographs of others, in the file of the general model
LEAST_LEARNED_FROM = 500  # photographs: fewer say less of each other than a model of others does
MOST_LEARNED_FROM = 10_000  # photographs: more than these teach nothing new of their neighbourhoods
_GROWTH = 4
_MOVED = 0.1  # share of symbols beyond what chance moves


def symbol_shares(codes: OrdinalCodes) -> npt.NDArray[np.float64]:
    """Share of each symbol in each segment, (n_segments, arity); rows sum to 1.

    >>> from ordhash.codes import CodeSpec
    >>> codes = OrdinalCodes(np.array([[0, 1], [0, 3]], np.uint8), CodeSpec(4, 4))
    >>> symbol_shares(codes).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]]
    """
    arity = codes.spec.arity
    counts = [np.bincount(segment, minlength=arity) for segment in codes.symbols.T]
    return np.array(counts) / max(1, len(codes))


def learned_from(available: int, shares: npt.NDArray[np.float64]) -> dict[str, Any]:
    """The entries of a model file that ``staleness`` needs about the photographs it was learned from.

    Args:
        available: How many photographs there were; at most ``MOST_LEARNED_FROM`` of them were learned from.
        shares: Of the codes of those, as ``symbol_shares`` gives them.
    """
    return {_AVAILABLE: available, SYMBOL_SHARES: shares.round(4).tolist()}


def staleness(codes: OrdinalCodes, training: dict[str, Any]) -> str | None:
    """Why a model should be learned again, in a sentence; None if it should not, or was trained with labels.

    The general model is stale as soon as the collection has enough photographs to learn its own. A learned model is
    stale if the collection has grown to several times what it was learned from, or if the symbols of the codes are
    distributed differently now, which means that the photographs show other things. The latter is measured by the total
    variation distance of symbols, averaged over segments, minus its expectation by chance.

    Args:
        codes: Of all photographs of the collection, by the model.
        training: What the model file says of its training.
    """
    n = len(codes)
    if GENERAL in training and n >= LEAST_LEARNED_FROM:
        return f"the model is the general one, and now there are {n:,} photographs to learn from"
    if SYMBOL_SHARES not in training or not n:
        return None
    available = int(training[_AVAILABLE])
    if available < MOST_LEARNED_FROM and n >= _GROWTH * available:
        return f"the model was learned from {available:,} photographs, and now there are {n:,}"
    before = np.array(training[SYMBOL_SHARES])
    moved = 0.5 * np.abs(symbol_shares(codes) - before).sum(axis=1).mean()
    # Mean absolute error of a share of n draws is sqrt(2 p (1 - p) / (pi n)).
    by_chance = 0.5 * np.sqrt(2 * before * (1 - before) / (np.pi * n)).sum(axis=1).mean()
    if moved - by_chance > _MOVED:
        return (
            f"the photographs have changed: {moved:.0%} of the symbols of their codes differ from those of the "
            "photographs that the model was learned from"
        )
    return None
