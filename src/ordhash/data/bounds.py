"""Refuse images whose decoding would take time or memory out of all proportion to what they show.

A limit of pixels is not enough: a JPEG file of 12 kB can ask for the same pixels thousands of times, and a TIFF file of
1 MB can name the same megabyte as the value of 65,000 tags. Here only headers are read, which takes well below a
millisecond for usual files. The limits are several times above what real software writes.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from PIL import Image

from ordhash.errors import ImageError

__all__ = ["check_header", "check_memory", "tags_are_sane"]

_REMEDY = "convert it to a plain JPEG or PNG, or remove it"
_MAX_SCANS = 500
_MAX_BLOCK_VISITS = 400_000_000  # 6 ns each where a block is only looked at
_MAX_SEGMENTS = 2000
_MAX_EXIF_SEGMENTS = 16
_MAX_EXIF = 1 << 20
_MAX_CHUNKS = 10_000
_MAX_TAGS = 1000
_MAX_SHARED = 1 << 25  # bytes by which the values of tags may overlap, as in a damaged file
_MAX_STRIPS = 100_000
_MAX_EXTENSIONS = 1 << 20  # bytes before the picture of a GIF file
_MAX_PARTS = 2_000_000  # of the pixels of a JPEG 2000 file
_MAX_PLAIN_VALUES = 1_500_000  # of a portable pixmap that is written in digits
_LARGE = 256 << 20  # decoded bytes
_SPARSE = 50  # decoded pixels for a byte of the file: no photograph compresses so well

# Bytes that decoding needs for each pixel. WebP is decoded onto two canvases, copied twice; JPEG 2000 has 4 bytes for
# each value, twice.
_BYTES = {"WEBP": 16, "AVIF": 12, "JPEG2000": 20}
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}

_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of a value, if not 1
_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NUMBERS = re.compile(rb"P[123456fy]\S*(?:\s+|#[^\r\n]*[\r\n])+(\d+)(?:\s+|#[^\r\n]*[\r\n])+(\d+)")


def check_header(file: BinaryIO, kind: str, label: str) -> None:
    """Check a file before Pillow reads its header; where its content makes no sense is left to Pillow.

    Args:
        file: At any position, which is the same afterwards.
        kind: Its format.
        label: Its name in errors.

    Raises:
        ImageError: Decoding it would be too much work.
    """
    checks: dict[str, Callable[[BinaryIO], str | None]]
    checks = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif, "TIFF": _tiff, "JPEG2000": _jpeg2000, "PPM": _ppm}
    check = checks.get(kind)
    if check is None:
        return
    position = file.tell()
    file.seek(0)
    try:
        reason = check(file)
    except (struct.error, IndexError, ValueError):
        reason = None  # cut off or broken
    file.seek(position)
    if reason:
        raise ImageError(label, f"{reason}; {_REMEDY}")


def check_memory(image: Image.Image, file: BinaryIO, kind: str, label: str) -> None:
    """Check an image whose header is read.

    Args:
        image: Not yet decoded.
        file: Its file.
        kind: Its format.
        label: Its name in errors.

    Raises:
        ImageError: It would take much memory although its file is tiny.
    """
    width, height = image.size
    needed = _BYTES.get(kind) or _BYTES_OF_MODE.get(image.mode, 4)
    if kind == "JPEG" and image.info.get("progressive"):
        needed += 6
    if width * height * needed <= _LARGE:
        return
    size = file.seek(0, os.SEEK_END)
    if width * height > size * _SPARSE:
        raise ImageError(
            label,
            f"its file has {size:,} bytes and claims {width:,} x {height:,} pixels, more than any photograph; scale it "
            "down or remove it",
        )


def tags_are_sane(block: bytes) -> bool:
    """Whether an Exif block is of usual size; Pillow copies the value of every tag, and tags may share bytes.

    Args:
        block: Of a file, with or without its first six bytes ``Exif``.

    >>> tags_are_sane(b"")
    True
    """
    content = block.removeprefix(b"Exif\0\0")
    if len(content) > _MAX_EXIF:
        return False
    try:
        return _directory(io.BytesIO(content), len(content), len(content)) is None
    except (struct.error, IndexError, ValueError):
        return True


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _jpeg(file: BinaryIO) -> str | None:
    exif: list[bytes] = []
    place, frame = 2, b""
    for _ in range(_MAX_SEGMENTS):
        head = _at(file, place, 1 << 12)
        found = _MARKER.search(head)
        if found is None or found[0][-1] in (0x01, 0xD8, 0xD9):
            return "it has thousands of bytes of no meaning before its picture" if len(head) == 1 << 12 else None
        marker, start = found[0][-1], place + found.end()
        body = _at(file, start, 32)
        (length,) = struct.unpack_from(">H", body)
        if marker == 0xE1 and body[2:].startswith(b"Exif"):
            exif.append(_at(file, start + 8, length - 8))  # Pillow reads them as one
            if len(exif) > _MAX_EXIF_SEGMENTS:
                return f"it has more than {_MAX_EXIF_SEGMENTS} blocks of Exif"
        if marker in _FRAMES:
            frame = bytes([marker]) + _at(file, start, length)
        if marker == 0xDA:
            if exif and not tags_are_sane(b"".join(exif)):
                return "the tags of its Exif block claim far more bytes than it has"
            if frame and (frame[0] not in (0xC0, 0xC1, 0xC3, 0xC9) or body[2] != frame[8]):
                return _scans(_at(file, place, -1), frame)
            return None  # a single scan, in which every pixel comes once
        place = start + length
    return f"it has more than {_MAX_SEGMENTS:,} segments before its picture"


def _scans(content: bytes, frame: bytes) -> str | None:
    """Work of the scans of a JPEG file: how many blocks of 8 x 8 pixels they go through."""
    arithmetic = frame[0] >= 0xC9
    height, width, count = struct.unpack_from(">HHB", frame, 4)
    factors = {frame[9 + 3 * i]: (frame[10 + 3 * i] >> 4, frame[10 + 3 * i] & 15) for i in range(count)}
    most_x, most_y = (max(factor[axis] for factor in factors.values()) for axis in (0, 1))
    blocks = {
        name: -(-width * x // (8 * most_x)) * -(-(height or 0xFFFF) * y // (8 * most_y))
        for name, (x, y) in factors.items()
    }
    place, scans, visits = 0, 0, 0
    while found := _MARKER.search(content, place):
        marker = found[0][-1]
        if marker == 0xD9:
            break
        place = found.end()
        if marker in (0x01, 0xD8):
            continue
        if marker == 0xDA:
            scans += 1
            n = content[place + 2]
            first, last, step = content[place + 3 + 2 * n : place + 6 + 2 * n]
            # A scan that refines looks at every coefficient.
            weight = (last - first) // 4 + 1 if step >> 4 else 1
            visited = sum(blocks.get(content[place + 3 + 2 * i], 0) for i in range(n))
            visits += visited * weight * (8 if arithmetic else 1)
            if scans > _MAX_SCANS or visits > _MAX_BLOCK_VISITS:
                return "it asks for its pixels again and again, in more scans than any photograph has"
        (length,) = struct.unpack_from(">H", content, place)
        place += length
    return None


# --- PNG, GIF, PPM -------------------------------------------------------------------------------------------------


def _png(file: BinaryIO) -> str | None:
    size = file.seek(0, os.SEEK_END)
    place, chunks, profiles = 8, 0, 0
    while place + 12 <= size:
        length, name = struct.unpack(">I4s", _at(file, place, 8))
        chunks += 1
        profiles += name == b"iCCP"
        if name == b"IEND":
            return None
        # Writers put 8 KB and more into a chunk of pixels.
        if chunks > _MAX_CHUNKS + place // 1024 or profiles > 4:
            return f"it has {chunks:,} chunks" if profiles <= 4 else "it has several colour profiles"
        place += 12 + length
    return None


def _gif(file: BinaryIO) -> str | None:
    content = file.read(_MAX_EXTENSIONS + 4096)
    place = 13 + (3 << ((content[10] & 7) + 1) if content[10] & 0x80 else 0)
    while content[place] == 0x21:
        place += 2
        while content[place]:
            place += 1 + content[place]
            if place > _MAX_EXTENSIONS:
                return f"it has more than {_MAX_EXTENSIONS:,} bytes before its picture"
        place += 1
    return None


def _ppm(file: BinaryIO) -> str | None:
    head = file.read(1 << 12)
    found = _NUMBERS.match(head)
    if found is None:
        return "its header has comments of many lines" if len(head) == 1 << 12 and b"#" in head else None
    values = int(found[1]) * int(found[2]) * (3 if head[1:2] == b"3" else 1)
    if head[1:2] in b"123" and values > _MAX_PLAIN_VALUES:
        return f"it writes {values:,} values in digits, allowed are {_MAX_PLAIN_VALUES:,}"
    return None


# --- TIFF, JPEG 2000 -----------------------------------------------------------------------------------------------


def _tiff(file: BinaryIO) -> str | None:
    return _directory(file, file.seek(0, os.SEEK_END), _MAX_TAGS)


def _directory(file: BinaryIO, size: int, max_tags: int) -> str | None:
    """What is wrong with the first directory of tags, and with that of Exif."""
    order = "<" if _at(file, 0, 2) == b"II" else ">"
    big = struct.unpack(order + "H", _at(file, 2, 2))[0] == 43
    counts, entry, many = ("Q", "HHQQ", 8) if big else ("H", "HHII", 4)
    (place,) = struct.unpack(order + counts.replace("H", "I"), _at(file, 8 if big else 4, 8 if big else 4))
    places = [place]
    for place in places:
        (number,) = struct.unpack(order + counts, _at(file, place, struct.calcsize(counts)))
        if number > max_tags and place + number <= size:
            return f"it has {number:,} tags, allowed are {max_tags:,}"
        width, total = struct.calcsize(order + entry), 0
        table = _at(file, place + struct.calcsize(counts), number * width)
        for tag, kind, count, value in struct.iter_unpack(order + entry, table[: len(table) // width * width]):
            length = count * _SIZES.get(kind, 1)
            total += min(length, max(size - value, 0)) if length > many else 0
            if tag in (273, 279, 324, 325) and count > _MAX_STRIPS and length <= size:
                return f"it has {count:,} strips or tiles, allowed are {_MAX_STRIPS:,}"
            if tag == 0x8769 and len(places) == 1:
                places.append(value if order == "<" or kind != 3 else value >> 16)
        if total > size + _MAX_SHARED:
            return f"its tags claim {total:,} bytes, more than the file has"
    return None


def _jpeg2000(file: BinaryIO) -> str | None:
    content = file.read(1 << 20)
    place = content.find(b"\xff\x4f\xff\x51")
    if place < 0:
        return None
    place += 2
    width = height = tile_x = tile_y = components = 0
    while place + 4 <= len(content):
        marker, length = struct.unpack_from(">HH", content, place)
        body = content[place + 4 : place + 2 + length]
        if marker == 0xFF51:
            right, lower, left, top, tile_x, tile_y = struct.unpack_from(">6I", body, 2)
            (components,) = struct.unpack_from(">H", body, 34)
            width, height = right - left, lower - top
        elif marker in (0xFF52, 0xFF53):  # COD, COC
            if marker == 0xFF53:
                body = bytes([body[2 if components > 256 else 1]]) + bytes(4) + body[3 if components > 256 else 2 :]
            tiles = -(-width // tile_x) * -(-height // tile_y)
            (layers,) = struct.unpack_from(">H", body, 2)
            levels = body[5]
            sizes = body[10:] if body[0] & 1 else b"\xff" * (levels + 1)
            parts = tiles * components * (levels + 1)
            for level in range(levels + 1):
                scale = levels - level
                across = -(-width // (1 << scale + (sizes[level] & 15)))
                parts += components * across * -(-height // (1 << scale + (sizes[level] >> 4)))
            if parts * max(layers, 1) > _MAX_PARTS:
                return f"it cuts its picture into {parts:,} parts in {max(layers, 1):,} layers"
        elif marker == 0xFF90:
            return None
        place += 2 + length
    return None
