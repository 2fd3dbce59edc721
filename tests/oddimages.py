"""Odd images: what cameras, scanners, old software, broken disks and attackers write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from ordhash.data.colour import matrix_profile

SHOWN, REFUSED, EITHER = "shown", "refused", "either"

_P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
_SIDE = 96


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file of an image."""
    file = io.BytesIO()
    if "append_images" in options:
        options["append_images"] = [frame.copy() for frame in options["append_images"]]
    image.copy().save(file, kind, **options)  # a save leaves its settings in the image
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    """A PNG file of filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def tiff(entries: list[tuple[int, int, int, int]], rest: bytes = b"") -> bytes:
    """A TIFF file of tags: number, type, count, value."""
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4) + rest


def slow_jpeg(side: int, scans: int, scan: tuple[int, int, int] = (1, 63, 0)) -> bytes:
    """A grey JPEG file of which every scan goes through all blocks and needs no data."""
    out = b"\xff\xd8\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    out += b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, side, side, 1) + bytes([1, 0x11, 0])
    for table in (0x00, 0x10):
        out += b"\xff\xc4" + struct.pack(">HB", 20, table) + bytes([1] + [0] * 15) + bytes([0])
    blocks = (-(-side // 8)) ** 2
    out += b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 0, 0, 0]) + bytes(blocks // 8 + 1)
    return out + (b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, *scan])) * scans + b"\xff\xd9"


def photograph() -> Image.Image:
    """Something smooth with edges."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE]
    values = np.stack([2 * x, 255 - 2 * y, 127 + 100 * ((x // 16 + y // 16) % 2)], axis=-1)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def odd_images() -> Iterator[tuple[str, bytes, str]]:
    """Name, content and what should become of it."""
    yield from _modes()
    yield from _kinds()
    yield from _sizes()
    yield from _metadata()
    yield from _damage()
    yield from _attacks()


def _modes() -> Iterator[tuple[str, bytes, str]]:
    image = photograph()
    modes = {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"),
        "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F", "PA"),
        "JPEG": ("1", "L", "RGB", "CMYK", "YCbCr"),
        "WEBP": ("L", "RGB", "RGBA", "P"),
        "GIF": ("1", "L", "P", "RGB", "RGBA"),
        "BMP": ("1", "L", "P", "RGB", "RGBA"),
        "PPM": ("1", "L", "RGB", "I", "I;16"),
        "AVIF": ("RGB", "RGBA"),
        "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
    }
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    for kind, names in modes.items():
        for mode in names:
            if mode == "I;16":
                made = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
            elif mode == "LAB":
                made = ImageCms.applyTransform(image, to_lab)  # type: ignore[assignment]  # not in place
            elif mode == "PA":
                made = image.convert("P").convert("PA")
            elif mode == "I":
                made = image.convert("L").convert("I")
            else:
                made = image.convert(mode)
            try:
                content = encoded(made, kind)
            except (OSError, ValueError):
                continue  # this Pillow does not write it
            yield f"{kind} of mode {mode}", content, SHOWN


def _kinds() -> Iterator[tuple[str, bytes, str]]:
    image = photograph()
    grey = image.convert("L")
    frames = [image.rotate(angle) for angle in (90, 180, 270)]
    for quality in (1, 100):
        yield f"JPEG of quality {quality}", encoded(image, "JPEG", quality=quality), SHOWN
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield f"JPEG {subsampling}", encoded(image, "JPEG", subsampling=subsampling), SHOWN
    yield "progressive JPEG", encoded(image, "JPEG", progressive=True), SHOWN
    yield "progressive CMYK JPEG", encoded(image.convert("CMYK"), "JPEG", progressive=True), SHOWN
    yield "JPEG with restarts", encoded(image, "JPEG", restart_marker_blocks=1), SHOWN
    yield "several pictures in a JPEG", encoded(image, "MPO", save_all=True, append_images=frames), SHOWN
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", "tiff_deflate", "lzma", "zstd", "webp"):
        try:
            yield f"TIFF by {compression}", encoded(image, "TIFF", compression=compression), SHOWN
        except (OSError, ValueError):
            continue  # this Pillow does not write it
    for compression in ("group3", "group4", "tiff_ccitt"):
        yield f"TIFF by {compression}", encoded(image.convert("1"), "TIFF", compression=compression), SHOWN
    yield "big TIFF", encoded(image, "TIFF", big_tiff=True), SHOWN
    yield "TIFF of pages", encoded(image, "TIFF", save_all=True, append_images=frames), SHOWN
    ramp = np.arange(4096).reshape(64, 64)
    for dtype, top in (
        ("u2", 4095),
        ("u2", 255),
        ("i4", 255),
        ("i4", 65535),
        ("i4", 2**31 - 1),
        ("f4", 1),
        ("f4", 1e30),
    ):
        values = (ramp / 4095 * top).astype(dtype)
        yield f"TIFF of {dtype} up to {top:g}", encoded(Image.fromarray(values), "TIFF"), SHOWN
    yield "TIFF with NaN", encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"), REFUSED
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        yield f"animated {kind}", encoded(image, kind, save_all=True, append_images=frames), SHOWN
    yield "GIF, interlaced", encoded(image, "GIF", interlace=1), SHOWN
    yield "GIF with a transparent colour", encoded(image.quantize(32), "GIF", transparency=3), SHOWN
    yield "PNG with a transparent colour", encoded(image, "PNG", transparency=(0, 255, 227)), SHOWN
    yield "PNG palette with alpha", encoded(image.quantize(8), "PNG", transparency=bytes(range(0, 256, 32))), SHOWN
    yield "PNG of 1 bit", png(9, 2, b"\0\xaa\x80" * 2, 1, 0), SHOWN
    yield "PNG of 2 bits", png(8, 2, b"\0\x1b\xe4" * 2, 2, 0), SHOWN
    yield "PNG of 16-bit RGBA", png(2, 2, (b"\0" + bytes(range(16))) * 2, 16, 6), SHOWN
    yield "PNG interlaced", png(1, 1, b"\0abc", interlaced=1), SHOWN
    for kind in (b"P1", b"P2", b"P3"):
        values = b" ".join(b"1" for _ in range(16 * (3 if kind == b"P3" else 1)))
        yield (
            f"{kind.decode()} in digits",
            kind + b"\n# made by hand\n4 4\n" + (b"" if kind == b"P1" else b"1\n") + values,
            SHOWN,
        )
    yield "PPM of 16 bits", b"P6 2 2 65535\n" + bytes(range(24)), SHOWN
    yield "PFM", b"Pf\n2 2\n-1.0\n" + struct.pack("<4f", 0, 1, 2, 3), SHOWN
    yield "WebP without loss", encoded(image, "WEBP", lossless=True), SHOWN
    yield "JPEG 2000 without box", encoded(image, "JPEG2000", no_jp2=True), SHOWN
    yield "JPEG 2000 with loss", encoded(image, "JPEG2000", quality_layers=[40, 20, 10], irreversible=True), SHOWN
    yield "JPEG 2000 in tiles", encoded(image, "JPEG2000", tile_size=(32, 32)), SHOWN
    yield (
        "BMP, old header",
        b"BM" + struct.pack("<IHHI", 34, 0, 0, 26) + struct.pack("<IHHHH", 12, 1, 1, 1, 24) + b"abcd\0\0\0\0",
        SHOWN,
    )
    yield "LA with profile", encoded(grey.convert("LA"), "PNG", icc_profile=matrix_profile(_P3, 1.8, grey=True)), SHOWN


def _sizes() -> Iterator[tuple[str, bytes, str]]:
    for width, height in ((1, 1), (1, 2), (7, 1), (1, 5000), (5000, 1)):
        for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
            yield f"{kind} of {width} x {height}", encoded(Image.new("RGB", (width, height), "teal"), kind), SHOWN
    yield "JPEG of 1 x 65500", encoded(Image.new("RGB", (1, 65_500), "teal"), "JPEG"), SHOWN
    yield "PNG of 65500 x 1", encoded(Image.new("L", (65_500, 1), 77), "PNG"), SHOWN
    yield "PNG of 0 x 0", png(0, 0, b""), REFUSED


def _metadata() -> Iterator[tuple[str, bytes, str]]:
    image = photograph()
    for orientation in range(0, 10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"orientation {orientation}", encoded(image, "JPEG", exif=exif), SHOWN
    whole, jpeg = encoded(image, "PNG"), encoded(image, "JPEG")
    for name, profile in (
        ("of Display P3", matrix_profile(_P3, 0)),
        ("that is text", b"no profile"),
        ("of 3 MB", matrix_profile(_P3, 0) + bytes(3 << 20)),
        ("of zeros", bytes(1000)),
    ):
        yield f"profile {name}", encoded(image, "TIFF", icc_profile=profile), SHOWN
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000)))
    yield "PNG with 90 MB of text", whole[:33] + text * 100 + whole[33:], SHOWN
    yield "PNG with a chunk of 2 MB", whole[:33] + chunk(b"prVt", bytes(2 << 20)) + whole[33:], SHOWN
    yield "PNG with a wrong checksum", whole[:33] + chunk(b"tEXt", b"a\0b")[:-1] + b"\0" + whole[33:], SHOWN
    yield "PNG with a wrong checksum of its header", whole[:29] + b"abcd" + whole[33:], SHOWN
    yield "JPEG with 4 MB of segments", jpeg[:2] + (b"\xff\xed\xff\xff" + bytes(65_533)) * 64 + jpeg[2:], SHOWN
    yield "JPEG with a comment", encoded(image, "JPEG", comment=b"\xff" * 1000), SHOWN
    for name, block in (
        ("cut", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"),
        ("far", b"Exif\0\0MM\0*\xff\xff\xff\xff"),
        ("text", b"x" * 99),
    ):
        yield f"JPEG with Exif that is {name}", encoded(image, "JPEG", exif=block), SHOWN
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        yield f"{kind} and a kilobyte behind it", encoded(image, kind) + b"\0garbage!" * 114, SHOWN


def _damage() -> Iterator[tuple[str, bytes, str]]:
    image = photograph()
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000"):
        whole = encoded(image, kind)
        yield f"{kind} without its last byte", whole[:-1], EITHER if kind in ("AVIF", "JPEG2000", "WEBP") else SHOWN
        yield f"{kind} cut in its middle", whole[: len(whole) // 2], EITHER if kind == "JPEG2000" else REFUSED
        yield f"{kind} of 20 bytes", whole[:20], REFUSED
        zeros = bytearray(whole)
        zeros[len(zeros) // 2 : len(zeros) // 2 + 64] = bytes(64)
        yield f"{kind} with zeros in its middle", bytes(zeros), EITHER
    yield "JPEG without its last two bytes", encoded(image, "JPEG")[:-2], SHOWN
    yield "progressive JPEG without its last two bytes", encoded(image, "JPEG", progressive=True)[:-2], SHOWN
    for name, content in (
        ("nothing", b""),
        ("text", b"hello"),
        ("zeros", bytes(5000)),
        ("HTML", b"<html>not found"),
        ("PDF", b"%PDF-1.4 "),
    ):
        yield f"{name} instead of an image", content, REFUSED


def _attacks() -> Iterator[tuple[str, bytes, str]]:
    image = photograph()
    jpeg, whole, gif = encoded(image, "JPEG"), encoded(image, "PNG"), encoded(image, "GIF")
    yield "JPEG of 20,000 scans", slow_jpeg(9990, 20_000), REFUSED
    yield "JPEG of 400 scans", slow_jpeg(9990, 400), REFUSED
    yield "JPEG of 60 scans that refine", slow_jpeg(9990, 60, (1, 63, 0x10)), REFUSED
    yield "JPEG of 100 scans, small", slow_jpeg(300, 100), SHOWN
    yield "JPEG of 300,000 comments", jpeg[:2] + b"\xff\xfe\0\2" * 300_000 + jpeg[2:], REFUSED
    yield "JPEG of fill bytes", jpeg[:2] + b"\xff" * 3_000_000 + jpeg[3:], REFUSED
    yield "PNG of 30,000 x 30,000", png(30_000, 30_000, bytes(100)), REFUSED
    yield "PNG of 13,000 x 13,000 in nothing", png(13_000, 13_000, bytes(1_000_000)), REFUSED
    yield "PNG of 2,147,483,647 x 1", png(2**31 - 1, 1, bytes(100)), REFUSED
    yield "PNG of 200,000 chunks", whole[:33] + chunk(b"prVt", b"") * 200_000 + whole[33:], REFUSED
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 20)))
    yield "PNG of 1,000 profiles", whole[:33] + profile * 1000 + whole[33:], REFUSED
    yield (
        "PNG with a profile of 20 MB",
        whole[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(20 << 20))) + whole[33:],
        SHOWN,
    )
    yield "GIF of 65,535 x 65,535", gif[:6] + b"\xff\xff\xff\xff" + gif[10:], REFUSED
    start = gif.index(b"\x2c", 13 + 768)
    yield (
        "GIF with 4 MB before its picture",
        gif[:start] + b"\x21\xfe" + b"\1a" * 2_000_000 + b"\0" + gif[start:],
        REFUSED,
    )
    usual = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 4000), (279, 4, 1, 64)]
    rest = bytes(1 << 20)
    yield "TIFF of eight tags", tiff(usual, rest), SHOWN
    yield (
        "TIFF whose tags share a megabyte",
        tiff(usual + [(40_000 + i, 7, 1 << 20, 8) for i in range(900)], rest),
        REFUSED,
    )
    yield "TIFF of 60,000 tags", tiff(usual + [(1000 + i, 3, 1, 8) for i in range(60_000)], rest), REFUSED
    yield "TIFF of 250,000 strips", tiff([*usual[:4], (273, 4, 250_000, 8), (279, 4, 250_000, 8)], rest), REFUSED
    yield "TIFF whose directory is its header", b"II*\0\0\0\0\0" + bytes(100), REFUSED
    yield "TIFF that follows itself", tiff(usual, rest)[:-1] + b"\0", SHOWN
    yield "TIFF of 60,000 x 60,000", tiff([(256, 4, 1, 60_000), (257, 4, 1, 60_000), *usual[2:]], rest), REFUSED
    yield (
        "WebP of 16,383 x 16,383",
        encoded(image, "WEBP", lossless=True).replace(
            struct.pack("<I", (_SIDE - 1) | (_SIDE - 1) << 14)[:3], b"\xff\xff\xff", 1
        ),
        REFUSED,
    )
    yield "PPM of 5,000 x 5,000 in digits", b"P3 5000 5000 255\n" + b"0 " * 100_000, REFUSED
    yield "PPM of 100,000 comments", b"P6\n" + b"# no\n" * 100_000 + b"2 1 255\n" + bytes(6), REFUSED
    yield "PPM of 10^10 pixels", b"P6 100000 100000 255\n" + bytes(100), REFUSED
    layers = encoded(image.resize((512, 512)), "JPEG2000", no_jp2=True)
    at = layers.index(b"\xff\x52")
    yield "JPEG 2000 of 65,535 layers", layers[: at + 6] + b"\xff\xff" + layers[at + 8 :], REFUSED
    exif = tiff([(0x0112, 3, 1, 6)] + [(40_000 + i, 7, 50_000, 8) for i in range(900)], bytes(40_000))
    yield "Exif whose tags share bytes", encoded(image, "JPEG", exif=b"Exif\0\0" + exif), EITHER
    yield (
        "BMP of 50,000 x 50,000",
        b"BM"
        + struct.pack("<IHHI", 99, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0),
        REFUSED,
    )


def large_images() -> Iterator[tuple[str, bytes, str]]:
    """Images of many pixels that compress to nothing."""
    for mode in ("1", "L", "P", "RGB", "RGBA", "I;16"):
        yield f"PNG of 64 megapixels, {mode}", encoded(Image.new(mode, (8000, 8000)), "PNG"), EITHER
    for mode in ("RGB", "F", "I", "CMYK", "RGBA", "LAB"):
        yield (
            f"TIFF of 64 megapixels, {mode}",
            encoded(Image.new(mode, (8000, 8000)), "TIFF", compression="tiff_deflate"),
            EITHER,
        )
    for kind in ("JPEG", "GIF", "WEBP", "AVIF", "JPEG2000"):
        yield f"{kind} of 36 megapixels", encoded(Image.new("RGB", (6000, 6000), "teal"), kind), EITHER
    yield "progressive JPEG of 64 megapixels", encoded(Image.new("RGB", (8000, 8000)), "JPEG", progressive=True), EITHER
    yield "PNG of 99 megapixels, RGB", png(9990, 9990, bytes(9990 * (3 * 9990 + 1))), REFUSED
