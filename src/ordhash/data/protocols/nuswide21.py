"""Protocol on the 21 most frequent concepts of NUS-WIDE."""

from __future__ import annotations

from ordhash.data.datasets import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_concept, together

__all__ = ["PROTOCOLS"]


def _nuswide_21(parts: Parts) -> Protocol:
    images, missing = parts["all"], len(parts["missing"])
    split = split_by_concept(images, {"query": 100, "train": 500}, salt="nuswide-21")
    return Protocol(
        "nuswide-21",
        split["train"],
        split["query"],
        together(split["train"], split["rest"]),
        cutoff=5000,
        citation=(
            "Chua et al., CIVR 2009: the 21 most frequent concepts; 100 queries and 500 training images a concept, "
            "and all other images as database, as in DPSH (Li et al., IJCAI 2016) and later work"
        ),
        note=f"{missing:,} of the {missing + len(images):,} images with one of the concepts are not in this copy"
        if missing
        else "",
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "nuswide-21": ProtocolInfo(
        "nuswide21",
        "2,100 queries, 10,500 training images, all other images as database, mAP over the first 5,000",
        _nuswide_21,
        None,
    ),
}
