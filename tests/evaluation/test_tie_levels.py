import numpy as np
import pytest

from ordhash.evaluation.tie_levels import in_row_order, levels, levels_of_queries


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


def test_levels_of_queries_are_those_of_each():
    rng = np.random.default_rng(2)
    distances, relevance = rng.integers(0, 5, (4, 30)) / 7, rng.random((4, 30)) < 0.3
    for row, (items, hits) in enumerate(levels_of_queries(distances, relevance)):
        wanted = levels(distances[row], relevance[row])
        assert (items.tolist(), hits.tolist()) == (wanted[0].tolist(), wanted[1].tolist())


def test_in_row_order_equals_stand_as_they_came():
    distances = np.array([[1.0, 0.5, 1.0, 0.5]])
    relevance = np.array([[True, False, False, True]])
    [(items, hits)] = in_row_order(distances, relevance)
    assert items.tolist() == [1, 1, 1, 1]
    assert hits.tolist() == [0, 1, 1, 0]
