"""Ordinal and asymmetric distances in plain NumPy: the definition, and the oracle of every faster kernel.

Everything here is deterministic to the last bit: sums run over the segments in their order, so equal codes are at
exactly equal distances and a tie is a tie.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.comparable import check_comparable
from ordhash.codes.spec import CodeSpec
from ordhash.errors import InputError
from ordhash.support import integer_at_least

__all__ = [
    "TILE_CODES",
    "TILE_QUERIES",
    "asymmetric_distances",
    "ordinal_distances",
    "sums_of_losses",
    "symbol_losses",
    "symbol_probabilities",
    "top_k",
]

Scale: TypeAlias = Literal["log-probabilities", "probabilities"]

# A tile of queries times codes, so that the temporaries of one segment stay in the cache of a core.
TILE_QUERIES = 32
TILE_CODES = 8192


def ordinal_distances(queries: OrdinalCodes, database: OrdinalCodes) -> npt.NDArray[np.uint16]:
    """Ordinal distance, the number of segments that differ (0 to n_segments), of every query to every code.

    Args:
        queries: q codes.
        database: n codes of the same spec, made by the same model.

    Returns:
        uint16 (q, n).

    Raises:
        InputError: The specs differ, or both name their model and the models differ.

    >>> queries = OrdinalCodes.from_symbols([[3, 0, 1, 2]], arity=4)
    >>> database = OrdinalCodes.from_symbols([[3, 0, 1, 2], [3, 1, 1, 2], [0, 1, 2, 3]], arity=4)
    >>> ordinal_distances(queries, database)
    array([[0, 1, 4]], dtype=uint16)
    """
    check_comparable(queries, database)
    out = np.empty((len(queries), len(database)), dtype=np.uint16)
    n_segments = database.spec.n_segments
    # Bytes are compared and counted several times faster than wider integers; a count above 255 needs the wider one.
    counter = np.uint8 if n_segments <= np.iinfo(np.uint8).max else np.uint16
    for codes in _tiles(len(database), TILE_CODES):
        columns = np.ascontiguousarray(database.symbols[codes].T)
        for rows in _tiles(len(queries), TILE_QUERIES):
            tile = queries.symbols[rows]
            count = np.zeros((len(tile), columns.shape[1]), dtype=counter)
            differs = np.empty(count.shape, dtype=np.bool_)
            for segment in range(n_segments):
                np.not_equal(tile[:, segment, None], columns[segment], out=differs)
                np.add(count, differs.view(np.uint8), out=count)
            out[rows, codes] = count
    return out


def asymmetric_distances(
    scores: npt.NDArray[np.floating[Any]],
    database: OrdinalCodes,
    *,
    of: Scale = "probabilities",
) -> npt.NDArray[np.float32]:
    """Asymmetric distance: what a code loses against the winners of the query, with the query's scores kept.

    sum_r (max_k p[r, k] - p[r, b_r]). With ``of="probabilities"`` p is the softmax of the scores of a segment; with
    ``of="log-probabilities"`` it is their logarithm, where the normaliser of the softmax cancels and max z - z[b]
    remains. Zero if and only if every symbol has a score equal to its segment's largest.

    The losses are rounded to float32 and summed in float32 in the order of the segments.

    Args:
        scores: float (q, n_segments, arity), of queries.
        database: n codes, made by the same model.
        of: The scale on which the losses add up.

    Returns:
        float32 (q, n), not negative.

    Raises:
        InputError: The shape does not fit the database, a score is NaN or infinite, or ``of`` is another word.

    >>> scores = np.array([[[2.0, 0.5], [1.0, 4.0]]])
    >>> database = OrdinalCodes.from_symbols([[0, 1], [1, 1], [1, 0]], arity=2)
    >>> asymmetric_distances(scores, database, of="log-probabilities")
    array([[0. , 1.5, 4.5]], dtype=float32)
    """
    return sums_of_losses(symbol_losses(scores, database.spec, of=of), database)


def sums_of_losses(losses: npt.NDArray[np.float32], database: OrdinalCodes) -> npt.NDArray[np.float32]:
    """Asymmetric distances from the losses of the symbols, summed in float32 in the order of the segments.

    Args:
        losses: float32 (q, n_segments, arity), as [symbol_losses][ordhash.codes.symbol_losses] gives them.
        database: n codes.

    Returns:
        float32 (q, n).

    >>> losses = symbol_losses(np.array([[[2.0, 0.5], [1.0, 4.0]]]), CodeSpec(2, 2), of="log-probabilities")
    >>> sums_of_losses(losses, OrdinalCodes.from_symbols([[1, 0]], arity=2))
    array([[4.5]], dtype=float32)
    """
    out = np.zeros((len(losses), len(database)), dtype=np.float32)
    for codes in _tiles(len(database), TILE_CODES):
        # np.take converts any other integer to intp on every call.
        columns = np.ascontiguousarray(database.symbols[codes].T).astype(np.intp)
        loss = np.empty(columns.shape[1], dtype=np.float32)
        for row, table in enumerate(losses):
            total = out[row, codes]
            for segment, column in enumerate(columns):
                # Symbols are below arity already; "clip" spares the buffered copy that the default mode makes.
                np.take(table[segment], column, out=loss, mode="clip")
                np.add(total, loss, out=total)
    return out


def symbol_probabilities(scores: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Probability of every symbol in its segment, the softmax of the scores.

    Args:
        scores: float (..., arity), finite.

    Returns:
        float64 of the same shape; the last axis sums to 1.

    >>> symbol_probabilities(np.log([[[0.25, 0.75], [1.0, 1.0]]])).round(6).tolist()
    [[[0.25, 0.75], [0.5, 0.5]]]
    """
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def symbol_losses(
    scores: npt.NDArray[np.floating[Any]], spec: CodeSpec, *, of: Scale = "probabilities"
) -> npt.NDArray[np.float32]:
    """Loss of every symbol against the winner of its segment, the terms of the asymmetric distance.

    Args:
        scores: float (q, n_segments, arity), of queries.
        spec: Shape of the codes that they are compared with.
        of: As in [asymmetric_distances][ordhash.codes.asymmetric_distances].

    Returns:
        float32 (q, n_segments, arity), not negative.

    Raises:
        InputError: As asymmetric_distances.

    >>> symbol_losses(np.array([[[2.0, 0.5], [1.0, 4.0]]]), CodeSpec(2, 2), of="log-probabilities").tolist()
    [[[0.0, 1.5], [3.0, 0.0]]]
    """
    given = np.asarray(scores)
    if of not in ("log-probabilities", "probabilities"):
        raise InputError(f"of is {of!r}; allowed are 'log-probabilities' and 'probabilities'")
    if not np.issubdtype(given.dtype, np.floating):
        raise InputError(f"scores are {given.dtype}; allowed are floats, as the model gives them")
    if given.ndim != 3 or given.shape[1:] != (spec.n_segments, spec.arity):
        raise InputError(
            f"scores have shape {given.shape}; the database needs (q, {spec.n_segments}, {spec.arity}): "
            "encode the queries with the model of the database"
        )
    if not np.isfinite(given).all():
        raise InputError("scores hold NaN or infinity, so they have no distance: check the model that made them")
    if of == "log-probabilities":
        exact = given.astype(np.float64)
        return np.asarray(exact.max(axis=2, keepdims=True) - exact, dtype=np.float32)
    probabilities = symbol_probabilities(given)
    losses: npt.NDArray[np.float32] = (probabilities.max(axis=2, keepdims=True) - probabilities).astype(np.float32)
    return losses


def top_k(distances: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """Rows of the k nearest of every query, ordered by (distance, row).

    Equal to the first k of ``np.lexsort((rows, distances))``, ties included, without sorting everything.

    Args:
        distances: Integers or floats (q, n).
        k: How many; more than n gives n.

    Returns:
        int64 (q, min(k, n)).

    Raises:
        InputError: Wrong shape, NaN, or a k that is not an integer of at least 0.

    >>> top_k(np.array([[2, 1, 2, 0, 1]]), 4)
    array([[3, 1, 4, 0]])
    """
    given = np.asarray(distances)
    wanted = integer_at_least(k, 0, "k")
    if given.ndim != 2 or given.dtype.kind not in "iuf":
        raise InputError(f"distances are {given.dtype} {given.shape}; allowed are integers or floats of shape (q, n)")
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise InputError("distances hold NaN, which cannot be ordered: check what made them")
    n = given.shape[1]
    out = np.empty((len(given), min(wanted, n)), dtype=np.int64)
    for row, values in enumerate(given):
        if wanted >= n:
            out[row] = np.argsort(values, kind="stable")
        elif wanted:
            out[row] = _first(values, wanted)
    return out


def _first(values: npt.NDArray[Any], k: int) -> npt.NDArray[np.intp]:
    """First k (1 <= k < n) of the stable order of ``values``."""
    last = np.partition(values, k - 1)[k - 1]
    nearer = np.flatnonzero(values < last)
    # Both lists ascend by row, so a stable sort of the nearer ones and a cut of the tied ones keep rows in order.
    tied = np.flatnonzero(values == last)[: k - len(nearer)]
    return np.concatenate([nearer[np.argsort(values[nearer], kind="stable")], tied])


def _tiles(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
