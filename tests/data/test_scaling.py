from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ordhash.data.images import open_rgb
from ordhash.data.scaling import LONGEST, STEP, prepare, scaled_sides
from ordhash.errors import InputError


def noise(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_prepare_squash_keeps_the_whole_and_crop_the_middle() -> None:
    array = np.zeros((20, 60, 3), dtype=np.uint8)
    array[:, 20:40] = 255
    image = Image.fromarray(array)
    squashed = prepare(image, 30, "squash")
    assert squashed.shape == (30, 30, 3)
    assert squashed.dtype == np.uint8
    assert squashed[:, [2, 15, 27], 0].tolist() == [[0, 255, 0]] * 30
    for picture in (image, image.transpose(Image.Transpose.ROTATE_90)):
        cut = prepare(picture, 10, "crop")
        assert cut.min() > 200  # the black beside it has a small share in the outermost pixels
        assert cut[1:-1, 1:-1].min() == 255


def test_prepare_crop_is_the_middle_of_the_scaled_picture() -> None:
    image = noise(80, 40)
    want = image.resize((40, 20), Image.Resampling.BICUBIC).crop((10, 0, 30, 20))
    np.testing.assert_array_equal(prepare(image, 20, "crop"), np.asarray(want))


def test_prepare_antialiases() -> None:
    fine = np.indices((256, 256)).sum(axis=0) % 2 * np.uint8(255)
    small = prepare(open_rgb(fine.astype(np.uint8)), 16, "squash")
    assert np.abs(small.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3)])
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_prepare_extreme_shapes(shape: tuple[int, int], fit: Any) -> None:
    got = prepare(Image.new("RGB", shape, (10, 200, 30)), 24, fit)
    assert (got == (10, 200, 30)).all()


def test_prepare_result_is_the_callers_own() -> None:
    image = noise(24, 24)
    got = prepare(image, 24, "squash")
    assert got.flags.writeable
    got[:] = 0
    np.testing.assert_array_equal(np.asarray(image), np.asarray(noise(24, 24)))


def test_prepare_refuses() -> None:
    with pytest.raises(InputError, match="mode L; allowed is RGB"):
        prepare(Image.new("L", (4, 4)), 8, "squash")
    with pytest.raises(InputError, match="size is 0"):
        prepare(noise(), 0, "squash")
    with pytest.raises(InputError, match="fit is 'stretch'; allowed are 'squash', 'crop'"):
        prepare(noise(), 8, "stretch")  # type: ignore[arg-type]


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([32, 64, 160, 224, 320]))
def test_whole_pictures_keep_their_aspect(width: int, height: int, size: int) -> None:
    rows, columns = scaled_sides(width, height, size, "whole")
    assert min(rows, columns) == size
    assert rows % STEP == columns % STEP == 0
    aspect = min(max(width, height) / min(width, height), LONGEST)
    assert abs(max(rows, columns) - aspect * size) <= STEP / 2
    assert (columns >= rows) or height > width
    assert scaled_sides(height, width, size, "whole") == (columns, rows)


def test_prepare_whole_is_the_whole_picture() -> None:
    image = noise(400, 300)
    got = prepare(image, 96, "whole")
    np.testing.assert_array_equal(got, np.asarray(image.resize((128, 96), Image.Resampling.BICUBIC)))
    again = prepare(Image.fromarray(got), 96, "whole")
    np.testing.assert_array_equal(again, got)


def test_a_size_that_whole_pictures_cannot_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"size is 100; .*multiple of 32: try 96"):
        prepare(noise(), 100, "whole")
