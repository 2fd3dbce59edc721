"""What a search looks through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ordhash.codes import OrdinalCodes
from ordhash.collection import Collection
from ordhash.index import Condition, OrdinalIndex
from ordhash.model import Encoder

if TYPE_CHECKING:
    from ordhash.search.answer import Answer

__all__ = ["Engine", "Target"]


class Engine(Protocol):
    """An index that another program keeps, and which ranks by ordinal distance."""

    def nearest(
        self, codes: OrdinalCodes, *, top_k: int, conditions: Sequence[Condition], parts: bool
    ) -> list[tuple[Answer, ...]]:
        """For every query the nearest items that meet all conditions; an item may be as near as its nearest part."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a search looks through.

    Attributes:
        encoder: The model of the index.
        index: The index; an engine ranks by ordinal distance alone.
        collection: The collection that the index belongs to; tells near-duplicates from what only looks alike.
    """

    encoder: Encoder
    index: OrdinalIndex | Engine
    collection: Collection | None = None
