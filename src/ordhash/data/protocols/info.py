"""Description of a published protocol, without its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ordhash.data.datasets import Parts
from ordhash.data.protocols.protocol import Protocol

__all__ = ["ProtocolInfo"]


@dataclass(frozen=True)
class ProtocolInfo:
    """A published protocol.

    Attributes:
        dataset: Name of its data set.
        summary: One line for people.
        build: Makes it from the parts of the data set.
        pinned: Hash that the built protocol must have; None until computed from the official files.
        pinned_split: Hash without the contents of images, for a data set that circulates in several picture sizes: a
            protocol with this one is accepted too, and says so in its note.
    """

    dataset: str
    summary: str
    build: Callable[[Parts], Protocol]
    pinned: str | None
    pinned_split: str | None = None
