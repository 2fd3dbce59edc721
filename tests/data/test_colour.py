from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from ordhash.data.colour import MAX_PROFILE_BYTES, colour_profile, converter, matrix_profile
from ordhash.data.images import content_id, open_rgb

D65 = (0.3127, 0.329)
SRGB = (*D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3 = (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
PROPHOTO = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
DISPLAY_P3 = matrix_profile(P3, 0)
SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Display P3's red, green and blue of sRGB's, as every colour calculator gives them, and a grey.
IN_P3 = np.array([[(234, 51, 35), (117, 251, 76), (0, 0, 245), (119, 119, 119)]], np.uint8)
IN_SRGB = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (119, 119, 119)]], np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(source: Any) -> np.ndarray:
    return np.asarray(open_rgb(source)).astype(int)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(content: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG file with one more chunk behind its header."""
    return content[:33] + chunk(kind, body) + content[33:]


def near(got: np.ndarray, wanted: np.ndarray, by: int = 3) -> None:
    np.testing.assert_allclose(got, wanted.astype(int), atol=by)


# --- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("AVIF", {"quality": 100})]
)
def test_display_p3_becomes_srgb(kind: str, options: dict[str, Any]) -> None:
    image = Image.fromarray(IN_P3.repeat(16, 0).repeat(16, 1))
    got = pixels(encoded(image, kind, icc_profile=DISPLAY_P3, **options))
    near(got[8, 8::16], IN_SRGB[0], 6 if kind == "AVIF" else 3)


def test_a_jpeg_with_a_profile_in_several_segments() -> None:
    image = Image.fromarray(IN_P3.repeat(16, 0).repeat(16, 1))
    padded = DISPLAY_P3 + bytes(200_000)
    padded = struct.pack(">I", len(padded)) + padded[4:]
    got = pixels(encoded(image, "JPEG", quality=100, subsampling=0, icc_profile=padded))
    near(got[8, 8::16], IN_SRGB[0], 6)


def test_transparent_and_palette_pixels_are_converted_before_they_are_laid_on_white() -> None:
    image = Image.fromarray(IN_P3)
    rgba = image.convert("RGBA")
    rgba.putalpha(Image.fromarray(np.array([[255, 255, 255, 0]], np.uint8)))
    near(pixels(encoded(rgba, "PNG", icc_profile=DISPLAY_P3)), np.vstack([IN_SRGB[0, :3], [(255, 255, 255)]])[None])
    palette = image.quantize(4)
    near(pixels(encoded(palette, "PNG", icc_profile=DISPLAY_P3)), IN_SRGB)


def test_a_large_image_is_converted_in_strips_to_the_same_pixels() -> None:
    values = np.random.default_rng(0).integers(0, 256, (1100, 1000, 3), dtype=np.uint8)
    whole = open_rgb(encoded(Image.fromarray(values), "TIFF", icc_profile=DISPLAY_P3))
    part = open_rgb(encoded(Image.fromarray(values[1000:]), "TIFF", icc_profile=DISPLAY_P3))
    np.testing.assert_array_equal(np.asarray(whole)[1000:], np.asarray(part))


def test_srgb_is_left_as_it_is() -> None:
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for profile in (SRGB_PROFILE, matrix_profile(SRGB, 0)):
        assert converter(profile, "RGB") is None
        np.testing.assert_array_equal(pixels(encoded(Image.fromarray(values), "PNG", icc_profile=profile)), values)


def test_grey_profile() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    got = pixels(encoded(Image.fromarray(ramp), "PNG", icc_profile=matrix_profile(SRGB, 1.0, grey=True)))
    light = ramp[..., None].repeat(3, 2) / 255
    near(got, 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055), 10)
    alpha = Image.merge("LA", [Image.new("L", (2, 1), 128), Image.fromarray(np.array([[255, 0]], np.uint8))])
    assert pixels(encoded(alpha, "PNG", icc_profile=matrix_profile(SRGB, 1.0, grey=True)))[0, :, 0].tolist() == [
        188,
        255,
    ]


def ink_profile() -> bytes:
    """A press whose cyan is red and magenta green, so that the profile and nothing else explains the result."""
    lab = {"red": (138, 208, 195), "green": (224, 42, 211), "white": (255, 128, 128), "black": (0, 128, 128)}
    nodes = []
    for ink in np.ndindex(2, 2, 2, 2):
        name = {(0, 0, 0, 0): "white", (1, 0, 0, 0): "red", (0, 1, 0, 0): "green"}.get(ink, "black")
        nodes.append(bytes(lab[name]))
    straight = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (row == column)) for row in range(3) for column in range(3))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + straight * 4 + b"".join(nodes) + straight * 3
    tags = [(b"wtpt", matrix_profile(SRGB, 1.0)[240:260]), (b"A2B0", table), (b"A2B1", table)]
    body, entries = b"", b""
    for name, value in tags:
        entries += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(value))
        body += value
    size = 132 + len(entries) + len(body)
    header = struct.pack(">I 4x I 4s4s4s 12x 4s 28x", size, 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    return header + matrix_profile(SRGB, 1.0)[68:80] + bytes(48) + struct.pack(">I", len(tags)) + entries + body


def test_profile_of_a_press() -> None:
    inks = np.array([[(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 0, 255)]], np.uint8)
    image = Image.fromarray(inks.repeat(16, 0).repeat(16, 1), "CMYK")
    for kind in ("TIFF", "JPEG"):
        got = pixels(encoded(image, kind, icc_profile=ink_profile()))[8, 8::16]
        near(got, np.array([(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 0)]), 20)
    plain = pixels(encoded(image, "TIFF"))[8, 8::16]
    assert plain.tolist() == [[255, 255, 255], [0, 255, 255], [255, 0, 255], [0, 0, 0]]


def test_lab() -> None:
    image = Image.fromarray(IN_SRGB)
    lab = ImageCms.applyTransform(
        image, ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    )
    near(pixels(encoded(lab, "TIFF")), IN_SRGB, 25)
    near(pixels(lab), IN_SRGB, 25)


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile at all",
        DISPLAY_P3[:200],
        DISPLAY_P3[:128] + b"\xff" * 200,
        DISPLAY_P3 + bytes(MAX_PROFILE_BYTES),
        matrix_profile(SRGB, 1.0, grey=True),
        ink_profile(),
    ],
    ids=["text", "cut", "damaged", "huge", "of grey pixels", "of a press"],
)
def test_a_profile_that_cannot_be_used_is_ignored(profile: bytes) -> None:
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(IN_P3), "TIFF", icc_profile=profile)), IN_P3)


def test_grey_pixels_with_a_profile_of_colours_stay() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    got = pixels(encoded(Image.fromarray(ramp), "TIFF", icc_profile=matrix_profile(PROPHOTO, 1.8)))
    np.testing.assert_array_equal(got[..., 0], ramp)


def test_threads_share_a_conversion() -> None:
    values = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(values), "TIFF", icc_profile=matrix_profile(PROPHOTO, 1.8))
    wanted = pixels(content)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(pixels, [content] * 16):
            np.testing.assert_array_equal(got, wanted)


# --- what else says so ---------------------------------------------------------------------------------------------


def test_code_points() -> None:
    content = encoded(Image.fromarray(IN_P3), "PNG", icc_profile=SRGB_PROFILE)
    near(pixels(with_chunk(content, b"cICP", bytes([12, 13, 0, 1]))), IN_SRGB)
    for points in ([1, 13, 0, 1], [200, 13, 0, 1], [12, 16, 0, 1], [12, 13]):  # sRGB, unknown, HDR, too short
        np.testing.assert_array_equal(pixels(with_chunk(content, b"cICP", bytes(points))), IN_P3)
    box = b"\0\0\0\x13colrnclx" + struct.pack(">HHHB", 12, 13, 6, 0x80)
    near_p3 = colour_profile(Image.new("RGB", (1, 1)), b"\0\0\0\x20ftypavif" + bytes(40) + box)
    assert near_p3 == DISPLAY_P3
    assert colour_profile(Image.new("RGB", (1, 1)), b"\0\0\0\x20ftypavif" + bytes(40) + box[:-6]) is None


def test_a_profile_wins_over_code_points_of_avif() -> None:
    content = bytearray(encoded(Image.fromarray(IN_P3.repeat(16, 0).repeat(16, 1)), "AVIF", icc_profile=DISPLAY_P3))
    at = content.find(b"colrnclx") + 8
    content[at : at + 4] = struct.pack(">HH", 1, 13)  # sRGB
    with Image.open(io.BytesIO(content)) as image:
        assert colour_profile(image, bytes(content)) == image.info["icc_profile"]


def test_profile_of_jpeg_2000() -> None:
    image = Image.fromarray(IN_P3.repeat(16, 0).repeat(16, 1))
    content = encoded(image, "JPEG2000")
    at = content.index(b"colr") - 4
    (length,) = struct.unpack_from(">I", content, at)
    box = struct.pack(">I", 11 + len(DISPLAY_P3)) + b"colr\2\0\0" + DISPLAY_P3
    grown = len(box) - length
    jp2h = content.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", content, jp2h)
    changed = content[:jp2h] + struct.pack(">I", size + grown) + content[jp2h + 4 : at] + box + content[at + length :]
    near(pixels(changed)[8, 8::16], IN_SRGB[0], 6)


def test_gamma_and_chromaticities_of_png() -> None:
    content = encoded(Image.fromarray(np.full((1, 1, 3), 128, np.uint8)), "PNG")
    linear = struct.pack(">I", 100_000)
    assert pixels(with_chunk(content, b"gAMA", linear))[0, 0, 0] == 188
    grey = encoded(Image.new("L", (1, 1), 128), "PNG")
    assert pixels(with_chunk(grey, b"gAMA", linear))[0, 0].tolist() == [188, 188, 188]
    # A file that says sRGB, or nearly its gamma, or nonsense, stays.
    assert pixels(with_chunk(with_chunk(content, b"gAMA", linear), b"sRGB", b"\0"))[0, 0, 0] == 128
    for stored in (45455, 45000, 0, 1, 4_000_000_000):
        assert pixels(with_chunk(content, b"gAMA", struct.pack(">I", stored)))[0, 0, 0] == 128
    places = struct.pack(">8I", *(round(place * 100_000) for place in P3))
    near(pixels(with_chunk(encoded(Image.fromarray(IN_P3), "PNG"), b"cHRM", places)), IN_SRGB)
    for nonsense in (bytes(32), struct.pack(">8I", *[31270] * 8), b"\xff" * 32):
        np.testing.assert_array_equal(
            pixels(with_chunk(encoded(Image.fromarray(IN_P3), "PNG"), b"cHRM", nonsense)), IN_P3
        )


def camera(space: int, index: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: space, 0xA005: {1: index}}
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_exif_of_a_camera_set_to_adobe_rgb(kind: str) -> None:
    image = Image.new("RGB", (16, 16), (219, 0, 0))
    options: dict[str, Any] = {"quality": 95} if kind != "PNG" else {}
    marked = pixels(encoded(image, kind, exif=camera(0xFFFF, "R03"), **options))[8, 8]
    near(marked, np.array([255, 0, 0]), 4)
    for exif in (camera(1, "R98"), camera(0xFFFF, "R98"), camera(1, "R03")):
        near(pixels(encoded(image, kind, exif=exif, **options))[8, 8], np.array([219, 0, 0]), 4)
    near(pixels(encoded(image, kind, exif=camera(2, "R98"), **options))[8, 8], np.array([255, 0, 0]), 4)
    profiled = encoded(image, kind, exif=camera(0xFFFF, "R03"), icc_profile=SRGB_PROFILE, **options)
    near(pixels(profiled)[8, 8], np.array([219, 0, 0]), 4)


def test_the_id_of_an_open_image_follows_its_colour_space() -> None:
    with Image.open(io.BytesIO(encoded(Image.fromarray(IN_P3), "PNG", icc_profile=DISPLAY_P3))) as opened:
        near(pixels(opened), IN_SRGB)
        assert content_id(opened) != content_id(Image.fromarray(IN_P3))
        assert open_rgb(opened).info == {}


def test_an_impossible_colour_space() -> None:
    for places in ((0.3, 0.0, *SRGB[2:]), [0.3] * 8, [float("nan")] * 8):
        with pytest.raises(ValueError, match="must"):
            matrix_profile(places, 1.0)
