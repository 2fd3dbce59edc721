"""Protocols on Corel-5K."""

from __future__ import annotations

from ordhash.data.datasets.dataset import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol

__all__ = ["PROTOCOLS"]


def _corel5k(parts: Parts) -> Protocol:
    return Protocol(
        "corel5k",
        parts["train"],
        parts["test"],
        parts["train"],
        citation="Duygulu et al., ECCV 2002: official split, test images as queries, 374 words",
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "corel5k": ProtocolInfo(
        "corel5k", "499 queries, 4,500 training images = database, 374 words", _corel5k, "cc0067f44f8319b4"
    ),
}
