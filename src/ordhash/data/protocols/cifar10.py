"""Protocols on CIFAR-10."""

from __future__ import annotations

from collections.abc import Callable

from ordhash.data.datasets.dataset import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_class, together

__all__ = ["PROTOCOLS"]


def _cifar10(name: str, *, train: int, database_has_train: bool) -> Callable[[Parts], Protocol]:
    def build(parts: Parts) -> Protocol:
        everything = together(parts["train"], parts["test"])
        split = split_by_class(everything, {"query": 100, "train": train}, salt="cifar10")
        database = together(split["train"], split["rest"]) if database_has_train else split["rest"]
        return Protocol(name, split["train"], split["query"], database, citation=_CIFAR10_CITATION)

    return build


_CIFAR10_CITATION = (
    "Krizhevsky 2009; 100 queries and 500 training images a class as in DPSH (Li et al., IJCAI 2016) and later work"
)


def _cifar10_full(parts: Parts) -> Protocol:
    return Protocol(
        "cifar10-50k",
        parts["train"],
        parts["test"],
        parts["train"],
        citation="Krizhevsky 2009; official split: 10,000 queries, 50,000 training images which are the database",
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "cifar10": ProtocolInfo(
        "cifar10",
        "1,000 queries, 5,000 training images, database of the 59,000 that are no queries",
        _cifar10("cifar10", train=500, database_has_train=True),
        "d55a541b63abee07",
    ),
    "cifar10-54k": ProtocolInfo(
        "cifar10",
        "the same queries and training images, database of the 54,000 others",
        _cifar10("cifar10-54k", train=500, database_has_train=False),
        "a3a64d254450f79b",
    ),
    "cifar10-50k": ProtocolInfo(
        "cifar10", "10,000 queries, 50,000 training images = database", _cifar10_full, "d53586905cf770b6"
    ),
}
