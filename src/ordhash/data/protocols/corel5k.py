"""Protocols on Corel-5K."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ordhash.data.datasets import Parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import hold_out_classes, of_classes, with_classes

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


def _corel5k_unseen(name: str, *, query_unseen: bool, database_all: bool) -> Callable[[Parts], Protocol]:
    """Six of the 21 words are only searched; no training image carries any of them."""

    def build(parts: Parts) -> Protocol:
        whole = _corel5k_21(parts)
        unseen = hold_out_classes(whole.train.class_names, 6, salt="corel5k-unseen")
        wanted = unseen if query_unseen else ~unseen
        query = of_classes(whole.query, wanted)
        if query.labels is not None:  # an image may carry words of both kinds
            query = dataclasses.replace(query, labels=query.labels & wanted)
        with_unseen = of_classes(whole.train, unseen)
        return Protocol(
            name,
            whole.train.subset(~np.isin(whole.train.keys, with_unseen.keys)),
            query,
            whole.train if database_all else with_unseen,
            citation=(
                "Duygulu et al., ECCV 2002: the images of corel5k-21, searched as in Sablayrolles et al., "
                "arXiv:1609.06753: six words are only searched, and images without any of them learned from; relevant "
                "is what shares a word of the queries' kind"
            ),
        )

    return build


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
    "corel5k-unseen": ProtocolInfo(
        "corel5k",
        "171 queries and 1,539 images with six of the 21 words, 2,408 training images without any of them",
        _corel5k_unseen("corel5k-unseen", query_unseen=True, database_all=False),
        "3e13b1ceb2685212",
    ),
    "corel5k-unseen@all": ProtocolInfo(
        "corel5k",
        "as corel5k-unseen, the same queries among all 3,947 images",
        _corel5k_unseen("corel5k-unseen@all", query_unseen=True, database_all=True),
        "f6750d822997521a",
    ),
    "corel5k-seen@all": ProtocolInfo(
        "corel5k",
        "as corel5k-unseen@all, 407 queries with a word that was learned from, relevant by these words",
        _corel5k_unseen("corel5k-seen@all", query_unseen=False, database_all=True),
        "71de05206f078da0",
    ),
}
