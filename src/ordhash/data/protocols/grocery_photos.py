"""Protocol on the data set grocery-photos."""

from __future__ import annotations

from ordhash.data.datasets import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_class

__all__ = ["PROTOCOLS", "split_grocery_photos"]


def split_grocery_photos(parts: Parts) -> Parts:
    """The four disjoint parts: ``query``, ``validation``, ``train`` and the ``rest``, which is the database."""
    shares: dict[str, int | float] = {"query": 0.15, "validation": 0.10, "train": 0.40}
    return split_by_class(parts["all"], shares, salt="grocery-photos")


def _grocery_photos(parts: Parts) -> Protocol:
    split = split_grocery_photos(parts)
    return Protocol(
        "grocery-photos",
        split["train"],
        split["query"],
        split["rest"],
        split["validation"],
        citation="ordhash: 40 % train, 10 % validation, 15 % queries, the rest database; no photograph in two of them",
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "grocery-photos": ProtocolInfo(
        "grocery-photos",
        "photographs of 14 kinds of groceries, four disjoint parts",
        _grocery_photos,
        "5b6349b7189953d5",
    ),
}
