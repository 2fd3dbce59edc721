"""Codes for classes, far from each other: binary codes, and codes of any arity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec

__all__ = ["agreeing_codewords", "class_centres", "far_codewords", "hadamard"]

Signs = npt.NDArray[np.float32]

_DRAWS = 100
_WEIGHTS_BEYOND = (0, 1, 4, 16, 64, 1e6)
_SWEEPS = 4  # at most, over all symbols of all codewords, per weight
_POOL = 20_000  # random codewords, of which the farthest apart are chosen


def hadamard(order: int) -> Signs | None:
    """Matrix of -1 and 1 with orthogonal rows, or None if no construction applies.

    Doubles a matrix of half the order (Sylvester), or uses quadratic residues (Paley) if ``order - 1`` is a prime of
    the form 4 k + 3. This covers 2, 4, 8, 12, 16, 20, 24, 32, 40, 44, 48, 64 and more, but not for 36.

    Args:
        order: Number of rows and columns.

    Returns:
        float32 (order, order), or None.

    >>> hadamard(2).tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    >>> hadamard(6) is None
    True
    """
    if order == 1:
        return np.ones((1, 1), dtype=np.float32)
    half = hadamard(order // 2) if order % 2 == 0 else None
    if half is not None:
        return np.block([[half, half], [half, -half]])
    prime = order - 1
    if order % 4 or any(prime % divisor == 0 for divisor in range(2, int(prime**0.5) + 1)):
        return None
    residues = {number * number % prime for number in range(1, prime)}
    matrix = np.ones((order, order), dtype=np.float32)
    for row in range(prime):
        for column in range(prime):
            matrix[row + 1, column + 1] = 1 if (column - row) % prime in residues else -1
    return matrix


def class_centres(n_classes: int, code_bits: int, seed: int) -> Signs:
    """Binary codes for classes, far from each other.

    Up to 2 code_bits classes get rows of a Hadamard matrix and their opposites, if the matrix exists: these differ in
    half of the bits or in all. Otherwise several sets of random codes are drawn, and the set with the largest minimum
    distance is kept.

    Args:
        n_classes: Number of classes.
        code_bits: Length of the codes.
        seed: Seed of the draws.

    Returns:
        float32 (n_classes, code_bits) of -1 and 1.

    >>> centres = class_centres(5, 12, seed=0)
    >>> (centres @ centres.T / 12).round().tolist()[0]
    [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    matrix = hadamard(code_bits) if n_classes <= 2 * code_bits else None
    if matrix is not None:
        return np.concatenate([matrix, -matrix])[:n_classes]
    random = np.random.default_rng(seed)
    draws = (random.integers(0, 2, (n_classes, code_bits)).astype(np.float32) * 2 - 1 for _ in range(_DRAWS))
    return min(draws, key=lambda centres: float(np.max(centres @ centres.T - 2 * code_bits * np.eye(n_classes))))


def far_codewords(n_classes: int, spec: CodeSpec, seed: int) -> npt.NDArray[np.int64]:
    """Codes of any arity for classes, far from each other.

    Draws many random codes and chooses greedily: next comes the code whose nearest chosen code differs in the most
    segments; on a tie, the one that differs most from all chosen codes together.

    Args:
        n_classes: Number of classes.
        spec: Shape of the codes; if it has fewer codes than classes, some classes share one.
        seed: Seed of the draws.

    Returns:
        int64 (n_classes, n_segments), each value in 0..arity-1.

    >>> far_codewords(3, CodeSpec(code_bits=8, arity=4), seed=0).tolist()
    [[3, 2, 2, 1], [2, 1, 0, 2], [0, 0, 1, 3]]
    """
    drawn = np.random.default_rng(seed).integers(0, spec.arity, (max(_POOL, 4 * n_classes), spec.n_segments))
    nearest, total = np.full(len(drawn), spec.n_segments), np.zeros(len(drawn), dtype=np.int64)
    taken = [0]
    while len(taken) < n_classes:
        differing = (drawn != drawn[taken[-1]]).sum(axis=1)
        nearest, total = np.minimum(nearest, differing), total + differing
        taken.append(int(np.lexsort((total, nearest))[-1]))
    return drawn[taken]


def agreeing_codewords(wanted: npt.NDArray[np.floating], spec: CodeSpec, seed: int) -> npt.NDArray[np.int64]:
    """Codes of any arity for classes, where two codes agree in about the wanted number of segments, up to a bound.

    Starts from far codewords and changes them symbol by symbol, each time to the symbol with the least sum of squared
    differences between actual and wanted agreement. Classes must stay distinct: no two codes may agree in more than
    half of the segments, or in more than the two most similar far codewords. Exceeding this bound costs nothing extra
    in the first round and ever more later, which finds better codes than a hard bound from the start.

    Returns the far codewords if they coincide (very short codes), or if the bound cannot be met.

    Args:
        wanted: float (n_classes, n_classes), symmetric: 0 for no common segment, 1 for as many as the bound allows.
        spec: Shape of the codes.
        seed: Seed of the draws.

    Returns:
        int64 (n_classes, n_segments), each value in 0..arity-1.

    >>> wanted = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> codes = agreeing_codewords(wanted, CodeSpec(code_bits=8, arity=4), seed=0)
    >>> (codes[:, None] == codes[None]).mean(axis=2).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    far = far_codewords(len(wanted), spec, seed)
    n = len(far)
    agreeing = np.zeros((n, n), dtype=np.int32)
    for column in far.T:
        agreeing += column[:, None] == column
    np.fill_diagonal(agreeing, 0)  # ignore agreement with itself
    most = max(-(-spec.n_segments // 2), int(agreeing.max()))
    if most == spec.n_segments:
        return far
    codes, places = far.copy(), np.indices(far.shape).reshape(2, -1).T
    random = np.random.default_rng(seed)
    for weight_beyond in _WEIGHTS_BEYOND:
        for _ in range(_SWEEPS):
            before = codes.copy()
            for row, segment in random.permutation(places):
                column = codes[:, segment]
                without = agreeing[row] - (column == column[row])  # the agreement in the other segments
                beyond = np.maximum(without + 1 - most, 0) ** 2 - np.maximum(without - most, 0) ** 2
                # Extra cost, for every other class, of agreeing in this segment too.
                cost = 2 * (without - most * wanted[row]) + 1 + weight_beyond * beyond
                cost[row] = 0
                costs = np.bincount(column, weights=cost, minlength=spec.arity)
                best = int(costs.argmin())
                if costs[best] < costs[column[row]] - 1e-9:
                    agreeing[row] = without + (column == best)
                    agreeing[row, row] = 0
                    agreeing[:, row] = agreeing[row]
                    codes[row, segment] = best
            if np.array_equal(codes, before):
                break
    return codes if agreeing.max() <= most else far
