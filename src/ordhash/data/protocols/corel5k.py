"""Protocols on Corel-5K."""

from __future__ import annotations

import numpy as np

from ordhash.data.datasets import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import with_classes

__all__ = ["PROTOCOLS"]


def _corel5k(parts: Parts) -> Protocol:
    return Protocol(
        "corel5k",
        parts["train"],
        parts["test"],
        parts["train"],
        citation="Duygulu et al., ECCV 2002: official split, test images as queries, 374 words",
    )


def _corel5k_21(parts: Parts) -> Protocol:
    """The images that have one of the 21 most frequent words of the training images, equal counts by name."""
    labels, words = parts["train"].labels, parts["train"].class_names
    counts = np.zeros(len(words), dtype=np.int64) if labels is None else labels.sum(axis=0)
    frequent = [words[row] for row in sorted(range(len(words)), key=lambda row: (-counts[row], words[row]))[:21]]
    train, test = (with_classes(parts[part], frequent) for part in ("train", "test"))
    return Protocol(
        "corel5k-21",
        train,
        test,
        train,
        citation=(
            "Duygulu et al., ECCV 2002: official split, restricted to the 21 words that most training images have, as "
            "NUS-WIDE is to its 21 most frequent concepts; images without any of them are left out"
        ),
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "corel5k": ProtocolInfo(
        "corel5k", "499 queries, 4,500 training images = database, 374 words", _corel5k, "cc0067f44f8319b4"
    ),
    "corel5k-21": ProtocolInfo(
        "corel5k",
        "443 queries, 3,947 training images = database, the 21 most frequent words",
        _corel5k_21,
        "db17f048517aeb19",
    ),
}
