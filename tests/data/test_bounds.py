from __future__ import annotations

import io
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ordhash.data.bounds import tags_are_sane
from ordhash.data.images import open_rgb
from ordhash.errors import ImageError

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def encoded(kind: str, image: Image.Image = NOISE, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def slow_jpeg(side: int, scans: int, *, frame: int = 0xC2, scan: tuple[int, int, int] = (1, 63, 0)) -> bytes:
    """A grey JPEG file of which every scan goes through all blocks and needs no data."""
    out = b"\xff\xd8\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    out += bytes([0xFF, frame]) + struct.pack(">HBHHB", 11, 8, side, side, 1) + bytes([1, 0x11, 0])
    for table in (0x00, 0x10):
        out += b"\xff\xc4" + struct.pack(">HB", 20, table) + bytes([1] + [0] * 15) + bytes([0])
    blocks = (-(-side // 8)) ** 2
    out += b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 0, 0, 0]) + bytes(blocks // 8 + 1)
    return out + (b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, *scan])) * scans + b"\xff\xd9"


def refused(content: bytes, reason: str) -> None:
    started = time.process_time()
    with pytest.raises(ImageError, match=reason):
        open_rgb(content)
    assert time.process_time() - started < 1


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    refused(slow_jpeg(9000, 5000), "more scans than any photograph")
    refused(slow_jpeg(64, 501), "more scans")
    refused(slow_jpeg(9000, 40, scan=(1, 63, 0x10)), "more scans")  # each refines, at 16 times the work
    refused(slow_jpeg(9000, 5000)[:-2] + b"\0" * 1000, "more scans")
    preview = b"\xff\xe1" + struct.pack(">H", 60_002) + slow_jpeg(64, 4000).ljust(60_000, b"\0")
    assert open_rgb(encoded("JPEG")[:2] + preview + encoded("JPEG")[2:]).size == (64, 48)  # not of the picture
    assert open_rgb(slow_jpeg(64, 100)).size == (64, 64)
    assert open_rgb(encoded("JPEG", progressive=True)).size == (64, 48)


def test_a_jpeg_of_many_segments() -> None:
    whole = encoded("JPEG")
    comment = b"\xff\xfe\0\4ab"
    assert open_rgb(whole[:2] + comment * 500 + whole[2:]).size == (64, 48)
    refused(whole[:2] + comment * 500_000 + whole[2:], "segments")
    refused(whole[:2] + b"\xff" * 5_000_000 + whole[3:], "no meaning")
    exif = b"\xff\xe1" + struct.pack(">H", 60_008) + b"Exif\0\0" + bytes(60_000)
    refused(whole[:2] + exif * 100 + whole[2:], "blocks of Exif")


def test_a_png_of_many_chunks() -> None:
    whole = encoded("PNG")
    refused(whole[:33] + chunk(b"prVt", b"") * 200_000 + whole[33:], "chunks")
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 20)))
    refused(whole[:33] + profile * 2000 + whole[33:], "several colour profiles")
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20)))
    started = time.process_time()
    assert open_rgb(whole[:33] + text * 200 + whole[33:]).size == (64, 48)
    assert time.process_time() - started < 1


def test_a_gif_with_much_before_its_picture() -> None:
    whole = encoded("GIF")
    start = whole.index(b"\x2c", 13 + 768)
    comment = b"\x21\xfe" + (b"\xff" + b"a" * 255) * 100 + b"\0"
    assert open_rgb(whole[:start] + comment + whole[start:]).size == (64, 48)
    refused(whole[:start] + b"\x21\xfe" + b"\1a" * 4_000_000 + b"\0" + whole[start:], "before its picture")


def tiff(entries: list[tuple[int, int, int, int]], rest: bytes = b"") -> bytes:
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4) + rest


USUAL = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 4000), (279, 4, 1, 64)]


def test_a_tiff_whose_tags_share_bytes() -> None:
    rest = bytes(1 << 20)
    assert open_rgb(tiff(USUAL, rest)).size == (8, 8)
    refused(tiff(USUAL + [(tag, 7, 1 << 20, 8) for tag in range(40_000, 40_500)], rest), "tags claim")
    refused(tiff(USUAL + [(tag, 1, 1, 8) for tag in range(1000, 9000)], rest), "8,006 tags")
    strips = [*USUAL[:4], (273, 4, 200_000, 8), (279, 4, 200_000, 8)]
    refused(tiff(strips, rest), "200,000 strips")
    big = encoded("TIFF", big_tiff=True)
    assert open_rgb(big).size == (64, 48)


def test_exif_whose_tags_share_bytes() -> None:
    block = tiff([(0x0112, 3, 1, 6)] + [(tag, 7, 50_000, 8) for tag in range(40_000, 40_900)], bytes(40_000))
    assert not tags_are_sane(b"Exif\0\0" + block)
    assert not tags_are_sane(bytes(2 << 20))
    assert tags_are_sane(tiff([(0x0112, 3, 1, 6)]))
    refused(encoded("JPEG", exif=b"Exif\0\0" + block), "Exif")
    for kind in ("PNG", "WEBP"):
        assert open_rgb(encoded(kind, exif=b"Exif\0\0" + block)).size == (64, 48)  # ignored
    assert open_rgb(encoded("JPEG", exif=b"Exif\0\0" + tiff([(0x0112, 3, 1, 6)]))).size == (48, 64)


def test_a_pixmap_in_digits() -> None:
    assert open_rgb(b"P3\n2 1 255\n255 0 0 0 0 255\n").size == (2, 1)
    refused(b"P3\n# a comment\n3000 3000 255\n" + b"0 " * 1000, "in digits")
    refused(b"P6\n" + b"#\n" * 100_000 + b"2 1 255\n" + bytes(6), "comments")


def test_jpeg_2000_in_tiny_parts() -> None:
    whole = encoded("JPEG2000", NOISE.resize((512, 512)), no_jp2=True)
    assert open_rgb(whole).size == (512, 512)
    at = whole.index(b"\xff\x52")
    layers = whole[: at + 6] + struct.pack(">H", 65535) + whole[at + 8 :]
    refused(layers, "65,535 layers")
    wide = bytearray(whole)
    size = whole.index(b"\xff\x51")
    struct.pack_into(">IIIIIIII", wide, size + 6, 12_000, 12_000, 0, 0, 8, 8, 0, 0)
    refused(bytes(wide), "parts")


def test_a_tiny_file_that_claims_many_pixels() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 12_000, 12_000, 8, 6, 0, 0, 0))
    refused(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", bytes(50)), "more than any photograph")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 400, 400, 8, 6, 0, 0, 0))
    data = zlib.compress(bytes(400 * 1601))
    assert open_rgb(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")).size == (400, 400)
