"""Ordinal codes: the winner of every segment, and their packed form.

An ordinal code is a row of ``n_segments`` symbols; each symbol is the position of the largest of
``arity`` scores (DOH, arXiv:1805.02459: b_r = argmax_k z[r, k]). Packed, a symbol takes
log2(arity) bits, so a code takes ``code_bits = n_segments * log2(arity)`` bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.codes.spec import MAX_ARITY, CodeSpec
from ordhash.errors import InputError

__all__ = ["OrdinalCodes", "pack", "symbols_from_scores", "unpack"]

Symbols = npt.NDArray[np.uint8]


def symbols_from_scores(scores: npt.NDArray[np.floating[Any]]) -> Symbols:
    """Winner of every segment; the first of equal scores wins.

    Args:
        scores: float (n, n_segments, arity).

    Returns:
        uint8 (n, n_segments).

    Raises:
        InputError: ``scores`` is not three-dimensional, has more than 256 scores a segment, or holds a value
            that is not a number.

    >>> symbols_from_scores(np.array([[[0.1, 0.9], [0.5, 0.5]]]))
    array([[1, 0]], dtype=uint8)
    """
    scores = np.asarray(scores)
    if scores.ndim != 3 or not 1 <= scores.shape[2] <= MAX_ARITY:
        raise InputError(
            f"scores have shape {scores.shape}; allowed is (n, n_segments, arity), with an arity of at most {MAX_ARITY}"
        )
    if np.isnan(scores).any():
        raise InputError("scores hold NaN, so no segment has a winner: check the model that made them")
    winners: Symbols = np.argmax(scores, axis=2).astype(np.uint8)
    return winners


def pack(symbols: npt.ArrayLike, spec: CodeSpec) -> npt.NDArray[np.uint8]:
    """Pack symbols into bits, the first symbol in the highest bits of the first byte.

    Args:
        symbols: Integers (n, n_segments), each below ``spec.arity``.
        spec: Shape of the code.

    Returns:
        uint8 (n, spec.packed_bytes).

    Raises:
        InputError: Wrong shape, or a symbol outside 0..arity-1.

    >>> pack([[3, 0, 1, 2]], CodeSpec(8, 4))
    array([[198]], dtype=uint8)
    """
    checked = _check_symbols(symbols, spec.arity)
    if checked.shape[1] != spec.n_segments:
        raise InputError(f"symbols have {checked.shape[1]} columns; {spec} has {spec.n_segments} segments")
    shifts = np.arange(spec.bits_per_symbol - 1, -1, -1, dtype=np.uint8)
    bits = (checked[:, :, None] >> shifts) & 1
    packed: npt.NDArray[np.uint8] = np.packbits(bits.reshape(len(checked), spec.code_bits), axis=1)
    return packed


def unpack(packed: npt.ArrayLike, spec: CodeSpec) -> Symbols:
    """Invert [pack][ordhash.codes.pack].

    Args:
        packed: uint8 (n, spec.packed_bytes).
        spec: Shape of the code.

    Returns:
        uint8 (n, spec.n_segments).

    Raises:
        InputError: Wrong shape or dtype.

    >>> unpack(np.array([[198]], dtype=np.uint8), CodeSpec(8, 4))
    array([[3, 0, 1, 2]], dtype=uint8)
    """
    given = np.asarray(packed)
    if given.dtype != np.uint8 or given.ndim != 2 or given.shape[1] != spec.packed_bytes:
        raise InputError(f"packed codes are {given.dtype} {given.shape}; {spec} needs uint8 (n, {spec.packed_bytes})")
    bits = np.unpackbits(given, axis=1, count=spec.code_bits)
    weights = 1 << np.arange(spec.bits_per_symbol - 1, -1, -1)
    shaped = bits.reshape(len(given), spec.n_segments, spec.bits_per_symbol)
    return (shaped @ weights).astype(np.uint8)


def _check_symbols(symbols: npt.ArrayLike, arity: int) -> Symbols:
    given = np.asarray(symbols)
    if given.ndim != 2 or not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"symbols are {given.dtype} {given.shape}; allowed are integers of shape (n, n_segments)")
    if given.size and (int(given.min()) < 0 or int(given.max()) >= arity):
        raise InputError(
            f"symbols range from {given.min()} to {given.max()}; with arity {arity} allowed is 0 to {arity - 1}"
        )
    return np.ascontiguousarray(given, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class OrdinalCodes:
    """Ordinal codes of n images.

    Args:
        symbols: uint8 (n, n_segments); never written to by the package.
        spec: Shape of the code.
        model_id: The model that made them, so that codes of two models are never compared; None if unknown.

    >>> codes = OrdinalCodes.from_symbols([[3, 0, 1, 2], [0, 0, 0, 0]], arity=4)
    >>> codes
    OrdinalCodes(2 codes of 8 bits: 4 segments of arity 4)
    >>> codes.shape, codes[1:].symbols.tolist()
    ((2, 4), [[0, 0, 0, 0]])
    """

    symbols: Symbols
    spec: CodeSpec
    model_id: str | None = field(default=None)

    def __post_init__(self) -> None:
        checked = _check_symbols(self.symbols, self.spec.arity)
        if checked.shape[1] != self.spec.n_segments:
            raise InputError(
                f"symbols have {checked.shape[1]} columns; {self.spec} has {self.spec.n_segments} segments"
            )
        object.__setattr__(self, "symbols", checked)

    @classmethod
    def from_symbols(cls, symbols: npt.ArrayLike, *, arity: int, model_id: str | None = None) -> OrdinalCodes:
        """Codes from an integer array (n, n_segments) of symbols below ``arity``."""
        checked = np.asarray(symbols)
        if checked.ndim != 2:
            raise InputError(f"symbols have shape {checked.shape}; allowed is (n, n_segments)")
        return cls(checked, CodeSpec.of_segments(checked.shape[1], arity), model_id)

    @classmethod
    def from_scores(cls, scores: npt.NDArray[np.floating[Any]], *, model_id: str | None = None) -> OrdinalCodes:
        """Codes from scores (n, n_segments, arity): the winner of every segment."""
        symbols = symbols_from_scores(scores)
        return cls(symbols, CodeSpec.of_segments(scores.shape[1], scores.shape[2]), model_id)

    @classmethod
    def from_packed(cls, packed: npt.ArrayLike, spec: CodeSpec, *, model_id: str | None = None) -> OrdinalCodes:
        """Codes from their packed form, uint8 (n, spec.packed_bytes)."""
        return cls(unpack(packed, spec), spec, model_id)

    def packed(self) -> npt.NDArray[np.uint8]:
        """Packed form, uint8 (n, spec.packed_bytes)."""
        return pack(self.symbols, self.spec)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n_segments)."""
        return self.symbols.shape[0], self.symbols.shape[1]

    def __len__(self) -> int:
        return len(self.symbols)

    def __getitem__(self, rows: slice | Sequence[int] | npt.NDArray[Any]) -> OrdinalCodes:
        """Codes of some rows, as an array would give them."""
        return OrdinalCodes(self.symbols[rows], self.spec, self.model_id)

    def __repr__(self) -> str:
        return (
            f"OrdinalCodes({len(self)} codes of {self.spec.code_bits} bits: "
            f"{self.spec.n_segments} segments of arity {self.spec.arity})"
        )
