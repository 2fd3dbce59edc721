import numpy as np
import pytest

from ordhash.support import spread_rows, unit_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_have_length_one_and_keep_their_directions(dtype):
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(dtype)
    found = unit_rows(rows)
    assert found.dtype == dtype
    for row, unit in zip(rows.tolist(), found.tolist(), strict=True):
        length = sum(value * value for value in row) ** 0.5
        assert unit == pytest.approx([value / length for value in row], rel=1e-6)


def test_half_precision_is_widened():
    rows = np.array([[300.0, -400.0], [2e-5, 0.0], [0.0, 0.0]], np.float16)
    found = unit_rows(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, -0.8], [1.0, 0.0], [0.0, 0.0]], rtol=1e-6)


def test_a_row_of_zeros_stays():
    assert unit_rows(np.zeros((1, 4), np.float32)).tolist() == [[0.0] * 4]


@pytest.mark.parametrize(("n", "most"), [(0, 4), (1, 4), (4, 4), (5, 4), (1000, 7)])
def test_some_rows_are_spread_over_all(n, most):
    rows = spread_rows(n, most).tolist()
    assert len(set(rows)) == len(rows) == min(n, most)
    assert rows == sorted(rows)
    if n > most:
        assert (rows[0], rows[-1]) == (0, n - 1)
        gaps = np.diff(rows)
        assert gaps.max() - gaps.min() <= 1
    else:
        assert rows == list(range(n))
