"""Files that Pillow refuses although nearly all of the picture is there: cut at the end, or damaged beside it.

Pillow could show them with ``LOAD_TRUNCATED_IMAGES``, but that is a switch of the whole process, and it shows half a
picture on grey without a word. The rule here: at least nine tenths of the rows must be there, and only these are used.
To know which rows those are, without knowledge of the format, the file is decoded twice, each time with other bytes in
place of what is missing: rows that come out the same are made of the file alone.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

__all__ = ["mended"]

_SHARE = 0.9  # of the rows
_STRIP = 1 << 20  # pixels compared at once
_EOI = b"\xff\xd9"
_SCAN = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf"})


def mended(
    file: BinaryIO, kind: str, open_image: Callable[[BinaryIO], Image.Image]
) -> tuple[Image.Image, Image.Image] | None:
    """What can be shown of a file that did not decode.

    Args:
        file: The file, at any position.
        kind: Its format.
        open_image: Reads the header of such a file.

    Returns:
        The image as it was opened, with its metadata, and its complete rows; None if less than nine tenths are there.
    """
    file.seek(0)
    content = file.read()
    if kind == "PNG":
        content = _without_damage(content)
    elif kind == "JPEG":
        state = _scans_of(content)
        if state is None:
            return None
        content = content.rstrip(b"\xff")
        if state == "refining":
            image = _twin(open_image, content + _EOI, 0)
            return None if image is None else (image, image)
    missing = len(content) // 8 + (1 << 16)
    if kind == "WEBP":
        missing = min(max(struct.unpack_from("<I", content, 4)[0] + 8 - len(content), 0), missing)
    first, second = bytes(missing), b"\x55\xa9\x36\x9a" * (missing // 4) + b"\x55" * (missing % 4)
    end = b""
    if kind == "JPEG":
        first, end = b"", _EOI
    elif kind == "PNG":
        first = second = b""
    one = _twin(open_image, content + first + end, 0)
    other = _twin(open_image, content + second + end, 255)
    if one is None or other is None or one.size != other.size:
        return None
    top, bottom = _same_rows(one, other)
    width, height = one.size
    if bottom - top < _SHARE * height:
        return None
    return one, one if bottom - top == height else one.crop((0, top, width, bottom))


def _twin(open_image: Callable[[BinaryIO], Image.Image], content: bytes, fill: int) -> Image.Image | None:
    """A file decoded onto pixels of one value, as far as it goes."""
    try:
        image = open_image(io.BytesIO(content))
        bands = len(image.getbands())
        image.im = Image.new(image.mode, image.size, fill if bands == 1 else (fill,) * bands).im
    except (Warning, MemoryError):
        raise
    except Exception:  # Pillow does not document what a decoder may raise; the first error is the one that is told
        return None
    try:
        image.load()
    except (Warning, MemoryError):
        raise
    except Exception:  # as before; what was decoded until here stays
        if hasattr(image, "tile"):
            image.tile = []
    return image


def _same_rows(one: Image.Image, other: Image.Image) -> tuple[int, int]:
    """The first run of rows that are the same in both."""
    width, height = one.size
    rows = max(_STRIP // width, 1)
    same = []
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        equal = np.asarray(one.crop(box)) == np.asarray(other.crop(box))
        same.append(equal.reshape(len(equal), -1).all(axis=1))
    equal_rows = np.concatenate(same)
    if not equal_rows.any():
        return 0, 0
    first = int(equal_rows.argmax())
    rest = equal_rows[first:]
    return first, height if rest.all() else first + int(rest.argmin())


def _without_damage(content: bytes) -> bytes:
    """A PNG file of the chunks that matter, with right checksums; one that is damaged and not needed is left out."""
    parts, place = [content[:8]], 8
    while place + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        body = content[place + 8 : place + 8 + length]
        checksum = struct.pack(">I", zlib.crc32(name + body))
        needed = name[0:1].isupper()
        if name == b"iCCP" and _is_huge(body):
            pass
        elif name in _CHUNKS and (needed or content[place + 8 + length : place + 12 + length] == checksum):
            parts += [struct.pack(">I", len(body)), name, body, checksum]
        if name == b"IEND":
            break
        place += 12 + length
    parts += [bytes(4), b"IEND", struct.pack(">I", zlib.crc32(b"IEND"))]
    return b"".join(parts)


def _is_huge(profile: bytes) -> bool:
    """Whether Pillow refuses a compressed profile for its size."""
    start = profile.find(b"\0") + 2
    try:
        return len(zlib.decompressobj().decompress(profile[start:], PngImagePlugin.MAX_TEXT_CHUNK + 1)) > (
            PngImagePlugin.MAX_TEXT_CHUNK
        )
    except zlib.error:
        return True


def _scans_of(content: bytes) -> str | None:
    """Whether every coefficient of a JPEG file has come once: None if not, else what its last scan does."""
    seen: dict[int, int] = {}
    place, count, state = 2, 0, None
    while found := _SCAN.search(content, place):
        marker, place = found[0][-1], found.end()
        if marker == 0xD9:
            break
        if marker in (0x01, 0xD8):
            continue
        if place + 2 > len(content):
            break
        (length,) = struct.unpack_from(">H", content, place)
        body = content[place + 2 : place + length]
        if len(body) < length - 2:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) > 5:
            count = body[5]
        elif marker == 0xDA and body and len(body) >= 4 + 2 * body[0]:
            first, last, step = body[1 + 2 * body[0] : 4 + 2 * body[0]]
            state = "refining" if step >> 4 else "drawing"
            for component in body[1 : 1 + 2 * body[0] : 2]:
                seen[component] = seen.get(component, 0) | ((1 << last + 1) - (1 << first) if last < 64 else 0)
        place += length
    complete = len(seen) >= count > 0 and all(bits == (1 << 64) - 1 for bits in seen.values())
    return state if complete else None
