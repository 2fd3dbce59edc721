"""Shares of attention maps inside rectangles, against sums over a fine grid and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.errors import InputError
from ordhash.evaluation.attention import attention_inside, peak_inside

HALF = (0.0, 0.0, 0.5, 1.0)


@st.composite
def boxes(draw, pixels=60):
    left, top = draw(st.integers(0, pixels - 1)), draw(st.integers(0, pixels - 1))
    right, bottom = draw(st.integers(left + 1, pixels)), draw(st.integers(top + 1, pixels))
    return left / pixels, top / pixels, right / pixels, bottom / pixels


@given(box=boxes(), seed=st.integers(0, 1000))
def test_the_share_is_that_of_the_pixels_inside(box, seed):
    # 60 pixels: whole numbers of them for 5 rows and 4 columns, and for the edges of the box.
    attention = np.random.default_rng(seed).random((1, 5, 4))
    pixels = np.kron(attention[0], np.ones((12, 15)))
    left, top, right, bottom = (round(60 * edge) for edge in box)
    wanted = pixels[top:bottom, left:right].sum() / pixels.sum()
    np.testing.assert_allclose(attention_inside(attention, [box]), [wanted], rtol=1e-9)


@given(box=boxes(), h=st.integers(1, 9), w=st.integers(1, 9))
def test_uniform_attention_has_the_share_of_the_area(box, h, w):
    left, top, right, bottom = box
    share = attention_inside(np.full((1, h, w), 1 / (h * w), dtype=np.float32), [box])
    np.testing.assert_allclose(share, [(right - left) * (bottom - top)], rtol=1e-6)


def test_the_whole_picture_has_all_attention_and_no_more():
    attention = np.random.default_rng(0).random((50, 7, 7)).astype(np.float32)
    share = attention_inside(attention, np.tile([0, 0, 1, 1], (50, 1)))
    assert share.max() <= 1
    np.testing.assert_allclose(share, 1)


def test_the_first_number_of_a_box_is_left_and_the_second_top():
    attention = np.array([[[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]])  # above, on the right
    assert attention_inside(attention, [(2 / 3, 0, 1, 0.5)]) == pytest.approx(1)
    assert attention_inside(attention, [(0, 2 / 3, 0.5, 1)]) == 0
    assert peak_inside(attention, [(2 / 3, 0, 1, 0.5)]) == 1
    assert peak_inside(attention, [(0, 2 / 3, 0.5, 1)]) == 0


def test_every_map_meets_its_own_box():
    attention = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    others = (0.5, 0.0, 1.0, 1.0)
    assert attention_inside(attention, [HALF, others]).tolist() == [1, 0]
    assert peak_inside(attention, [HALF, others]).tolist() == [1, 0]


def test_the_scale_of_a_map_does_not_matter():
    attention = np.random.default_rng(1).random((1, 5, 5))
    np.testing.assert_allclose(attention_inside(7 * attention, [HALF]), attention_inside(attention, [HALF]))


def test_a_peak_counts_by_the_middle_of_its_cell():
    attention = np.array([[[0.1, 0.5, 0.4]]])  # its middle is at 0.5
    found = [float(peak_inside(attention, [(0, 0, right, 1)])[0]) for right in (0.49, 0.5, 0.51)]
    assert found == [0, 1, 1]


def test_equal_peaks_share_one_point():
    attention = np.array([[[0.4, 0.4, 0.2]]])
    assert peak_inside(attention, [(0, 0, 0.4, 1)]) == 0.5
    assert peak_inside(attention, [HALF]) == 1


def test_no_maps_have_no_shares():
    assert attention_inside(np.zeros((0, 5, 5)), np.zeros((0, 4))).shape == (0,)
    assert peak_inside(np.zeros((0, 5, 5)), np.zeros((0, 4))).shape == (0,)


@pytest.mark.parametrize("measure", [attention_inside, peak_inside])
@pytest.mark.parametrize(
    ("attention", "box", "message"),
    [
        (np.ones((5, 5)), [HALF], "shape"),
        (np.ones((2, 5, 5)), [HALF], "shape"),
        (np.ones((1, 5, 5)), HALF, "shape"),
        (np.zeros((1, 5, 5)), [HALF], "none at all"),
        (-np.ones((1, 5, 5)), [HALF], "negative"),
        (np.full((1, 5, 5), np.nan), [HALF], "NaN"),
        (np.full((1, 5, 5), np.inf), [HALF], "infinite"),
        (np.ones((1, 5, 5)), [(0, 0, 0, 1)], "empty"),
        (np.ones((1, 5, 5)), [(0, 0.6, 1, 0.5)], "empty"),
        (np.ones((1, 5, 5)), [(0, 0, 1.5, 1)], "leaves"),
        (np.ones((1, 5, 5)), [(-0.1, 0, 1, 1)], "leaves"),
        (np.ones((1, 5, 5)), [(np.nan, 0, 1, 1)], "leaves"),
    ],
)
def test_what_is_no_map_or_no_box_is_refused(measure, attention, box, message):
    with pytest.raises(InputError, match=message):
        measure(attention, box)
