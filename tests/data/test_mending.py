from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageFile

from ordhash.data.images import open_rgb
from ordhash.errors import ImageError

PHOTOGRAPH = Image.fromarray(skimage.data.coffee()).resize((320, 200))


def encoded(kind: str, image: Image.Image = PHOTOGRAPH, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes, **options: Any) -> np.ndarray:
    return np.asarray(open_rgb(content, **options)).astype(int)


FILES: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {"quality": 90}),
    ("JPEG", {"quality": 90, "restart_marker_rows": 1}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("PPM", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw", "strip_size": 4096}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
]


# The header of a compressed TIFF file is at its end.
@pytest.mark.parametrize(("kind", "options"), [one for one in FILES if "compression" not in one[1]], ids=str)
def test_a_file_without_its_end_gives_the_rows_that_are_there(kind: str, options: dict[str, Any]) -> None:
    whole = encoded(kind, **options)
    wanted = pixels(whole)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    for lost in (2, len(whole) // 40):
        got = pixels(whole[: len(whole) - lost])
        assert got.shape[1] == 320
        assert 180 <= got.shape[0] <= 200
        rows = wanted[200 - got.shape[0] :] if kind == "BMP" else wanted[: got.shape[0]]
        assert np.abs(got - rows).mean() < 2
        assert np.abs(got[-8:] - rows[-8:]).mean() < 12  # nothing made up at the edge
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(("kind", "options"), FILES, ids=str)
def test_a_file_without_a_good_part_is_refused(kind: str, options: dict[str, Any]) -> None:
    whole = encoded(kind, **options)
    for share in (0.2, 0.3):
        with pytest.raises(ImageError, match="cut short"):
            open_rgb(whole[: int(len(whole) * share)])


def test_two_bytes_that_are_missing_cost_nothing_of_a_jpeg() -> None:
    for options in ({}, {"progressive": True}, {"quality": 100, "subsampling": 0}):
        whole = encoded("JPEG", **options)
        got = pixels(whole[:-2])
        assert got.shape[0] >= 192
        np.testing.assert_array_equal(got, pixels(whole)[: got.shape[0]])
        assert pixels(whole[:-2], least_side=50).shape == pixels(whole, least_side=50).shape


def test_a_progressive_jpeg_may_lack_what_refines_it() -> None:
    whole = encoded("JPEG", progressive=True, quality=92)
    starts = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    assert len(starts) == 10
    wanted = pixels(whole)
    for start in starts[6:]:  # behind the first approximation of every coefficient
        got = pixels(whole[: start + 40])
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).mean() < 4
    for start in starts[:5]:
        with pytest.raises(ImageError, match="cut short"):
            open_rgb(whole[: start + 40])


def test_the_orientation_of_a_cut_file_is_used() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = encoded(kind, exif=exif)
        assert 180 <= pixels(whole[:-200] if kind != "WEBP" else whole[:-2]).shape[1] <= 200


# --- PNG -----------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum or zlib.crc32(kind + body))


def test_png_with_wrong_checksums_and_chunks() -> None:
    whole = encoded("PNG")
    wanted = pixels(whole)
    wrong = [
        whole[:29] + bytes(4) + whole[33:],  # of the header
        whole[:33] + chunk(b"tEXt", b"Comment\0hello", 1) + whole[33:],
        whole[:33] + chunk(b"gAMA", b"\0\1\x86\xa0", 1) + whole[33:],  # damaged, so not believed
        whole[:33] + chunk(b"pHYs", b"\0\0", 1) + whole[33:],
        whole[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3 << 20))) + whole[33:],
        whole[:-12],
        whole[:-12] + b"\0\0\0\5",
        whole + b"garbage" * 100,
    ]
    for content in wrong:
        np.testing.assert_array_equal(pixels(content), wanted)


def test_a_png_with_wrong_data_in_its_middle_is_refused() -> None:
    whole = bytearray(encoded("PNG"))
    whole[len(whole) // 2 : len(whole) // 2 + 200] = bytes(200)
    with pytest.raises(ImageError, match="broken"):
        open_rgb(bytes(whole))


def test_an_interlaced_png_without_its_end() -> None:
    # Adam7 by hand: seven small pictures, the last of which has the odd rows.
    image = PHOTOGRAPH.convert("L")
    values = np.asarray(image)
    rows = b""
    for left, top, across, down in [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]:
        rows += b"".join(b"\0" + row.tobytes() for row in values[top::down, left::across])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 320, 200, 8, 0, 0, 0, 1))
    data = zlib.compress(rows, 0)
    whole = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(pixels(whole)[..., 0], values)
    got = pixels(whole[: -16 - 320 * 5])[..., 0]
    assert 188 <= got.shape[0] <= 191
    np.testing.assert_array_equal(got, values[: got.shape[0]])
    with pytest.raises(ImageError):
        open_rgb(whole[: -16 - 320 * 50])


# --- others --------------------------------------------------------------------------------------------------------


def test_garbage_behind_the_picture_does_not_matter() -> None:
    for kind, options in FILES:
        whole = encoded(kind, **options)
        np.testing.assert_array_equal(pixels(whole + b"\0garbage" * 50), pixels(whole))


def test_half_a_transparent_gif_is_refused() -> None:
    image = PHOTOGRAPH.quantize(200)
    whole = encoded("GIF", image, transparency=7)
    with pytest.raises(ImageError):
        open_rgb(whole[: len(whole) // 2])


def test_several_pictures_in_a_jpeg() -> None:
    content = encoded("MPO", save_all=True, append_images=[PHOTOGRAPH.rotate(180)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(pixels(content), pixels(encoded("JPEG")), atol=1)
    second = content.index(b"\xff\xd9\xff\xd8") + 2
    np.testing.assert_array_equal(pixels(content[:second]), pixels(content))  # the index of pictures is wrong now
