"""When an index goes over from plain NumPy to compiled scans."""

import numpy as np
import pytest

from ordhash.codes import CodeSpec, OrdinalCodes, symbol_losses
from ordhash.index.planes import PlaneCodes
from ordhash.index.stores import Grown, Plain, Scan, Warming

SPEC = CodeSpec(12, 4)


def random_codes(n, seed=0):
    return OrdinalCodes(np.random.default_rng(seed).integers(0, 4, (n, 6)).astype(np.uint8), SPEC)


class Watched(Scan):
    """A scan that notes which of its searches are used."""

    def __init__(self, codes):
        super().__init__(PlaneCodes.of(codes))
        object.__setattr__(self, "asked", [])

    def nearest(self, queries, k, allowed):
        self.asked.append("nearest")
        return super().nearest(queries, k, allowed)

    def nearest_asymmetric(self, losses, k, allowed):
        self.asked.append("asymmetric")
        return super().nearest_asymmetric(losses, k, allowed)

    def within(self, queries, radius, allowed):
        self.asked.append("within")
        return super().within(queries, radius, allowed)


QUERY = random_codes(1, seed=1)
LOSSES = symbol_losses(np.random.default_rng(2).normal(size=(1, 6, 4)), SPEC)


def test_compiled_scans_are_used_once_enough_was_searched():
    store = Watched(random_codes(40))
    warming = Warming(store, worth_loading=3 * 40)
    found = [warming.nearest(QUERY, 5, None)[1].tolist() for _ in range(4)]
    assert store.asked == ["nearest", "nearest"]  # by the third and the fourth search
    assert found == [found[0]] * 4
    warming.nearest_asymmetric(LOSSES, 5, None)
    warming.within(QUERY, 2, None)
    assert store.asked[2:] == ["asymmetric", "within"]


def test_all_kinds_of_search_count():
    store = Watched(random_codes(40))
    warming = Warming(store, worth_loading=4 * 40)
    warming.nearest(QUERY, 5, None)
    warming.nearest_asymmetric(LOSSES, 5, None)
    warming.within(QUERY, 2, None)
    assert store.asked == []
    warming.within(QUERY, 2, None)
    assert store.asked == ["within"]


def test_many_queries_at_once_or_many_codes_use_them_at_once():
    store = Watched(random_codes(40))
    Warming(store, worth_loading=3 * 40).nearest(random_codes(3), 5, None)
    Warming(store, many=40).within(QUERY, 2, None)
    Warming(store, many=41).within(QUERY, 2, None)
    assert store.asked == ["nearest", "within"]


@pytest.mark.parametrize(("n_queries", "used"), [(None, True), (3, True), (2, False)])
def test_warming_up_loads_them_if_they_will_be_used(n_queries, used):
    store = Watched(random_codes(40))
    warming = Warming(store, worth_loading=3 * 40)
    warming.warm_up(n_queries)
    warming.nearest(QUERY, 5, None)
    assert bool(store.asked) == used


def test_plain_searches_see_what_was_put_there_later():
    codes = random_codes(50)
    warming = Warming(Watched(codes[:40]))
    assert warming.nearest(codes[45:46], 40, None)[1].max() < 40
    warming.put(Grown.of(warming.store, codes[40:]))
    distances, rows = warming.nearest(codes[45:46], 50, None)
    assert sorted(rows[0].tolist()) == list(range(50))
    assert distances[0, rows[0] == 45] == 0


def test_blocks_of_queries_do_not_change_a_result():
    codes, queries = random_codes(40), random_codes(9, seed=1)
    losses = symbol_losses(np.random.default_rng(1).normal(size=(9, 6, 4)), SPEC)
    whole, blocks = Plain(codes), Plain(codes, most_distances=100)  # two queries a block
    for one, other in (
        (whole.nearest(queries, 7, None), blocks.nearest(queries, 7, None)),
        (whole.nearest_asymmetric(losses, 7, None), blocks.nearest_asymmetric(losses, 7, None)),
    ):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    for one, other in zip(whole.within(queries, 3, None), blocks.within(queries, 3, None), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
