"""Protocols: which images train, which are queries, which are the database, and what counts as relevant.

A published protocol is pinned by a hash over its keys, labels and image contents, so its name always means the
same experiment. Splits are drawn by digests of keys, not by a random generator: the same on every machine and with
every version of NumPy. The protocols on one data set are in one file, and those on scenes in another.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ordhash.data.datasets import DATASETS
from ordhash.data.protocols import (
    cifar10,
    corel5k,
    fashion_mnist,
    grocery,
    grocery_photos,
    mirflickr25k,
    nuswide21,
    parts,
    scenes,
)
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import (
    hold_out_classes,
    split_by_class,
    split_by_concept,
    split_by_digest,
    with_label_noise,
)
from ordhash.errors import DataError, InputError, did_you_mean

__all__ = [
    "PROTOCOLS",
    "Protocol",
    "ProtocolInfo",
    "hold_out_classes",
    "load_protocol",
    "split_by_class",
    "split_by_concept",
    "split_by_digest",
    "with_label_noise",
]

PROTOCOLS: dict[str, ProtocolInfo] = {
    name: info
    for module in (cifar10, grocery, scenes, parts, grocery_photos, fashion_mnist, corel5k, mirflickr25k, nuswide21)
    for name, info in module.PROTOCOLS.items()
}


def load_protocol(name: str, root: str | Path = "data") -> Protocol:
    """Load a published protocol.

    Args:
        name: One of ``PROTOCOLS``.
        root: Folder of data sets, one sub-folder each, as ``ordhash data get`` fills it.

    Returns:
        The protocol; its ``note`` says so if no hash vouches for all of it.

    Raises:
        InputError: The protocol is unknown.
        DataError: Its data set is missing, or differs from the published one.
    """
    if name not in PROTOCOLS:
        hint = did_you_mean(name, PROTOCOLS)
        raise InputError(f"there is no protocol {name!r}; allowed are {', '.join(PROTOCOLS)}{hint}")
    info = PROTOCOLS[name]
    protocol = info.build(*(DATASETS[dataset].read(Path(root) / dataset) for dataset in info.datasets))
    if info.pinned is None:
        return dataclasses.replace(protocol, note=_together(protocol.note, _UNPINNED))
    found = protocol.hash()
    if found == info.pinned:
        return protocol
    if info.pinned_split is not None and protocol.hash(contents=False) == info.pinned_split:
        return dataclasses.replace(protocol, note=_together(protocol.note, _OTHER_PICTURES))
    folders = " or ".join(str(Path(root) / dataset) for dataset in info.datasets)
    raise DataError(
        f"protocol {name} has the hash {found} instead of {info.pinned}: the data in {folders} is not the published "
        "data; fetch it again"
    )


_UNPINNED = "no hash of this protocol is published yet, so whether two people have the same one shows by their hashes"
_OTHER_PICTURES = "the published split, on other files of its images than those of the published hash"


def _together(*sentences: str) -> str:
    return "; ".join(sentence for sentence in sentences if sentence)
