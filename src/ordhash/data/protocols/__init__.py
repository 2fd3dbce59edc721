"""Protocols: which images train, which are queries, which are the database, and what counts as relevant.

A published protocol is pinned by a hash over its keys, labels and image contents, so that two people who name it mean
the same experiment. Splits are drawn by digests of keys, not by a random generator: the same on every machine, and with
every version of NumPy. The protocols on one data set are in one file.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from ordhash.data.datasets import DATASETS
from ordhash.data.protocols import cifar10, corel5k, fashion_mnist, grocery_photos
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_class
from ordhash.errors import DataError, InputError

__all__ = ["PROTOCOLS", "Protocol", "ProtocolInfo", "load_protocol", "split_by_class"]

PROTOCOLS: dict[str, ProtocolInfo] = {
    name: info
    for module in (cifar10, grocery_photos, fashion_mnist, corel5k)
    for name, info in module.PROTOCOLS.items()
}


def load_protocol(name: str, root: str | Path = "data") -> Protocol:
    """Published protocol of that name.

    Args:
        name: One of ``PROTOCOLS``.
        root: Folder of data sets, one sub-folder each, as ``ordhash data get`` fills it.

    Raises:
        InputError: There is no such protocol.
        DataError: Its data set is not there, or gives another protocol than the published one.
    """
    if name not in PROTOCOLS:
        close = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"there is no protocol {name!r}; allowed are {', '.join(PROTOCOLS)}{hint}")
    info = PROTOCOLS[name]
    protocol = info.build(DATASETS[info.dataset].read(Path(root) / info.dataset))
    found = protocol.hash()
    if found != info.pinned:
        raise DataError(
            f"protocol {name} has the hash {found} and not {info.pinned}: the data in {Path(root) / info.dataset} is "
            "not the published data; fetch it again"
        )
    return protocol
