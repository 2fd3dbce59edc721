"""Protocols on GroceryStoreDataset: fine classes, graded by coarse ones; and unseen classes."""

from __future__ import annotations

from collections.abc import Callable

from ordhash.data.datasets import Parts
from ordhash.data.imageset import ImageSet
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import hold_out_classes, of_classes, together

__all__ = ["PROTOCOLS", "coarse_classes"]


def _grocery(parts: Parts) -> Protocol:
    return Protocol(
        "grocery",
        parts["train"],
        parts["test"],
        parts["train"],
        parts["val"],
        citation="Klasson et al., WACV 2019: official split; test images as queries, training images as database",
        coarse=coarse_classes(parts["train"]),
    )


def _grocery_unseen(name: str, *, query_unseen: bool, database_all: bool) -> Callable[[Parts], Protocol]:
    def build(parts: Parts) -> Protocol:
        unseen = hold_out_classes(parts["train"].class_names, 21, salt="grocery-unseen")
        found = parts["train"] if database_all else of_classes(parts["train"], unseen)
        return Protocol(
            name,
            of_classes(parts["train"], ~unseen),
            of_classes(parts["test"], unseen if query_unseen else ~unseen),
            together(found, of_classes(parts["val"], unseen)),
            of_classes(parts["val"], ~unseen),
            citation=_UNSEEN_CITATION,
            coarse=coarse_classes(parts["train"]),
        )

    return build


_UNSEEN_CITATION = (
    "Klasson et al., WACV 2019, searched as in Sablayrolles et al., arXiv:1609.06753: 21 classes are only "
    "searched, 60 only learned from"
)


def coarse_classes(images: ImageSet) -> tuple[str, ...]:
    """Coarse class of every fine class."""
    if images.labels is None or images.metadata is None:
        return ()
    of_image = images.metadata["coarse"].to_pylist()
    return tuple(of_image[row] for row in images.labels.argmax(axis=0))


PROTOCOLS: dict[str, ProtocolInfo] = {
    # The hashes are of a copy with 192 pixels on the shorter side; the official files are larger.
    "grocery": ProtocolInfo(
        "grocery",
        "2,485 queries, 2,640 training images = database, 81 classes in two grades",
        _grocery,
        "49bd425047c98ba4",
        "9f4d7c5fdbd38d03",
    ),
    "grocery-unseen": ProtocolInfo(
        "grocery",
        "663 queries and 771 images of 21 classes, 1,938 training images of the 60 others",
        _grocery_unseen("grocery-unseen", query_unseen=True, database_all=False),
        "80fa224d7ca64435",
        "3f790a86f3760621",
    ),
    "grocery-unseen@all": ProtocolInfo(
        "grocery",
        "as grocery-unseen, the same queries among 2,709 images of all 81 classes",
        _grocery_unseen("grocery-unseen@all", query_unseen=True, database_all=True),
        "58b051bedce751b7",
        "7f0fcd05b9360729",
    ),
    "grocery-seen@all": ProtocolInfo(
        "grocery",
        "as grocery-unseen@all, queries of the 60 classes that were learned from",
        _grocery_unseen("grocery-seen@all", query_unseen=False, database_all=True),
        "b57d3a84791a4670",
        "488fde0a787b6733",
    ),
}
