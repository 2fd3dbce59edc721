"""Rows of a catalogue: images, failures and deleted files, and what is known of the collection as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ordhash.codes import CodeSpec

__all__ = ["CollectionInfo", "DeletedFile", "Entry", "Failure", "digest_of"]


def digest_of(values: Iterable[Any]) -> bytes:
    """Digest of the values of a row and of their types, 8 bytes.

    Args:
        values: Texts, integers, bytes and None.

    >>> digest_of(["cat.jpg", 1]).hex(), digest_of(["cat.jpg", "1"]).hex()
    ('5dcbc6d26e8f8fcd', 'b8f105942e3be018')
    """
    return hashlib.blake2b(ascii(tuple(values)).encode(), digest_size=8).digest()


@dataclass(frozen=True)
class Entry:
    """An image of a collection.

    Attributes:
        key: Its path below the folder, with forward slashes.
        size: Bytes of its file.
        modified: When the file was last written, in nanoseconds since 1970.
        content: Digest of the file, 16 bytes.
        code: Its packed code.
        fingerprint: Its perceptual hash; None for a picture of one colour.
        unlike: 1 if it is unlike anything that the model learned from, else 0; None where the model cannot tell.
        parts: Codes and boxes of its parts, as [PartCodes][ordhash.codes.PartCodes] packs them; None where the model
            cannot tell, since it sees the middle of a picture alone.
    """

    key: str
    size: int
    modified: int
    content: bytes
    code: bytes
    fingerprint: bytes | None
    unlike: int | None = None
    parts: bytes | None = None

    @property
    def is_unlike(self) -> bool | None:
        """``unlike`` as a truth value."""
        return None if self.unlike is None else bool(self.unlike)


@dataclass(frozen=True)
class Failure:
    """An image that could not be used; it is tried again when its file changes.

    Attributes:
        key: Its path below the folder.
        size: Bytes of its file.
        modified: When the file was last written, in nanoseconds since 1970.
        reason: What is wrong with it and what to do.
    """

    key: str
    size: int
    modified: int
    reason: str


@dataclass(frozen=True)
class DeletedFile:
    """A file with the content of a deleted photograph.

    Attributes:
        content: Digest of the file.
        key: Its path below the folder, when it was last seen.
        size: Its bytes.
        modified: When it was last written, in nanoseconds since 1970.
    """

    content: bytes
    key: str
    size: int
    modified: int


@dataclass(frozen=True)
class CollectionInfo:
    """What is known of a collection.

    Attributes:
        folder: The folder of its images.
        count: Its images.
        unusable: Files of the folder that cannot be used.
        hidden: Images that were deleted from the collection and not from the folder.
        spec: Shape of its codes.
        model_id: The model that made them.
        model_path: Where its file was.
        generation: A number that grows with every change of the images.
    """

    folder: Path
    count: int
    unusable: int
    hidden: int
    spec: CodeSpec
    model_id: str | None
    model_path: str | None
    generation: int
