"""Codes of parts of images: rectangles that show something which the code of the whole image may not hold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.comparable import check_comparable
from ordhash.codes.distances import ordinal_distances, sums_of_losses, symbol_losses
from ordhash.codes.spec import CodeSpec
from ordhash.errors import InputError

__all__ = [
    "BOX_BYTES",
    "MOST_PARTS",
    "PartCodes",
    "Searched",
    "check_parts",
    "part_margin",
    "part_margins",
    "parts_among",
]

MOST_PARTS = 8
"""Parts of an image at most."""

BOX_BYTES = 4
"""Bytes that say where a part is."""


_MARGIN = 1 / 6  # of the mean distance to all codes


def part_margin(spec: CodeSpec) -> int:
    """What is added to the ordinal distance of a part: it must be nearer than the whole by more than this.

    The nearest of several codes is near by chance more often than one is. It is a sixth of the mean distance of a code
    to all others, at least 1.

    Args:
        spec: Shape of the codes.

    >>> part_margin(CodeSpec(48, 4)), part_margin(CodeSpec(48, 2)), part_margin(CodeSpec(12, 4))
    (3, 4, 1)
    """
    return max(1, round(_MARGIN * spec.n_segments * (1 - 1 / spec.arity)))


def part_margins(losses: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """The same for asymmetric distances of each query: a sixth of its mean distance to all codes.

    Args:
        losses: From [symbol_losses][ordhash.codes.symbol_losses], (q, n_segments, arity).

    Returns:
        float32 (q,).

    >>> part_margins(np.array([[[0.0, 0.6], [0.9, 0.0]]])).round(3)
    array([0.125], dtype=float32)
    """
    return np.asarray(_MARGIN * losses.mean(axis=2, dtype=np.float64).sum(axis=1), dtype=np.float32)


def check_parts(m: int, owners: npt.NDArray[Any], boxes: npt.NDArray[Any]) -> None:
    """Check what says to which images m parts belong, and where they are.

    Args:
        m: Number of parts.
        owners: As in [PartCodes][ordhash.codes.PartCodes].
        boxes: As there.

    Raises:
        InputError: As there.
    """
    if owners.shape != (m,) or boxes.shape != (m, BOX_BYTES):
        raise InputError(
            f"there are {m} codes of parts with owners {owners.shape} and boxes {boxes.shape}; give an owner and four "
            "sides for each code"
        )
    if not m:
        return
    if owners.dtype.kind not in "iu" or boxes.dtype.kind not in "iu":
        raise InputError(f"owners of parts are {owners.dtype} and boxes {boxes.dtype}; give integers")
    if owners[0] < 0 or (owners[1:] < owners[:-1]).any():
        raise InputError("owners of parts must be row numbers that never fall; sort the parts by their images")
    if (owners[MOST_PARTS:] == owners[:-MOST_PARTS]).any():
        raise InputError(f"an image has more than {MOST_PARTS} parts; keep at most that many")
    if boxes.min() < 0 or boxes.max() > 255 or (boxes[:, :2] >= boxes[:, 2:]).any():
        raise InputError("a part must have left < right and top < bottom, from 0 to 255; give such boxes")


def parts_among(
    owners: npt.NDArray[np.integer[Any]], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which parts are of some images, and of which of these, (p,) each.

    Args:
        owners: The image of every part, never falling, (m,).
        rows: Images, in any order, (r,).

    >>> parts_among(np.array([0, 2, 2]), np.array([2, 1, 0]))
    (array([1, 2, 0]), array([0, 0, 2]))
    """
    wanted = rows.astype(owners.dtype)  # or all owners would be converted
    starts = np.searchsorted(owners, wanted)
    counts = np.searchsorted(owners, wanted, side="right") - starts
    of = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(starts, counts) + within, of


@dataclass(frozen=True, eq=False)
class PartCodes:
    """Codes of parts of n images, each of which has 0 to 8.

    Args:
        codes: m codes of parts, image by image.
        owners: The image that each is a part of, from 0 to n - 1, int64 (m,), never falling; a read-only copy.
        boxes: Left, top, right and bottom of each in its image, in 255ths of width and height, uint8 (m, 4); a
            read-only copy.

    Raises:
        InputError: Other shapes, values that are no integers, owners that fall or have more than 8 parts, or an empty
            rectangle.

    >>> codes = OrdinalCodes.from_symbols([[0, 1], [1, 1], [1, 0]], arity=2)
    >>> parts = PartCodes(codes, [0, 2, 2], [[0, 0, 255, 51], [0, 0, 51, 51], [204, 0, 255, 255]])
    >>> parts.shares[0].tolist(), parts.taken([2, 0]).owners.tolist()
    ([0.0, 0.0, 1.0, 0.2], [0, 0, 1])
    """

    codes: OrdinalCodes
    owners: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        owners, boxes = np.asarray(self.owners), np.asarray(self.boxes)
        check_parts(len(self.codes), owners, boxes)
        for name, given, kind in (("owners", owners, np.int64), ("boxes", boxes, np.uint8)):
            copied = given.astype(kind, order="C")
            copied.flags.writeable = False  # an index shares them
            object.__setattr__(self, name, copied)

    @classmethod
    def none(cls, spec: CodeSpec, model_id: str | None = None) -> PartCodes:
        """No part of any image."""
        codes = OrdinalCodes(np.zeros((0, spec.n_segments), np.uint8), spec, model_id)
        return cls(codes, np.zeros(0, np.int64), np.zeros((0, BOX_BYTES), np.uint8))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """The boxes as shares of width and height, (m, 4)."""
        return self.boxes / 255

    def taken(self, rows: npt.ArrayLike) -> PartCodes:
        """The parts of some images, whose rows become 0, 1, ...

        Args:
            rows: Different rows, in any order.
        """
        picked, owners = parts_among(self.owners, np.asarray(rows, np.int64))
        return PartCodes(self.codes[picked], owners, self.boxes[picked])

    @classmethod
    def joined(cls, several: Sequence[PartCodes], counts: Sequence[int]) -> PartCodes:
        """The parts of images in several groups, at least one.

        Args:
            several: The parts of each group.
            counts: How many images each group has.

        Raises:
            InputError: Codes of another spec or model.
        """
        first = several[0].codes
        for parts in several[1:]:
            check_comparable(parts.codes, first, what="the parts", of="those of the first group")
        symbols = np.concatenate([parts.codes.symbols for parts in several])
        starts = np.cumsum([0, *counts[:-1]])
        owners = np.concatenate([parts.owners + start for parts, start in zip(several, starts, strict=True)])
        boxes = np.concatenate([parts.boxes for parts in several])
        return cls(OrdinalCodes(symbols, first.spec, first.model_id), owners, boxes)

    def nearest(self, whole: npt.NDArray[Any], of_parts: npt.NDArray[Any], margins: npt.ArrayLike) -> npt.NDArray[Any]:
        """Distances of queries to images with their parts.

        Args:
            whole: To the codes of the n images, (q, n).
            of_parts: To the codes of the parts, (q, m).
            margins: From ``part_margin`` or, for each query, from ``part_margins``.

        Returns:
            Of the dtype of ``whole``, (q, n).

        >>> parts = PartCodes(OrdinalCodes.from_symbols([[0] * 8], arity=4), [1], [[0, 0, 99, 99]])
        >>> parts.nearest(np.array([[5, 5]]), np.array([[2]]), part_margin(parts.codes.spec)).tolist()
        [[5, 3]]
        """
        found, more = whole.copy(), np.reshape(margins, (-1, 1)).astype(whole.dtype)
        places = np.arange(len(self)) - np.searchsorted(self.owners, self.owners)  # among the parts of an image
        for place in range(MOST_PARTS):
            here = places == place
            found[:, self.owners[here]] = np.minimum(found[:, self.owners[here]], of_parts[:, here] + more)
        return found

    def records(self) -> npt.NDArray[np.uint8]:
        """The parts as files hold them, packed code and box of each, uint8 (m, bytes)."""
        return np.ascontiguousarray(np.concatenate([self.codes.packed(), self.boxes], axis=1))

    def starts(self, n: int) -> npt.NDArray[np.int64]:
        """Where the parts of each of n images start, and where the last ones end, (n + 1,)."""
        return np.searchsorted(self.owners, np.arange(n + 1))

    def packed(self, n: int) -> list[bytes]:
        """The records of each image, one part after the other.

        Args:
            n: How many images there are.
        """
        records = self.records()
        return [records[start:end].tobytes() for start, end in itertools.pairwise(self.starts(n).tolist())]

    @classmethod
    def from_packed(cls, packed: Sequence[bytes], spec: CodeSpec, *, model_id: str | None = None) -> PartCodes:
        """Invert ``packed``.

        Args:
            packed: Of every image.
            spec: Shape of the codes.
            model_id: The model that made them.

        Raises:
            InputError: These are not parts with codes of that shape.
        """
        size = spec.packed_bytes + BOX_BYTES
        counts = [len(one) // size for one in packed]
        if any(len(one) % size for one in packed):
            raise InputError(f"parts of an image take a multiple of {size} bytes with {spec}; give such")
        records = np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(sum(counts), size)
        codes = OrdinalCodes.from_packed(records[:, : spec.packed_bytes], spec, model_id=model_id)
        return cls(codes, np.repeat(np.arange(len(packed)), counts), records[:, spec.packed_bytes :])


@dataclass(frozen=True, eq=False)
class Searched:
    """Codes of a database, with their parts if these are searched too: the definition of distances to images.

    Attributes:
        codes: Of n images.
        parts: Their parts; None to search without.
    """

    codes: OrdinalCodes
    parts: PartCodes | None = None

    def ordinal(self, queries: OrdinalCodes) -> npt.NDArray[np.uint16]:
        """Ordinal distances of q queries, uint16 (q, n).

        Args:
            queries: Their codes.
        """
        whole = ordinal_distances(queries, self.codes)
        if self.parts is None:
            return whole
        return self.parts.nearest(whole, ordinal_distances(queries, self.parts.codes), part_margin(self.codes.spec))

    def asymmetric(self, scores: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
        """Asymmetric distances of q queries, float32 (q, n).

        Args:
            scores: Of the queries, (q, n_segments, arity).
        """
        losses = symbol_losses(scores, self.codes.spec)
        whole = sums_of_losses(losses, self.codes)
        if self.parts is None:
            return whole
        return self.parts.nearest(whole, sums_of_losses(losses, self.parts.codes), part_margins(losses))
