"""Description of a published protocol, without its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ordhash.data.protocols.protocol import Protocol

__all__ = ["ProtocolInfo"]


@dataclass(frozen=True)
class ProtocolInfo:
    """A published protocol.

    Attributes:
        dataset: Name of its data set.
        summary: One line for people.
        build: Makes it from the parts of the data set, and of that of its backgrounds if it has one.
        pinned: Hash that the built protocol must have; None until computed from the official files.
        pinned_split: Hash without the contents of images, for a data set that circulates in several picture sizes: a
            protocol with this one is accepted too, and says so in its note.
        backgrounds: Name of a second data set, into whose photographs those of the first are pasted.
    """

    dataset: str
    summary: str
    build: Callable[..., Protocol]
    pinned: str | None
    pinned_split: str | None = None
    backgrounds: str | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of all data sets that it needs."""
        return (self.dataset,) if self.backgrounds is None else (self.dataset, self.backgrounds)
