from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from ordhash.data.images import MAX_PIXELS, ImageSource, content_id, open_rgb, source_name
from ordhash.data.scaling import prepare
from ordhash.errors import ImageError, InputError, NoMemoryError


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(source: ImageSource) -> np.ndarray:
    image = open_rgb(source)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def noise(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def quarters() -> Image.Image:
    """Asymmetric picture, 48 x 32: red, green / blue, white quarters."""
    array = np.zeros((32, 48, 3), dtype=np.uint8)
    array[:16, :24] = (255, 0, 0)
    array[:16, 24:] = (0, 255, 0)
    array[16:, :24] = (0, 0, 255)
    array[16:, 24:] = (255, 255, 255)
    return Image.fromarray(array)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


WHOLE_JPEG = encoded(noise(), "JPEG")
WHOLE_PNG = encoded(noise(), "PNG")


# --- files that cannot be used -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", r"empty \(0 bytes\); replace or remove"),
        ("text", "not an image that Pillow can read .*; convert it to JPEG or PNG"),
        ("truncated", r"JPEG data are broken or cut short \(image file is truncated .*; replace it by a whole copy"),
        ("bomb", "claims 60,000 x 60,000 pixels, allowed are 178,956,970 in all; scale it down"),
    ],
)
def test_bad_file_is_refused_with_its_name_and_a_remedy(bad_files: dict[str, Path], kind: str, reason: str) -> None:
    path = bad_files[kind]
    with pytest.raises(ImageError, match=reason) as caught:
        open_rgb(path)
    assert caught.value.source == str(path)
    with pytest.raises(ImageError, match=reason) as caught:
        open_rgb(path.read_bytes(), name="image 17")
    assert str(caught.value).startswith("image 17: ")


def test_missing_file(tmp_path: Path) -> None:
    for work in (open_rgb, content_id):
        with pytest.raises(ImageError, match=r"nowhere\.jpg: .*no such file"):
            work(tmp_path / "nowhere.jpg")


def test_file_used_as_folder(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(WHOLE_JPEG)
    with pytest.raises(ImageError, match="no such file"):
        open_rgb(tmp_path / "cat.jpg" / "tail.jpg")


def test_folder_instead_of_file(tmp_path: Path) -> None:
    for work in (open_rgb, content_id):
        with pytest.raises(ImageError, match="this is a folder, not an image file"):
            work(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="a device or a pipe"):
        open_rgb(tmp_path / "pipe.jpg")


def test_impossible_paths() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        open_rgb("a\0b.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        open_rgb("x" * 5000)
    with pytest.raises(ImageError, match="''"):
        open_rgb("")


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        b"%PDF-1.7\n" + bytes(100),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        b"\0",
        b"P",
    ],
    ids=["svg", "heic", "pdf", "eps", "one byte", "P"],
)
def test_other_kinds_of_file(content: bytes) -> None:
    with pytest.raises(ImageError, match=r"not an image that Pillow can read .* convert it to JPEG or PNG"):
        open_rgb(content)


@pytest.mark.parametrize("tenth", range(1, 11))
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("PPM", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
    ids=str,
)
def test_cut_file_is_refused_and_not_half_decoded(kind: str, options: dict[str, Any], tenth: int) -> None:
    whole = encoded(noise(), kind, **options)
    if tenth == 10:
        assert open_rgb(whole).size == (64, 48)
        return
    with pytest.raises(ImageError):
        open_rgb(whole[: len(whole) * tenth // 10])


def test_cause_is_kept() -> None:
    with pytest.raises(ImageError) as caught:
        open_rgb(WHOLE_JPEG[: len(WHOLE_JPEG) // 2])
    assert isinstance(caught.value.__cause__, OSError)


def test_broken_compressed_data() -> None:
    whole = bytearray(WHOLE_PNG)
    start = whole.index(b"IDAT") + 4
    whole[start : start + 64] = bytes(64)
    with pytest.raises(ImageError, match=r"PNG .*broken"):
        open_rgb(bytes(whole))


def test_zero_width() -> None:
    with pytest.raises(ImageError, match="PNG header is broken, cut short or gives no pixels"):
        open_rgb(png(0, 5, b""))
    with pytest.raises(ImageError, match="0 x 5 pixels"):
        open_rgb(Image.new("RGB", (0, 5)))


def test_size_is_checked_before_decoding_and_large_images_do_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    # The data are missing, so what was refused for its size was not decoded, and what was decoded is cut short.
    height = 10_000
    widest = MAX_PIXELS // height
    with pytest.raises(ImageError, match="claims 17,896 x 10,000"):
        open_rgb(png(widest + 1, height, b""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(Image.Image, "load", lambda _: (_ for _ in ()).throw(OSError("cut")))
        with pytest.raises(ImageError, match="broken or cut short"):
            open_rgb(png(widest, height, b"", colour=0))


def test_large_image_decodes_without_pillow_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # stands for Pillow's warning level; 64 x 48 is above it
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert open_rgb(WHOLE_PNG).size == (64, 48)
        assert open_rgb(WHOLE_JPEG).size == (64, 48)
    assert caught == []


def test_bomb_found_by_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    tiled = Image.DecompressionBombError("too large")
    monkeypatch.setattr(Image.Image, "load", lambda _: (_ for _ in ()).throw(tiled))
    with pytest.raises(ImageError, match="a tile or frame of too many pixels"):
        open_rgb(WHOLE_PNG)


@pytest.mark.parametrize("place", ["PIL.Image.Image.load", "ordhash.data.images.to_rgb"])
def test_not_enough_memory(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(NoMemoryError, match="not enough memory"):
        open_rgb(WHOLE_PNG)


def test_open_image_on_a_broken_file(bad_files: dict[str, Path]) -> None:
    with Image.open(bad_files["truncated"]) as image:
        for work in (open_rgb, content_id):
            with pytest.raises(ImageError, match="broken or cut short"):
                work(image, name="image 3")


def test_wrong_arrays_and_types() -> None:
    for array in (
        np.zeros((4, 4)),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
    ):
        for work in (open_rgb, content_id):
            with pytest.raises(ImageError, match="allowed is uint8"):
                work(array)
    for work in (open_rgb, content_id):
        with pytest.raises(InputError, match="given as list"):
            work([1, 2])  # type: ignore[arg-type]


# --- odd files that can be used ----------------------------------------------------------------------------------


def test_wrong_extension_decodes(tmp_path: Path) -> None:
    for name, content in (("photo.jpg", WHOLE_PNG), ("photo.txt", WHOLE_PNG), ("photo", WHOLE_PNG)):
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(pixels(tmp_path / name), np.asarray(noise()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    upright = quarters()
    # How a camera in that position stores the picture: the inverse of what a reader has to do.
    stored = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation](upright)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encoded(stored, kind, exif=exif, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    got = open_rgb(content)
    assert got.size == (48, 32)
    np.testing.assert_allclose(np.asarray(got).astype(int)[4::8, 4::8], np.asarray(upright)[4::8, 4::8], atol=12)
    np.testing.assert_array_equal(np.asarray(open_rgb(got)), np.asarray(got))  # it does not turn a second time
    with Image.open(io.BytesIO(content)) as opened:
        np.testing.assert_array_equal(np.asarray(open_rgb(opened)), np.asarray(got))


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0garbage that is no TIFF header",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x63",
        b"Exif\0\0",
    ],
    ids=["no header", "cut directory", "far offset", "cut entry", "empty"],
)
@pytest.mark.parametrize("filters", ["error", "ignore"])
def test_corrupt_exif_does_no_harm(block: bytes, filters: Any) -> None:
    content = encoded(quarters(), "JPEG", quality=95, exif=block)
    with warnings.catch_warnings():
        warnings.simplefilter(filters)
        before = list(warnings.filters)
        got = pixels(content)
        with Image.open(io.BytesIO(encoded(quarters(), "PNG", exif=block))) as opened:
            assert len(content_id(opened)) == 16
            assert open_rgb(opened).size == (48, 32)
        assert warnings.filters == before
    np.testing.assert_allclose(got[4::8, 4::8], np.asarray(quarters())[4::8, 4::8], atol=12)


def test_orientation_is_used_although_the_block_cannot_be_written_anew() -> None:
    # Entry 0x0131 (Software) is given as 9 bytes far outside the block; the orientation before it is good.
    entries = struct.pack("<HHHIHH", 2, 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x0131, 2, 9, 0x7FFFFFFF)
    block = b"Exif\0\0II*\0\x08\0\0\0" + entries + bytes(4)
    content = encoded(quarters().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=block)
    np.testing.assert_allclose(pixels(content)[4::8, 4::8], np.asarray(quarters())[4::8, 4::8], atol=12)


def test_cmyk() -> None:
    for kind in ("JPEG", "TIFF"):
        got = pixels(encoded(quarters().convert("CMYK"), kind))
        np.testing.assert_allclose(got[4::8, 4::8], np.asarray(quarters())[4::8, 4::8], atol=12)


def test_ycbcr_and_lab_and_hsv() -> None:
    for mode in ("YCbCr", "HSV"):
        np.testing.assert_allclose(pixels(quarters().convert(mode)), np.asarray(quarters()), atol=3)
    assert pixels(encoded(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF")).min() > 240


def test_greyscale_and_one_bit() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(ramp), "PNG")), np.stack([ramp] * 3, axis=2))
    np.testing.assert_array_equal(pixels(ramp), np.stack([ramp] * 3, axis=2))
    bits = Image.fromarray(np.where(ramp > 99, np.uint8(255), np.uint8(0))).convert("1")
    assert pixels(encoded(bits, "PNG"))[0, [99, 100]].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "big-endian TIFF"])
def test_16_bit_grey_keeps_its_gradient(kind: str) -> None:
    ramp = np.tile(np.arange(0, 65536, 64, dtype=np.uint16), (3, 1))
    if kind == "big-endian TIFF":
        image = Image.frombytes("I;16B", (1024, 3), ramp.astype(">u2").tobytes())
        content = encoded(image, "TIFF")
    else:
        content = encoded(Image.fromarray(ramp), kind)
    got = pixels(content)
    np.testing.assert_array_equal(got[:, :, 0], ramp >> 8)
    assert got.min() == 0
    assert got.max() == 255


def test_16_bit_grey_with_a_transparent_value() -> None:
    rows = b"".join(b"\0" + struct.pack(">4H", 0, 257, 30000, 65535) for _ in range(2))
    content = png(4, 2, rows, depth=16, colour=0, extra=chunk(b"tRNS", struct.pack(">H", 257)))
    assert pixels(content)[0, :, 0].tolist() == [0, 255, 30000 >> 8, 255]


def test_16_bit_colour() -> None:
    rows = b"\0" + struct.pack(">6H", 65535, 32768, 0, 257, 256, 255)
    assert pixels(png(2, 1, rows, depth=16)).tolist() == [[[255, 128, 0], [1, 1, 0]]]


def test_32_bit_integers() -> None:
    within = np.array([[0, 256, 65535]], dtype=np.int32)
    assert pixels(encoded(Image.fromarray(within), "TIFF"))[0, :, 0].tolist() == [0, 1, 255]
    beyond = np.array([[-100_000, 0, 100_000]], dtype=np.int32)
    assert pixels(encoded(Image.fromarray(beyond), "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_floating_point() -> None:
    values = np.array([[-1.0, 0.0, 3.0]], dtype=np.float32)
    assert pixels(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 64, 255]
    assert pixels(Image.fromarray(np.full((2, 2), 7, np.float32))).max() == 0
    wide = np.array([[-3e38, 0, 3e38]], dtype=np.float32)
    assert pixels(Image.fromarray(wide))[0, :, 0].tolist() == [0, 128, 255]
    for bad in (np.nan, np.inf):
        with pytest.raises(ImageError, match="NaN or infinite"):
            open_rgb(encoded(Image.fromarray(np.array([[0, bad]], np.float32)), "TIFF"))


def test_alpha_is_laid_on_white() -> None:
    array = np.zeros((2, 3, 4), dtype=np.uint8)
    array[:, 0] = (0, 0, 0, 0)
    array[:, 1] = (200, 0, 0, 255)
    array[:, 2] = (0, 0, 0, 128)
    image = Image.fromarray(array)
    for source in (encoded(image, "PNG"), encoded(image, "WEBP", lossless=True, exact=True), image):
        assert pixels(source)[0].tolist() == [[255, 255, 255], [200, 0, 0], [127, 127, 127]]
    assert pixels(image.convert("RGBa"))[0, 0].tolist() == [255, 255, 255]
    grey = image.convert("LA")
    assert pixels(encoded(grey, "PNG"))[0, :, 0].tolist() == [255, 60, 127]
    assert pixels(grey.convert("La"))[0, 0].tolist() == [255, 255, 255]


def test_palette() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([10, 20, 30, 200, 100, 0, 0, 0, 255])
    assert image.mode == "P"
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        assert pixels(encoded(image, kind))[0].tolist() == [[10, 20, 30], [200, 100, 0], [0, 0, 255]]
    for transparency in (1, b"\xff\x00\xff"):
        content = encoded(image, "PNG", transparency=transparency)
        assert pixels(content)[0].tolist() == [[10, 20, 30], [255, 255, 255], [0, 0, 255]]
    assert pixels(encoded(image, "GIF", transparency=1))[0, 1].tolist() == [255, 255, 255]


def test_colour_with_a_transparent_value() -> None:
    content = encoded(quarters(), "PNG", transparency=(255, 0, 0))
    got = pixels(content)
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[0, 47].tolist() == [0, 255, 0]


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_animation_gives_its_first_frame(kind: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(content)) as opened:
        assert getattr(opened, "n_frames", 1) == 3
        opened.seek(2)
        assert pixels(opened)[5, 5].tolist() == [0, 0, 255]  # the caller's open image stays at its frame
        assert opened.tell() == 2
    got = pixels(content)
    assert got.shape == (10, 20, 3)
    assert got[5, 5].tolist() == [255, 0, 0]


def test_invalid_animation_block_gives_the_default_image() -> None:
    rows = b"\0" + bytes((9, 8, 7))
    content = png(1, 1, rows, extra=chunk(b"acTL", struct.pack(">II", 0, 0)))
    assert pixels(content).tolist() == [[[9, 8, 7]]]


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000"])
def test_newer_formats(kind: str) -> None:
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow is built without {kind}")
    got = pixels(encoded(quarters(), kind))
    np.testing.assert_allclose(got[4::8, 4::8], np.asarray(quarters())[4::8, 4::8], atol=30)


def test_source_is_left_alone_and_shares_no_pixels() -> None:
    image = quarters()
    got = open_rgb(image)
    got.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == (255, 0, 0)
    array = np.asarray(quarters()).copy()
    open_rgb(array).putpixel((0, 0), (1, 2, 3))
    assert array[0, 0].tolist() == [255, 0, 0]
    np.testing.assert_array_equal(pixels(array[:, ::-1]), array[:, ::-1])


def test_threads_decode_the_same(bad_files: dict[str, Path]) -> None:
    broken_exif = encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    want = pixels(broken_exif)
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(pixels, [broken_exif] * 40):
            np.testing.assert_array_equal(got, want)
    assert warnings.filters == before


# --- whatever the bytes ------------------------------------------------------------------------------------------

hostile = settings(derandomize=True, deadline=None, max_examples=60)


def opens_or_is_refused(content: bytes) -> None:
    try:
        image = open_rgb(content)
    except ImageError:
        return
    assert image.mode == "RGB"
    assert min(image.size) > 0


@hostile
@given(st.binary(max_size=400))
@example(b"")
@example(b"BM")
@example(b"P6 9 9")
@example(b"GIF89a")
@example(b"RIFF\0\0\0\0WEBP")
def test_random_bytes(content: bytes) -> None:
    opens_or_is_refused(content)


MAGIC = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"P6 ", b"P5 ", b"Pf\n"]
MAGIC += [b"RIFF\x40\0\0\0WEBPVP8 ", b"\0\0\0\x1cftypavif", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"]


@hostile
@given(st.sampled_from(MAGIC), st.binary(max_size=200))
def test_random_bytes_after_a_true_beginning(magic: bytes, rest: bytes) -> None:
    opens_or_is_refused(magic + rest)


SMALL = {
    kind: encoded(noise(16, 12), kind, **({"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"}))
    for kind in ("JPEG", "PNG")
}
SMALL |= {kind: encoded(noise(16, 12), kind) for kind in ("GIF", "TIFF", "WEBP", "BMP")}


@hostile
@given(
    st.sampled_from(sorted(SMALL)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 3),
)
def test_random_corruption(kind: str, changes: list[tuple[int, int]], damage: int) -> None:
    content = bytearray(SMALL[kind])
    for where, value in changes:
        place = where % len(content)
        if damage == 0:
            content[place] = value
        elif damage == 1:  # headers come first: hit them more often
            content[place % 64] = value
        elif damage == 2:
            del content[place : place + value % 16]
        else:
            content[place:place] = bytes([value] * 3)
    opens_or_is_refused(bytes(content))


# --- decoding at a smaller size ------------------------------------------------------------------------------------


def photograph(width: int, height: int) -> Image.Image:
    """A photograph, scaled up, with some noise as a camera adds it."""
    picture = Image.fromarray(skimage.data.astronaut()).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture) + np.random.default_rng(3).normal(0, 4, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("least", "size"),
    [
        *((None, (1024, 768)), (768, (1024, 768)), (385, (1024, 768)), (384, (512, 384))),
        *((100, (256, 192)), (96, (128, 96)), (1, (128, 96))),
    ],
)
def test_a_jpeg_is_decoded_no_larger_than_needed(least: int | None, size: tuple[int, int]) -> None:
    assert open_rgb(encoded(photograph(1024, 768), "JPEG"), least_side=least).size == size


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_smaller_size_looks_the_same_to_a_network(mode: str, fit: Any) -> None:
    content = encoded(photograph(1600, 1200).convert(mode), "JPEG", quality=90)
    whole, small = (prepare(open_rgb(content, least_side=least), 160, fit) for least in (None, 320))
    difference = np.abs(whole.astype(float) - small)
    assert 0 < difference.max() < 40
    assert difference.mean() < 1.5


def test_a_smaller_size_comes_out_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = open_rgb(encoded(photograph(1024, 768), "JPEG", exif=exif), least_side=100)
    assert picture.size == (192, 256)


def test_other_kinds_of_file_keep_their_size() -> None:
    picture = photograph(512, 384)
    for kind in ("PNG", "WEBP", "BMP"):
        assert open_rgb(encoded(picture, kind), least_side=32).size == (512, 384)
    assert open_rgb(picture, least_side=32).size == (512, 384)
    assert open_rgb(np.asarray(picture), least_side=32).size == (512, 384)


def test_a_smaller_size_hides_neither_damage_nor_size() -> None:
    content = encoded(photograph(1024, 768), "JPEG")
    for least in (None, 64):
        with pytest.raises(ImageError, match="broken or cut short"):
            open_rgb(content[: len(content) // 2], least_side=least)
        with pytest.raises(ImageError, match="claims 1,024 x 768 pixels, allowed are 786,431 in all"):
            open_rgb(content, max_pixels=1024 * 768 - 1, least_side=least)


# --- names and ids -----------------------------------------------------------------------------------------------


def test_source_name() -> None:
    assert source_name("cats/tom.jpg", 4) == "cats/tom.jpg"
    assert source_name(Path("cats") / "tom.jpg") == str(Path("cats") / "tom.jpg")
    assert source_name(WHOLE_PNG, 17) == "image 17"
    assert source_name(noise(), 0) == "image 0"
    assert source_name(np.zeros((2, 2), np.uint8)) == "image"


def test_path_and_its_bytes_have_one_id(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(WHOLE_JPEG)
    want = hashlib.blake2b(WHOLE_JPEG, digest_size=16).digest()
    assert content_id(path) == content_id(str(path)) == content_id(WHOLE_JPEG) == want
    assert content_id(WHOLE_PNG) != want
    assert len(content_id(b"")) == 16


def test_ids_of_arrays() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert content_id(array) == content_id(array.copy()) == content_id(np.asfortranarray(array))
    others: list[ImageSource] = [array.reshape(4, 2, 3), array.reshape(6, 4), array.tobytes(), Image.fromarray(array)]
    assert len({content_id(source) for source in [array, *others]}) == 5


def recoloured(image: Image.Image) -> Image.Image:
    changed = image.copy()
    changed.putpalette([255, 0, 0, 0, 0, 255])
    return changed


def turned(image: Image.Image) -> Image.Image:
    changed = image.copy()
    changed.getexif()[ExifTags.Base.Orientation] = 6
    return changed


def seen_through(image: Image.Image) -> Image.Image:
    changed = image.copy()
    changed.info["transparency"] = 0
    return changed


@pytest.mark.parametrize("change", [recoloured, turned, seen_through])
def test_ids_of_open_images_follow_the_picture(change: Callable[[Image.Image], Image.Image]) -> None:
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8))
    image.putpalette([9, 9, 9, 200, 200, 200])
    changed = change(image)
    assert content_id(image) == content_id(image.copy())
    assert content_id(changed) != content_id(image)
    assert open_rgb(changed).tobytes() != open_rgb(image).tobytes() or open_rgb(changed).size != open_rgb(image).size
