from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ordhash.data.images import open_rgb


def grey(values: np.ndarray, kind: str = "TIFF") -> list[int]:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return np.asarray(open_rgb(file.getvalue()))[0, :, 0].tolist()


def test_integers_of_a_smaller_depth_are_not_black() -> None:
    for dtype in (np.int32, np.uint16):
        for bits in (8, 10, 12, 16):
            assert grey(np.array([[0, 1 << (bits - 1), (1 << bits) - 1]], dtype)) == [0, 128, 255]
    assert grey(np.array([[0, 128, 1023]], np.uint16), "PNG") == [0, 32, 255]
    assert grey(np.array([[0, 0, 0]], np.int32)) == [0, 0, 0]


def test_integers_beyond_16_bits_are_scaled() -> None:
    assert grey(np.array([[-5, 0, 5]], np.int32)) == [0, 128, 255]
    assert grey(np.array([[-(2**31), 0, 2**31 - 1]], np.int64).astype(np.int32)) == [0, 128, 255]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "F", "CMYK", "YCbCr"])
def test_a_large_image_is_averaged_to_what_is_needed(mode: str) -> None:
    ramp = np.linspace(0, 1, 1600).astype(np.float32)[None].repeat(1200, 0)
    scale = {"I": 65535, "I;16": 65535}.get(mode, 255)
    if mode in ("I", "I;16"):
        image = Image.fromarray((ramp * scale).astype(np.int32 if mode == "I" else np.uint16))
    elif mode == "F":
        image = Image.fromarray(ramp)
    else:
        image = Image.fromarray((ramp * 255).astype(np.uint8)).convert("RGB").convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF")
    got = open_rgb(file.getvalue(), least_side=300)
    assert got.size == (400, 300)
    np.testing.assert_allclose(
        np.asarray(got.resize((40, 30), Image.Resampling.BOX))[..., 0],
        np.linspace(3, 252, 40)[None].repeat(30, 0),
        atol=16,
    )
    assert open_rgb(file.getvalue()).size == (1600, 1200)
    assert open_rgb(file.getvalue(), least_side=800).size == (1600, 1200)
    assert open_rgb(image, least_side=300).size == (400, 300)
