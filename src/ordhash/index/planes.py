"""Codes in the layout of the compiled scans: planes of bits, in blocks.

A group of eight segments gives one byte for each of the log2(K) bits of a symbol, highest bits first. The planes of a
last, smaller group share bytes, so codes take no more room than packed ones, except about a byte at odd lengths.

Codes are kept in blocks of ``BLOCK``, each byte by byte: the first byte of all its codes, then the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ordhash.codes import CodeSpec, OrdinalCodes

__all__ = ["BLOCK", "Bytes", "PlaneCodes", "bit_places", "planes", "room_of", "width_of"]

BLOCK = 1 << 14  # codes; a block of usual codes fits the second cache of a core, where the queries of a batch find it

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PlaneCodes:
    """n codes as planes, in blocks.

    Attributes:
        blocks: uint8 (n_blocks, width, BLOCK); the last block is padded with zeros.
        n: Number of codes.
        spec: Shape of the code.

    >>> codes = OrdinalCodes.from_symbols([[3, 0, 1, 2], [1, 1, 1, 1]], arity=4)
    >>> [f"{byte:08b}" for byte in PlaneCodes.of(codes).blocks[0, 0, :2]]  # high bits of four segments, low bits
    ['10011010', '00001111']
    """

    blocks: Bytes
    n: int
    spec: CodeSpec

    @classmethod
    def of(cls, codes: OrdinalCodes) -> PlaneCodes:
        """Convert codes to planes."""
        return cls(np.zeros((0, width_of(codes.spec), BLOCK), dtype=np.uint8), 0, codes.spec).extended(codes)

    def extended(self, codes: OrdinalCodes) -> PlaneCodes:
        """Append codes of the same spec.

        The new planes share memory with these and have room for later codes, so extending the result again is cheap.
        Extending the same planes twice is wrong: both results would share the same room.
        """
        n, owner = self.n + len(codes), self.blocks.base
        # The spare room, if the blocks are a slice of a larger array; a mapped file has another shape and no room.
        room = owner if isinstance(owner, np.ndarray) and owner.shape[1:] == self.blocks.shape[1:] else self.blocks
        needed = -(-n // BLOCK)
        if needed > len(room) or not room.flags.writeable:
            old, room = self.blocks, np.zeros((max(needed, 2 * len(self.blocks)), *self.blocks.shape[1:]), np.uint8)
            room[: len(old)] = old
        for start in range(self.n // BLOCK * BLOCK, n, BLOCK):
            first, end = max(start, self.n), min(start + BLOCK, n)
            part = planes(codes[first - self.n : end - self.n])
            room[start // BLOCK, :, first - start : end - start] = part.T
        return PlaneCodes(room[:needed], n, self.spec)

    def symbols(self) -> Bytes:
        """Unpack the symbols, uint8 (n, n_segments)."""
        symbols = np.empty((self.n, self.spec.n_segments), dtype=np.uint8)
        places = [bit_places(self.spec, segment) for segment in range(self.spec.n_segments)]
        for number, block in enumerate(self.blocks):
            part = symbols[number * BLOCK : (number + 1) * BLOCK].T
            for of_segment, bits in zip(part, places, strict=True):
                of_segment[:] = 0
                for byte, shift in bits:
                    of_segment[:] = of_segment << 1 | block[byte, : part.shape[1]] >> shift & 1
        return symbols

    def symbols_at(self, rows: npt.NDArray[np.int64]) -> Bytes:
        """The symbols of some rows, uint8 (len(rows), n_segments)."""
        codes = self.blocks[rows // BLOCK, :, rows % BLOCK]
        symbols = np.zeros((len(rows), self.spec.n_segments), dtype=np.uint8)
        for segment, of_segment in enumerate(symbols.T):
            for byte, shift in bit_places(self.spec, segment):
                of_segment[:] = of_segment << 1 | codes[:, byte] >> shift & 1
        return symbols


def width_of(spec: CodeSpec) -> int:
    """Bytes of a code as planes.

    >>> width_of(CodeSpec(48, 4)), width_of(CodeSpec(20, 4))
    (6, 3)
    """
    whole, rest = divmod(spec.n_segments, 8)
    return whole * spec.bits_per_symbol + (-(-room_of(rest) * spec.bits_per_symbol // 8) if rest else 0)


def planes(codes: OrdinalCodes) -> Bytes:
    """Planes of codes, uint8 (n, width).

    >>> planes(OrdinalCodes.from_symbols([[1] * 8, [0] * 7 + [2]], arity=4)).tolist()
    [[0, 255], [1, 0]]
    """
    spec = codes.spec
    shifts = np.arange(spec.bits_per_symbol - 1, -1, -1, dtype=np.uint8)
    parts = []
    for start in range(0, spec.n_segments, 8):
        symbols = codes.symbols[:, start : start + 8]
        room = room_of(symbols.shape[1])
        bits = np.zeros((len(codes), spec.bits_per_symbol, room), dtype=np.uint8)
        bits[:, :, : symbols.shape[1]] = (symbols[:, None, :] >> shifts[:, None]) & 1
        parts.append(np.packbits(bits.reshape(len(codes), spec.bits_per_symbol * room), axis=1))
    return np.concatenate(parts, axis=1)


def room_of(segments: int) -> int:
    """Bits of a plane of a group: 1, 2, 4 or 8, so that planes share a byte evenly."""
    return 1 << (segments - 1).bit_length()


def bit_places(spec: CodeSpec, segment: int) -> list[tuple[int, int]]:
    """Places of the bits of a segment's symbol, highest first: byte of the planes, and bit in it from the lowest.

    >>> bit_places(CodeSpec(20, 4), 0), bit_places(CodeSpec(20, 4), 9)
    ([(0, 7), (1, 7)], [(2, 6), (2, 4)])
    """
    group, place = divmod(segment, 8)
    room = room_of(min(8, spec.n_segments - 8 * group))
    bits = [bit * room + place for bit in range(spec.bits_per_symbol)]
    return [(group * spec.bits_per_symbol + bit // 8, 7 - bit % 8) for bit in bits]
