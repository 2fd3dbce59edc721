"""Simplex codes: ordinal codes as plain bits, whose Hamming distance ranks exactly as the ordinal distance.

Engines that compare bits count how many differ. A symbol of K is written as K - 1 bits, the codeword
of the binary simplex code (the dual of a Hamming code; MacWilliams and Sloane, The Theory of Error-Correcting Codes,
1977, chapter 1): any two of the K codewords differ in exactly K / 2 bits. So the Hamming distance of two codes is K / 2
times their ordinal distance, and the rank is the same, ties included. K - 1 bits are the fewest in which K words can be
that far from each other (Plotkin's bound); with K = 2 the code is the symbol itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes, Symbols
from ordhash.errors import InputError

__all__ = ["codes_of_simplex", "ordinal_distances_of", "simplex_bits", "simplex_of"]

Bytes = npt.NDArray[np.uint8]


def simplex_bits(spec: CodeSpec) -> int:
    """Bits of a simplex code, filled up with zeros to whole bytes.

    >>> simplex_bits(CodeSpec(48, 2)), simplex_bits(CodeSpec(48, 4)), simplex_bits(CodeSpec(48, 16))
    (48, 72, 184)
    """
    return 8 * (-(-spec.n_segments * (spec.arity - 1) // 8))


def simplex_of(codes: OrdinalCodes) -> Bytes:
    """Simplex codes of ordinal codes.

    Args:
        codes: n codes.

    Returns:
        uint8 (n, simplex_bits / 8), the first symbol in the highest bits of the first byte.

    >>> simplex_of(OrdinalCodes.from_symbols([[3, 0, 1, 2]], arity=4))  # 110 000 101 011
    array([[194, 176]], dtype=uint8)
    """
    # np.packbits has room for all bits of a block at once, so blocks are kept small.
    size = max(1, (1 << 22) // max(1, simplex_bits(codes.spec)))
    packed = np.empty((len(codes), simplex_bits(codes.spec) // 8), np.uint8)
    words = _codewords(codes.spec.arity)
    for start in range(0, len(codes), size):
        bits = words[codes.symbols[start : start + size]]
        packed[start : start + size] = np.packbits(bits.reshape(len(bits), -1), axis=1)
    return packed


def codes_of_simplex(simplex: npt.ArrayLike, spec: CodeSpec, *, model_id: str | None = None) -> OrdinalCodes:
    """Invert [simplex_of][ordhash.milvus.simplex_of].

    Args:
        simplex: uint8 (n, simplex_bits / 8).
        spec: Shape of the ordinal codes.
        model_id: The model that made them.

    Raises:
        InputError: Wrong shape or dtype, or bits that are not a simplex code.

    >>> codes_of_simplex(np.array([[194, 176]], np.uint8), CodeSpec(8, 4)).symbols
    array([[3, 0, 1, 2]], dtype=uint8)
    """
    given = np.asarray(simplex)
    size = simplex_bits(spec) // 8
    if given.dtype != np.uint8 or given.ndim != 2 or given.shape[1] != size:
        raise InputError(f"simplex codes are {given.dtype} {given.shape}; {spec} needs uint8 (n, {size})")
    bits = np.unpackbits(given, axis=1, count=spec.n_segments * (spec.arity - 1))
    words = bits.reshape(len(given), spec.n_segments, spec.arity - 1)
    # Column 2^i - 1 of a codeword is bit i of its symbol.
    columns = [(1 << place) - 1 for place in range(spec.bits_per_symbol)]
    weights = np.array([1 << place for place in range(spec.bits_per_symbol)], np.int64)
    symbols: Symbols = (words[:, :, columns] @ weights).astype(np.uint8)
    codes = OrdinalCodes(symbols, spec, model_id)
    if not np.array_equal(simplex_of(codes), given):
        raise InputError(f"the bits are not simplex codes of {spec}; give what simplex_of made of such codes")
    return codes


def ordinal_distances_of(hamming: npt.ArrayLike, spec: CodeSpec) -> npt.NDArray[np.uint16]:
    """Ordinal distances of the Hamming distances of simplex codes.

    Args:
        hamming: Integers, or floats that are whole numbers, of any shape.
        spec: Shape of the ordinal codes.

    >>> ordinal_distances_of([0.0, 2.0, 6.0], CodeSpec(8, 4)).tolist()
    [0, 1, 3]
    """
    return (np.asarray(hamming).astype(np.int64) // (spec.arity // 2)).astype(np.uint16)


def _codewords(arity: int) -> Bytes:
    """Codewords of all symbols, 0 and 1, (arity, arity - 1): bit j - 1 is the parity of the bits that s and j share."""
    shared = np.arange(arity)[:, None] & np.arange(1, arity)[None]
    words: Bytes = (np.bitwise_count(shared) & 1).astype(np.uint8)
    return words
