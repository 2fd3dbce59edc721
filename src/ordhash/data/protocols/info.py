"""What is known of a published protocol before its data are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ordhash.data.datasets.dataset import Parts
from ordhash.data.protocols.protocol import Protocol

__all__ = ["ProtocolInfo"]


@dataclass(frozen=True)
class ProtocolInfo:
    """A published protocol.

    Attributes:
        dataset: Name of its data set.
        summary: One line for people.
        build: Makes it from the parts of the data set.
        pinned: Hash that the built protocol must have.
    """

    dataset: str
    summary: str
    build: Callable[[Parts], Protocol]
    pinned: str
