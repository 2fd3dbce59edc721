"""Rows of a catalogue: images and failures, and what is known of the collection as a whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ordhash.codes import CodeSpec

__all__ = ["CollectionInfo", "Entry", "Failure"]


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
    """

    key: str
    size: int
    modified: int
    content: bytes
    code: bytes
    fingerprint: bytes | None

    def digest(self) -> bytes:
        """Digest of all of this, 8 bytes."""
        text = f"{self.key}\0{self.size}\0{self.modified}\0".encode()
        parts = (self.content, self.code, self.fingerprint or b"")
        return hashlib.blake2b(text + b"".join(parts), digest_size=8).digest()


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
