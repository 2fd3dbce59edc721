"""Protocols on MIRFLICKR-25K, in the three conventions of the literature, which do not compare."""

from __future__ import annotations

from collections.abc import Callable

from ordhash.data.datasets import Parts
from ordhash.data.datasets.mirflickr25k import CONCEPTS
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_digest, together, with_classes

__all__ = ["PROTOCOLS"]


def _of_38(name: str, cutoff: int | None) -> Callable[[Parts], Protocol]:
    def build(parts: Parts) -> Protocol:
        split = split_by_digest(parts["all"], {"query": 1000, "train": 4000}, salt="mirflickr25k-38")
        return Protocol(
            name,
            split["train"],
            split["query"],
            split["rest"],
            cutoff=cutoff,
            citation=(
                "Huiskes and Lew, MIR 2008: 24 concepts and 14 stricter ones as 38 classes; 1,000 queries, 4,000 "
                "training images and the rest as database, as in DeepHash-pytorch and HyP2 (Xu et al., 2022), but "
                "without the images that carry no label"
            ),
        )

    return build


def _of_24(parts: Parts) -> Protocol:
    labelled = with_classes(parts["all"], CONCEPTS)
    split = split_by_digest(labelled, {"query": 2000, "train": 5000}, salt="mirflickr25k-24")
    return Protocol(
        "mirflickr25k-24-1000",
        split["train"],
        split["query"],
        together(split["train"], split["rest"]),
        cutoff=1000,
        citation=(
            "Huiskes and Lew, MIR 2008: the 24 concepts; 2,000 queries, 5,000 training images, and all other "
            "images as database, as is usual with these classes; images that carry no label are left out"
        ),
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "mirflickr25k-38-all": ProtocolInfo(
        "mirflickr25k",
        "38 classes, 1,000 queries, 4,000 training images, the others as database",
        _of_38("mirflickr25k-38-all", None),
        None,
    ),
    "mirflickr25k-38-1000": ProtocolInfo(
        "mirflickr25k", "the same, mAP over the first 1,000", _of_38("mirflickr25k-38-1000", 1000), None
    ),
    "mirflickr25k-24-1000": ProtocolInfo(
        "mirflickr25k",
        "24 classes, 2,000 queries, 5,000 training images, database of all but the queries, mAP over the first 1,000",
        _of_24,
        None,
    ),
}
