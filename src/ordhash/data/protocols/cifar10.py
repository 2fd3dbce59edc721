"""Protocols on CIFAR-10."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ordhash.data.datasets import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import hold_out_classes, of_classes, split_by_class, together, with_label_noise

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


def _cifar10_unseen(name: str, *, query_unseen: bool, database_all: bool) -> Callable[[Parts], Protocol]:
    def build(parts: Parts) -> Protocol:
        # The same images as in cifar10, so that the two differ in one thing.
        split = split_by_class(together(parts["train"], parts["test"]), {"query": 100, "train": 500}, salt="cifar10")
        unseen = hold_out_classes(parts["train"].class_names, 3, salt="cifar10-unseen")
        found = np.ones(len(unseen), dtype=bool) if database_all else unseen
        return Protocol(
            name,
            of_classes(split["train"], ~unseen),
            of_classes(split["query"], unseen if query_unseen else ~unseen),
            together(of_classes(split["train"], found), of_classes(split["rest"], found)),
            citation=_CIFAR10_UNSEEN_CITATION,
        )

    return build


_CIFAR10_UNSEEN_CITATION = (
    "the images of cifar10, searched as in Sablayrolles et al., arXiv:1609.06753: three classes are only "
    "searched, seven only learned from; one draw of classes"
)


def _cifar10_noise(percent: int) -> Callable[[Parts], Protocol]:
    def build(parts: Parts) -> Protocol:
        clean = _cifar10("cifar10", train=500, database_has_train=True)(parts)
        noisy = with_label_noise(clean.train, percent / 100, salt="cifar10-noise")
        return Protocol(
            f"cifar10-noise{percent}",
            noisy,
            clean.query,
            clean.database,
            citation=f"cifar10 with {percent} % of the training labels replaced by other classes, all equally likely",
        )

    return build


PROTOCOLS: dict[str, ProtocolInfo] = {
    "cifar10": ProtocolInfo(
        "cifar10",
        "1,000 queries, 5,000 training images, database of the other 59,000",
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
    "cifar10-unseen": ProtocolInfo(
        "cifar10",
        "300 queries and 17,700 images of three classes, 3,500 training images of the others",
        _cifar10_unseen("cifar10-unseen", query_unseen=True, database_all=False),
        "bade68007a6d131c",
    ),
    "cifar10-unseen@all": ProtocolInfo(
        "cifar10",
        "as cifar10-unseen, the same queries among the 59,000 images of all ten classes",
        _cifar10_unseen("cifar10-unseen@all", query_unseen=True, database_all=True),
        "ff825e089561386a",
    ),
    "cifar10-seen@all": ProtocolInfo(
        "cifar10",
        "as cifar10-unseen@all, 700 queries of the seven classes that were learned from",
        _cifar10_unseen("cifar10-seen@all", query_unseen=False, database_all=True),
        "78e95a447d0f9e75",
    ),
    "cifar10-noise20": ProtocolInfo(
        "cifar10", "as cifar10, 20 % of the training labels wrong", _cifar10_noise(20), "dfd5b82ae6559b37"
    ),
    "cifar10-noise40": ProtocolInfo(
        "cifar10", "as cifar10, 40 % of the training labels wrong", _cifar10_noise(40), "87cba52027e1c363"
    ),
}
