"""Parts of the items of an index: an item is as near as the nearest of its own code and those of its parts.

A part counts as ``part_margin`` farther than its code is. The k nearest items by that are among the k nearest by their
own codes and the k nearest by their parts. So a search asks both stores, the one of the parts for as many rows as k
items can have, and merges what they find; and for more, while rounded sums could tie with the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ordhash.codes import MOST_PARTS, OrdinalCodes, PartCodes, part_margin, part_margins, parts_among, sums_of_losses
from ordhash.errors import InputError
from ordhash.index.planes import Bytes
from ordhash.index.results import Found
from ordhash.index.stores import Distinct, Grown, Scan, Tabled, Warming, bools_of, store_of

__all__ = ["FoundWithBoxes", "PartArrays", "PartStore", "checked"]

FoundWithBoxes: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""Distances and rows of items, of the same shape, and for each the box of what is so near: a part, or the whole."""

_WHOLE = -1  # in place of the number of a part
_ALL = (0, 0, 255, 255)


@dataclass(frozen=True, eq=False)
class PartArrays:
    """Parts of items, as an index file holds them.

    Attributes:
        store: Codes of m parts, item by item.
        owners: Row of the item that each is a part of, uint32 (m,), never falling.
        boxes: As [PartCodes][ordhash.codes.PartCodes] has them, uint8 (m, 4).
    """

    store: Scan | Distinct
    owners: npt.NDArray[np.uint32]
    boxes: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, parts: PartCodes) -> PartArrays:
        """The arrays of parts in memory.

        Raises:
            InputError: There are more items than parts can name, 4 294 967 295.
        """
        if len(parts) and parts.owners[-1] > np.iinfo(np.uint32).max:
            raise InputError(f"parts can name {np.iinfo(np.uint32).max:,} items at most; split the index")
        return cls(store_of(parts.codes), parts.owners.astype(np.uint32), parts.boxes)


class PartStore:
    """Codes of parts, searched together with those of the items.

    Args:
        whole: Codes of the items.
        arrays: Their parts.
    """

    def __init__(self, whole: Warming, arrays: PartArrays) -> None:
        self._whole, self._warming = whole, Warming(arrays.store)
        self._owners, self._boxes = arrays.owners, arrays.boxes
        self._most = _most_of(arrays.owners)

    def __len__(self) -> int:
        return len(self._owners)

    def parts(self, model_id: str | None = None) -> PartCodes:
        """All parts, unpacked on every call.

        Args:
            model_id: The model that made them, which the index knows.
        """
        store = self._warming.store
        codes = OrdinalCodes(store.symbols(), store.spec, model_id)
        return PartCodes(codes, self._owners.astype(np.int64), self._boxes)

    @property
    def nbytes(self) -> int:
        """Bytes of the codes, of what they are parts of, and of where they are."""
        return self._warming.store.nbytes + self._owners.nbytes + self._boxes.nbytes

    def arrays(self, rows: npt.NDArray[np.int64] | None) -> PartArrays:
        """The parts of the items at ``rows``, which become 0, 1, ...; None for all, whose rows stay."""
        store = self._warming.store
        if rows is not None or isinstance(store, Grown | Tabled):
            return PartArrays.of(self.parts() if rows is None else self.parts().taken(rows))
        return PartArrays(store, self._owners, self._boxes)

    def warm_up(self, n_queries: int | None = None, *, progress: bool = False) -> None:
        """As [OrdinalIndex.warm_up][ordhash.index.OrdinalIndex.warm_up], for the parts."""
        self._warming.warm_up(n_queries, progress=progress)

    def add(self, parts: PartCodes, n: int) -> None:
        """Append the parts of items that follow the n that were there."""
        self._warming.put(Grown.of(self._warming.store, parts.codes))
        self._owners = np.concatenate([self._owners, (parts.owners + n).astype(np.uint32)])
        self._boxes = np.concatenate([self._boxes, parts.boxes])
        self._most = max(self._most, _most_of(parts.owners))

    def nearest(self, queries: OrdinalCodes, k: int, allowed: Bytes | None) -> FoundWithBoxes:
        """As [Store][ordhash.index.stores.Store] says, with the box of what is so near."""
        margins = np.full(len(queries), part_margin(queries.spec), np.uint16)
        return self._nearest(lambda store, some, m, bits: store.nearest(queries[some], m, bits), k, allowed, margins)

    def nearest_asymmetric(self, losses: npt.NDArray[np.float32], k: int, allowed: Bytes | None) -> FoundWithBoxes:
        """The same by asymmetric distance."""
        margins = part_margins(losses)
        return self._nearest(
            lambda store, some, m, bits: store.nearest_asymmetric(losses[some], m, bits), k, allowed, margins
        )

    def within(self, queries: OrdinalCodes, radius: int, allowed: Bytes | None) -> list[FoundWithBoxes]:
        """The same for all items within a radius."""
        margin = part_margin(queries.spec)
        of_items = self._whole.within(queries, radius, allowed)
        bits = np.zeros(-(-len(self) // 8), np.uint8) if radius < margin else self._allowed(allowed)[0]
        of_parts = self._warming.within(queries, max(0, radius - margin), bits)
        found = []
        for (items, rows), (parts, numbers) in zip(of_items, of_parts, strict=True):
            n = len(np.union1d(rows, self._owners[numbers]))
            both = (items[None], rows[None]), ((parts + np.uint16(margin))[None], numbers[None])
            distances, rows, boxes = self._nearer(*both, n)
            found.append((distances[0], rows[0], boxes[0]))
        return found

    def distances(
        self, whole: npt.NDArray[np.float32], losses: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Asymmetric distances of queries to items with their parts.

        Args:
            whole: Those to the codes of the items, (q, r).
            losses: As ``nearest_asymmetric`` takes them.
            rows: Of the items, (r,).
        """
        different, places = np.unique(rows, return_inverse=True)
        numbers, owners = parts_among(self._owners, different)
        store, nothing = self._warming.store, np.full((len(losses), len(different)), np.inf, np.float32)
        parts = PartCodes(OrdinalCodes(store.symbols_at(numbers), store.spec), owners, self._boxes[numbers])
        found = parts.nearest(nothing, sums_of_losses(losses, parts.codes), part_margins(losses))
        return np.asarray(np.minimum(whole, found[:, places]))

    def _nearest(
        self,
        ask: Callable[[Warming, npt.NDArray[np.intp], int, Bytes | None], Found],
        k: int,
        allowed: Bytes | None,
        margins: npt.NDArray[Any],
    ) -> FoundWithBoxes:
        bits, n_allowed = self._allowed(allowed)
        waiting, m = np.arange(len(margins)), min(k * self._most, n_allowed)
        distances, rows = ask(self._whole, waiting, k, allowed)
        found = distances.copy(), rows.copy(), np.empty((*rows.shape, 4))
        while len(waiting):
            near, numbers = ask(self._warming, waiting, m, bits)
            near = near + margins[waiting, None]
            some = self._nearer((distances[waiting], rows[waiting]), (near, numbers), k)
            for all_queries, of_some in zip(found, some, strict=True):
                all_queries[waiting] = of_some
            if m in (0, n_allowed) or near.dtype != np.float32:
                break
            # Rounded sums may be equal where distances are not: a part that is farther ties, perhaps of an earlier row.
            waiting = waiting[near[:, -1] == found[0][waiting, -1]]
            m = min(8 * m, n_allowed)
        return found

    def _nearer(self, of_items: Found, of_parts: Found, k: int) -> FoundWithBoxes:
        """What q queries find: each item once, at its nearest, ordered by (distance, row); the k nearest of each."""
        distances = np.concatenate([of_items[0], of_parts[0]], axis=1)
        rows = np.concatenate([of_items[1], self._owners[of_parts[1]].astype(np.int64)], axis=1)
        numbers = np.concatenate([np.full(of_items[1].shape, _WHOLE), of_parts[1]], axis=1)
        # Stable: at equal distances the whole item comes first, then its parts in their order.
        order = np.lexsort((rows, distances), axis=1)
        distances, rows, numbers = (np.take_along_axis(one, order, axis=1) for one in (distances, rows, numbers))
        by_row = np.argsort(rows, axis=1, kind="stable")
        grouped = np.take_along_axis(rows, by_row, axis=1)
        again = np.zeros(rows.shape, np.bool_)  # an item that was nearer before
        np.put_along_axis(again, by_row[:, 1:], grouped[:, 1:] == grouped[:, :-1], axis=1)
        kept = np.argsort(again, axis=1, kind="stable")[:, :k]
        distances, rows, numbers = (np.take_along_axis(one, kept, axis=1) for one in (distances, rows, numbers))
        boxes, by_part = np.tile(np.array(_ALL, np.uint8), (*rows.shape, 1)), numbers != _WHOLE
        boxes[by_part] = self._boxes[numbers[by_part]]
        return distances, rows, boxes / 255

    def _allowed(self, allowed: Bytes | None) -> tuple[Bytes | None, int]:
        """Bit mask of the parts of allowed items, None for all, and their number."""
        if allowed is None:
            return None, len(self)
        mask = bools_of(allowed, self._whole.store.n)[self._owners]
        return np.packbits(mask, bitorder="little"), int(mask.sum())


def _most_of(owners: npt.NDArray[np.integer[Any]]) -> int:
    """Parts of an item at most, at least 1."""
    several = range(1, min(MOST_PARTS, len(owners)))
    return max([1, *(more + 1 for more in several if (owners[more:] == owners[:-more]).any())])


def checked(parts: PartStore | None) -> PartStore:
    """The parts that a search asks for.

    Raises:
        InputError: There are none.
    """
    if parts is None:
        raise InputError("the index keeps no parts; build it with parts, or search without")
    return parts
