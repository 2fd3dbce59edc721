"""Seals: a checksum of a whole file, stored inside the file, so that a damaged file is not taken for another one.

The formats that we write (Parquet, Arrow, ONNX) let a text be stored among their metadata. The text is written as a
placeholder first, and then overwritten by the length of the file and the CRC-32 of all its bytes, with zeros where the
seals are. CRC-32 finds every error within 32 consecutive bits, and misses one in four billion of the others. It is
no signature: whoever crafts a file can seal it.
"""

from __future__ import annotations

import mmap
import re
import secrets
import zlib
from typing import BinaryIO

__all__ = ["SEAL", "is_damaged", "placeholder", "seal", "sealed"]

SEAL = "ordhash.seal"
"""Name of the entry, in whatever metadata a format has."""

_MARK = b"ordhash-seal-"
_SEAL = re.compile(_MARK + rb"([0-9a-f]{12})-([0-9a-f]{8})")
_EMPTY = _MARK + b"0" * 12 + b"-" + b"0" * 8


def placeholder() -> str:
    """A new value for the entry; at random, so that no other text of the file is equal to it."""
    return f"{_MARK.decode()}{secrets.token_hex(6)}-{secrets.token_hex(4)}"


def sealed(content: bytes, placeholder: str) -> bytes:
    """A file with each placeholder overwritten by its seal.

    Args:
        content: Of the whole file.
        placeholder: From [placeholder][ordhash.support.placeholder].

    >>> empty = placeholder()
    >>> file = sealed(f"begin {empty} end".encode(), empty)
    >>> file
    b'begin ordhash-seal-00000000002c-cf66b62f end'
    >>> is_damaged(file), is_damaged(file.replace(b"end", b"enD")), is_damaged(b"without a seal")
    (False, True, False)
    """
    whole = bytearray(content)
    _seal(whole, placeholder.encode())
    return bytes(whole)


def seal(file: BinaryIO, placeholder: str) -> None:
    """Overwrite each placeholder in a file by its seal.

    Args:
        file: Open for reading and writing, not empty.
        placeholder: From [placeholder][ordhash.support.placeholder].
    """
    file.flush()
    with mmap.mmap(file.fileno(), 0) as content:
        _seal(content, placeholder.encode())


def is_damaged(content: bytes | mmap.mmap) -> bool:
    """Whether a file differs from what was sealed.

    A file without a seal, or of another length than its seal says (another program has written its content again, and
    copied the metadata), counts as whole: its format has to notice what is missing.

    Args:
        content: Of the whole file.
    """
    seals: dict[int, bytes] = {}
    for place in _places(content, _MARK):
        match = _SEAL.fullmatch(content[place : place + len(_EMPTY)])
        if match is not None and int(match[1], 16) == len(content):
            seals[place] = match[0]
    return bool(seals) and set(seals.values()) != {_seal_of(content, list(seals))}


def _seal(content: bytearray | mmap.mmap, placeholder: bytes) -> None:
    places = _places(content, placeholder)
    found = _seal_of(content, places)
    for place in places:
        content[place : place + len(_EMPTY)] = found


def _places(content: bytes | bytearray | mmap.mmap, text: bytes) -> list[int]:
    places = [content.find(text)]
    while places[-1] >= 0:
        places.append(content.find(text, places[-1] + 1))
    return places[:-1]


def _seal_of(content: bytes | bytearray | mmap.mmap, places: list[int]) -> bytes:
    """Length and checksum of a file, as if zeros stood in the seals at these places."""
    checksum, done = 0, 0
    with memoryview(content) as view:
        for place in places:
            with view[done:place] as before:
                checksum = zlib.crc32(_EMPTY, zlib.crc32(before, checksum))
            done = place + len(_EMPTY)
        with view[done:] as rest:
            checksum = zlib.crc32(rest, checksum)
    return _MARK + f"{len(content):012x}-{checksum:08x}".encode()
