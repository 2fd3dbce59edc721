"""Protocol on Fashion-MNIST."""

from __future__ import annotations

from ordhash.data.datasets import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_class, together

__all__ = ["PROTOCOLS"]


def _fashion_mnist(parts: Parts) -> Protocol:
    everything = together(parts["train"], parts["test"])
    split = split_by_class(everything, {"query": 100, "train": 500}, salt="fashion-mnist")
    database = together(split["train"], split["rest"])
    return Protocol(
        "fashion-mnist", split["train"], split["query"], database, citation="as CIFAR-10 1k/5k, on Xiao et al. 2017"
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "fashion-mnist": ProtocolInfo(
        "fashion-mnist", "1,000 queries, 5,000 training images, database of 69,000", _fashion_mnist, "f1ee0d1e56544845"
    ),
}
