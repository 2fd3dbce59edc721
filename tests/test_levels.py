import numpy as np
import pytest

from ordhash.levels import dense_ranks, levels


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_levels_are_those_of_a_plain_loop(dtype):
    rng = np.random.default_rng(1)
    distances = rng.integers(0, 9, 200).astype(dtype)
    for values in (rng.random(200) < 0.3, rng.random(200)):
        items, sums = levels(distances, values)
        distinct = sorted(set(distances.tolist()))
        assert items.tolist() == [int((distances == level).sum()) for level in distinct]
        np.testing.assert_allclose(sums, [values[distances == level].sum() for level in distinct])
        assert sums.dtype == (np.int64 if values.dtype == bool else np.float64)


def test_levels_of_nothing():
    for dtype in (np.uint16, np.float64):
        for values in (np.zeros(0, dtype=bool), np.zeros(0)):
            assert [part.tolist() for part in levels(np.zeros(0, dtype=dtype), values)] == [[], []]


def test_dense_ranks_keep_order_and_ties():
    rng = np.random.default_rng(2)
    distances = rng.integers(0, 5, (4, 30)) / 7
    ranks = dense_ranks(distances)
    assert ranks.dtype == np.int32
    for row, found in zip(distances, ranks, strict=True):
        assert found.tolist() == [sorted(set(row.tolist())).index(value) for value in row.tolist()]
