"""The shape of an ordinal code: how many bits it has, and how many scores compete in a segment."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from ordhash.errors import InputError

__all__ = ["MAX_ARITY", "MAX_CODE_BITS", "CodeSpec"]

MAX_ARITY = 256
MAX_CODE_BITS = 60_000  # distances are uint16; a part's margin adds up to a twelfth of the segments


@dataclass(frozen=True)
class CodeSpec:
    """Shape of a code: how many bits, and how many scores compete in a segment.

    Args:
        code_bits: Length of the packed code in bits, a multiple of log2(arity), at most 60,000.
        arity: K, the scores of a segment: a power of two from 2 to 256.

    Raises:
        InputError: They are no whole numbers, or do not make a whole number of segments.

    >>> spec = CodeSpec(code_bits=48, arity=4)
    >>> spec.n_segments, spec.bits_per_symbol, spec.packed_bytes
    (24, 2, 6)
    """

    code_bits: int
    arity: int

    def __post_init__(self) -> None:
        for name in ("code_bits", "arity"):
            object.__setattr__(self, name, _whole(getattr(self, name), name))
        if not (2 <= self.arity <= MAX_ARITY) or self.arity & (self.arity - 1):
            raise InputError(
                f"arity is {self.arity}; allowed are the powers of two from 2 to {MAX_ARITY}: choose 2, 4, 8 or 16"
            )
        if self.code_bits > MAX_CODE_BITS:
            raise InputError(f"code_bits is {self.code_bits}; allowed are at most {MAX_CODE_BITS:,}: choose fewer")
        if self.code_bits <= 0 or self.code_bits % self.bits_per_symbol:
            step = self.bits_per_symbol
            near = max(step, round(self.code_bits / step) * step)
            raise InputError(
                f"code_bits is {self.code_bits}; with arity {self.arity} it must be a positive multiple of {step} "
                f"(one segment takes {step} bits): try {near}"
            )

    @classmethod
    def of_segments(cls, n_segments: int, arity: int) -> CodeSpec:
        """Spec of ``n_segments`` segments of ``arity`` scores each.

        >>> CodeSpec.of_segments(24, 4)
        CodeSpec(code_bits=48, arity=4)
        """
        n_segments, arity = _whole(n_segments, "n_segments"), _whole(arity, "arity")
        if not (2 <= arity <= MAX_ARITY):
            return cls(n_segments, arity)  # raises, with the sentence about the arity
        return cls(n_segments * (arity.bit_length() - 1), arity)

    @property
    def bits_per_symbol(self) -> int:
        """log2(arity)."""
        return self.arity.bit_length() - 1

    @property
    def n_segments(self) -> int:
        """R, the number of symbols in a code."""
        return self.code_bits // self.bits_per_symbol

    @property
    def packed_bytes(self) -> int:
        """Bytes of one packed code; unused bits of the last byte are zero."""
        return -(-self.code_bits // 8)


def _whole(value: object, name: str) -> int:
    """A whole number of Python or NumPy as an int: NumPy's overflow, and JSON does not know them."""
    try:
        return operator.index(value)  # type: ignore[arg-type]  # values without an index raise TypeError
    except TypeError:
        raise InputError(f"{name} is {value!r}; give a whole number") from None
