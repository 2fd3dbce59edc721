"""Small pictures are compared place by place."""

import numpy as np
import pytest
import scipy.fft
import skimage.data
from PIL import Image

from ordhash.collection.likeness import SIDE, cosines, unlikeness


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(skimage.data.coffee()).resize((SIDE, SIDE))


def arrays(*pictures):
    return np.stack([np.asarray(picture.convert("YCbCr")) for picture in pictures])


def test_the_cosine_transform_is_that_of_scipy():
    values = np.random.default_rng(0).normal(size=(5, 20))
    np.testing.assert_allclose(values @ cosines(20).T, scipy.fft.dct(values, norm="ortho"), atol=1e-5)
    np.testing.assert_allclose(cosines(20, 3), cosines(20)[:3])


def test_a_picture_is_like_itself(picture):
    (one,) = arrays(picture)
    assert unlikeness(one, one[None])[0] < 0.2


def test_pairs_do_not_depend_on_each_other(picture):
    one, *others = arrays(picture, picture.point(lambda v: v * 0.8), picture.transpose(Image.Transpose.ROTATE_90))
    together = unlikeness(one, np.stack(others))
    np.testing.assert_allclose(together, [unlikeness(one, other[None])[0] for other in others], rtol=1e-3)
    assert together[0] <= 1 < together[1]


@pytest.mark.parametrize("size", [3, 5, 8])
def test_a_small_place_that_differs_tells(picture, size):
    changed = np.asarray(picture).copy()
    changed[30 : 30 + size, 40 : 40 + size] = 255 - changed[30 : 30 + size, 40 : 40 + size]
    one, other = arrays(picture, Image.fromarray(changed))
    assert unlikeness(one, other[None])[0] > 1
    assert unlikeness(other, one[None])[0] > 1


def test_what_is_bright_may_not_vanish():
    """A curve of tones that falls would make the moon a piece of the sky."""
    night = np.random.default_rng(0).normal(60, 8, (SIDE, SIDE, 1)).repeat(3, axis=2)
    moon = night.copy()
    moon[20:28, 30:38] = 240
    one, other = arrays(*(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)) for pixels in (night, moon)))
    assert unlikeness(one, other[None])[0] > 1
