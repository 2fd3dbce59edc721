import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.errors import InputError
from ordhash.evaluation.metrics import (
    average_precision,
    found_at,
    mean_average_precision,
    ndcg,
    precision_at,
    precision_recall_curve,
    precision_within,
)
from ordhash.evaluation.tie_aware import expected_average_precision


def ap_of_ranking(relevance, cutoff=None, convention="normal"):
    """Average precision of items in a given order: the definition, as a loop."""
    last = len(relevance) if cutoff is None else min(cutoff, len(relevance))
    found, total = 0, 0.0
    for position, relevant in enumerate(relevance[:last], start=1):
        if relevant:
            found += 1
            total += found / position
    divisor = {"normal": min(sum(relevance), last), "all-relevant": sum(relevance), "hits-in-top-k": max(found, 1)}
    return total / divisor[convention]


def ndcg_of_ranking(gains, cutoff=None):
    """NDCG of items in a given order: the definition, as a loop."""

    def dcg(values):
        return sum(gain / math.log2(1 + position) for position, gain in enumerate(values[:cutoff], start=1))

    return dcg(gains) / dcg(sorted(gains, reverse=True))


def every_order(distances, values):
    """Values in every order that ascending distance allows, each order once (items are told apart)."""
    items = range(len(distances))
    for order in permutations(items):
        ranked = [distances[i] for i in order]
        if ranked == sorted(ranked):
            yield [values[i] for i in order]


@st.composite
def small_cases(draw, dtypes=(np.uint16, np.int64, np.float32)):
    n = draw(st.integers(1, 6))
    distances = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    relevance = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(any))
    return np.array(distances, dtype=draw(st.sampled_from(dtypes))), np.array(relevance)


@settings(deadline=None, derandomize=True)
@given(small_cases(), st.one_of(st.none(), st.integers(1, 8)))
def test_average_precision_is_the_mean_best_and_worst_over_every_order_of_ties(case, cutoff):
    distances, relevance = case
    each = [ap_of_ranking(ranked, cutoff) for ranked in every_order(distances.tolist(), relevance)]
    for ties, wanted in (("expected", np.mean(each)), ("best", max(each)), ("worst", min(each))):
        found = average_precision(distances[None], relevance[None], cutoff=cutoff, ties=ties)
        np.testing.assert_allclose(found, [wanted], rtol=1e-12, err_msg=ties)


@settings(deadline=None, derandomize=True)
@given(small_cases(dtypes=(np.uint16,)))
def test_counts_at_every_distance_give_the_expected_average_precision(case):
    distances, relevance = case
    counts = [np.bincount(some, minlength=5)[None] for some in (distances, distances[relevance])]
    wanted = average_precision(distances[None], relevance[None])
    np.testing.assert_allclose(expected_average_precision(*counts), wanted, rtol=1e-12)


@settings(deadline=None, derandomize=True)
@given(small_cases(), st.one_of(st.none(), st.integers(1, 8)), st.sampled_from(["hits-in-top-k", "all-relevant"]))
def test_other_divisors_are_means_over_every_order_of_ties(case, cutoff, convention):
    distances, relevance = case
    each = [ap_of_ranking(ranked, cutoff, convention) for ranked in every_order(distances.tolist(), relevance)]
    found = average_precision(distances[None], relevance[None], cutoff=cutoff, convention=convention)
    np.testing.assert_allclose(found, [np.mean(each)], rtol=1e-12)
    # The other orders are single ones, whatever the divisor.
    for ties, key in (("best", -1), ("worst", 1), ("row", 0)):
        order = sorted(range(len(distances)), key=lambda i: (distances[i], key * relevance[i]))
        found = average_precision(distances[None], relevance[None], cutoff=cutoff, convention=convention, ties=ties)
        wanted = ap_of_ranking(relevance[order].tolist(), cutoff, convention)
        np.testing.assert_allclose(found, [wanted], rtol=1e-12, err_msg=ties)


@settings(deadline=None, derandomize=True)
@given(small_cases(), st.one_of(st.none(), st.integers(1, 8)), st.data())
def test_ndcg_is_the_mean_over_every_order_of_ties(case, cutoff, data):
    distances, relevance = case
    gains = (
        relevance
        * np.array(data.draw(st.lists(st.sampled_from([1, 2, 0.5]), min_size=6, max_size=6)))[: len(relevance)]
    )
    each = [ndcg_of_ranking(ranked, cutoff) for ranked in every_order(distances.tolist(), gains.tolist())]
    np.testing.assert_allclose(ndcg(distances[None], gains[None], cutoff=cutoff), [np.mean(each)], rtol=1e-12)


@settings(deadline=None, derandomize=True)
@given(small_cases(), st.integers(1, 6))
def test_precision_at_is_the_mean_over_every_order_of_ties(case, k):
    distances, relevance = case
    k = min(k, len(distances))
    each = [np.mean(ranked[:k]) for ranked in every_order(distances.tolist(), relevance)]
    np.testing.assert_allclose(precision_at(distances[None], relevance[None], k), [np.mean(each)], rtol=1e-12)


@settings(deadline=None, derandomize=True)
@given(small_cases(), st.integers(1, 6))
def test_found_at_is_the_mean_over_every_order_of_ties(case, k):
    distances, relevance = case
    k = min(k, len(distances))
    each = [any(ranked[:k]) for ranked in every_order(distances.tolist(), relevance)]
    np.testing.assert_allclose(found_at(distances[None], relevance[None], k), [np.mean(each)], rtol=1e-12, atol=1e-12)


def test_found_at_of_one_relevant_item_among_many_equal_ones():
    distances, relevance = np.zeros((1, 5000)), np.arange(5000)[None] == 7
    np.testing.assert_allclose(found_at(distances, relevance, 1000), [0.2], rtol=1e-9)


def test_average_precision_by_hand():
    # Order r n r n, no ties: precisions 1/1 and 2/3 at the relevant positions; mean 5/6.
    d, rel = np.array([[0, 1, 2, 3]]), np.array([[True, False, True, False]])
    np.testing.assert_allclose(average_precision(d, rel), [5 / 6])
    # At a cutoff of 2 only the first counts, and two could have: 1/2. At 1 it is perfect.
    np.testing.assert_allclose(average_precision(d, rel, cutoff=2), [1 / 2])
    np.testing.assert_allclose(average_precision(d, rel, cutoff=1), [1.0])
    # All four tied, two relevant, six orders of relevance:
    #   rrnn (1 + 2/2)/2 = 1       rnrn (1 + 2/3)/2 = 5/6      rnnr (1 + 2/4)/2 = 3/4
    #   nrrn (1/2 + 2/3)/2 = 7/12  nrnr (1/2 + 2/4)/2 = 1/2    nnrr (1/3 + 2/4)/2 = 5/12
    # mean (12 + 10 + 9 + 7 + 6 + 5)/12 / 6 = 49/72.
    tied = np.zeros((1, 4), dtype=np.uint16)
    np.testing.assert_allclose(average_precision(tied, rel), [49 / 72])
    np.testing.assert_allclose(average_precision(tied, rel, ties="best"), [1.0])
    np.testing.assert_allclose(average_precision(tied, rel, ties="worst"), [5 / 12])
    # Tied, cutoff 1: the first is relevant half of the time.
    np.testing.assert_allclose(average_precision(tied, rel, cutoff=1), [1 / 2])


def test_conventions_of_other_toolkits_by_hand():
    # Order n r r n r, cutoff 3, no ties: precisions 1/2 and 2/3 within the cutoff, sum 7/6; three are relevant.
    d, rel = np.array([[0, 1, 2, 3, 4]]), np.array([[False, True, True, False, True]])
    for convention, wanted in (("normal", 7 / 18), ("all-relevant", 7 / 18), ("hits-in-top-k", 7 / 12)):
        np.testing.assert_allclose(average_precision(d, rel, cutoff=3, convention=convention), [wanted])
    # At a cutoff of 2, one hit: 1/2 over two that could be there, over three that there are, over the one found.
    for convention, wanted in (("normal", 1 / 4), ("all-relevant", 1 / 6), ("hits-in-top-k", 1 / 2)):
        np.testing.assert_allclose(average_precision(d, rel, cutoff=2, convention=convention), [wanted])
    # A query without a hit within the cutoff counts as 0, and still counts.
    both = np.array([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
    other = np.array([[True, False, False, False, False]])
    values = average_precision(both, np.concatenate([rel, other]), cutoff=1, convention="hits-in-top-k")
    assert values.tolist() == [0, 1]
    found = mean_average_precision(both, np.concatenate([rel, other]), cutoff=1, convention="hits-in-top-k")
    assert found == 0.5


def test_ties_by_row_are_a_stable_sort():
    # All equal, rows r n n r: positions 1 and 4, (1 + 2/4) / 2.
    rel = np.array([[True, False, False, True]])
    np.testing.assert_allclose(average_precision(np.zeros((1, 4)), rel, ties="row"), [3 / 4])
    # The same items in another order of rows, n r r n: (1/2 + 2/3) / 2. The others do not care.
    np.testing.assert_allclose(average_precision(np.zeros((1, 4)), ~rel, ties="row"), [7 / 12])
    # The nearer level first: row 2, then rows 0, 1, 3.
    np.testing.assert_allclose(average_precision(np.array([[1, 1, 0, 1]]), rel, ties="row"), [(1 / 2 + 2 / 4) / 2])
    rng = np.random.default_rng(11)
    distances, relevance = rng.integers(0, 6, (9, 70)), rng.random((9, 70)) < 0.3
    for cutoff in (None, 8):
        for convention in ("normal", "hits-in-top-k", "all-relevant"):
            ranked = np.take_along_axis(relevance, np.argsort(distances, axis=1, kind="stable"), axis=1)
            wanted = [ap_of_ranking(row.tolist(), cutoff, convention) for row in ranked]
            options = {"cutoff": cutoff, "ties": "row", "convention": convention}
            np.testing.assert_allclose(average_precision(distances, relevance, **options), wanted, rtol=1e-12)


def test_hits_in_top_k_at_the_size_of_a_database_are_the_mean_of_random_orders():
    rng = np.random.default_rng(12)
    distances, relevance = rng.integers(0, 4, 3000), rng.random(3000) < 0.02
    (found,) = average_precision(distances[None], relevance[None], cutoff=100, convention="hits-in-top-k")
    draws = []
    for _ in range(2000):
        order = np.lexsort((rng.random(3000), distances))
        draws.append(ap_of_ranking(relevance[order].tolist(), 100, "hits-in-top-k"))
    assert abs(np.mean(draws) - found) < 4 * np.std(draws) / 2000**0.5


def test_ndcg_by_hand():
    # Gains 1, 2 in that order: (1 + 2 / log2 3) / (2 + 1 / log2 3).
    d, gains = np.array([[0, 1, 2]]), np.array([[1, 2, 0]])
    third = 1 / math.log2(3)
    np.testing.assert_allclose(ndcg(d, gains), [(1 + 2 * third) / (2 + third)])
    # At a cutoff of 1 there is the first alone, and the best would have 2.
    np.testing.assert_allclose(ndcg(d, gains, cutoff=1), [1 / 2])
    # The first two tied: each stands at either position half of the time, 3/2 at both.
    np.testing.assert_allclose(ndcg(np.array([[0, 0, 1]]), gains), [1.5 * (1 + third) / (2 + third)])
    assert ndcg(np.array([[1, 0, 2]]), gains) == 1
    np.testing.assert_allclose(ndcg(d, gains * 0.25), ndcg(d, gains))


def test_ndcg_refuses_what_it_cannot_use():
    d = np.array([[0, 1, 2], [0, 1, 2]])
    with pytest.raises(InputError, match=r"gains are int64 \(2, 2\); allowed are integers or floats of the shape"):
        ndcg(d, np.ones((2, 2), dtype=np.int64))
    with pytest.raises(InputError, match="gains are bool"):
        ndcg(d, np.ones((2, 3), dtype=bool))
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="a gain is negative or not finite; allowed are 0 and more"):
            ndcg(d, np.full((2, 3), bad))
    with pytest.raises(InputError, match=r"query row 1 has no item with a gain \(1 such queries\)"):
        ndcg(d, np.array([[0, 1, 0], [0, 0, 0]]))
    with pytest.raises(InputError, match="cutoff is 0"):
        ndcg(d, np.ones((2, 3)), cutoff=0)
    with pytest.raises(InputError, match="NaN"):
        ndcg(np.array([[0.0, np.nan]]), np.ones((1, 2)))


def test_a_perfect_ranking_is_exactly_one_and_one_item_works():
    d, rel = np.array([[0, 0, 0, 1, 1, 2]]), np.array([[True, True, True, False, False, False]])
    for ties in ("expected", "best", "worst"):
        assert average_precision(d, rel, ties=ties) == 1
        assert average_precision(d, rel, ties=ties, cutoff=2) == 1
    assert average_precision(np.array([[5]]), np.array([[True]])) == 1


def test_without_ties_every_policy_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    distances = np.stack([rng.permutation(60) for _ in range(20)])
    relevance = rng.random((20, 60)) < 0.3
    for cutoff in (None, 1, 7, 59, 60, 500):
        ranked = np.take_along_axis(relevance, np.argsort(distances), axis=1)
        wanted = [ap_of_ranking(row.tolist(), cutoff) for row in ranked]
        for ties in ("expected", "best", "worst"):
            for dtype in (np.int64, np.float64):
                found = average_precision(distances.astype(dtype), relevance, cutoff=cutoff, ties=ties)
                np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_best_expected_worst_are_in_order_and_random_orders_average_to_expected():
    rng = np.random.default_rng(1)
    distances = rng.integers(0, 5, (30, 200))
    relevance = rng.random((30, 200)) < 0.2
    for cutoff in (None, 50):
        best, expected, worst = (
            average_precision(distances, relevance, cutoff=cutoff, ties=ties) for ties in ("best", "expected", "worst")
        )
        assert (best >= expected).all()
        assert (expected >= worst).all()
    draws = []
    for _ in range(500):
        order = np.lexsort((rng.random(200), distances[0]))
        draws.append(ap_of_ranking(relevance[0, order].tolist()))
    assert abs(np.mean(draws) - average_precision(distances, relevance)[0]) < 4 * np.std(draws) / 500**0.5


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.int64, np.uint64, np.float16, np.float64])
def test_counting_and_sorting_agree_for_every_dtype(dtype):
    rng = np.random.default_rng(2)
    distances = rng.integers(-100, 101, (5, 80)) + (100 if np.dtype(dtype).kind == "u" else 0)
    relevance = rng.random((5, 80)) < 0.3
    given = distances.astype(dtype)
    np.testing.assert_array_equal(average_precision(given, relevance), average_precision(distances * 0.5, relevance))


def test_integers_at_the_ends_of_their_range():
    high = np.iinfo(np.uint64).max
    relevance = np.array([[True, False, True]])
    near = np.array([[high - 2, high - 1, high]], dtype=np.uint64)
    far = np.array([[np.iinfo(np.int64).min, 0, np.iinfo(np.int64).max]])
    for distances in (near, far):
        np.testing.assert_allclose(average_precision(distances, relevance), [5 / 6])
    # Infinite floats are far, and equal to each other.
    np.testing.assert_allclose(
        average_precision(np.array([[0, np.inf, np.inf]]), relevance), [(1 + (1 + 2 / 3) / 2) / 2]
    )


def test_the_order_of_items_does_not_matter():
    rng = np.random.default_rng(3)
    distances, relevance = rng.integers(0, 4, (3, 50)), rng.random((3, 50)) < 0.3
    order = rng.permutation(50)
    for cutoff in (None, 10):
        np.testing.assert_array_equal(
            average_precision(distances, relevance, cutoff=cutoff),
            average_precision(distances[:, order], relevance[:, order], cutoff=cutoff),
        )


def test_mean_average_precision_is_the_mean():
    rng = np.random.default_rng(4)
    distances, relevance = rng.integers(0, 4, (9, 50)), rng.random((9, 50)) < 0.3
    for options in ({}, {"cutoff": 5}, {"ties": "worst"}, {"ties": "best", "cutoff": 9}):
        found = mean_average_precision(distances, relevance, **options)
        assert isinstance(found, float)
        assert found == average_precision(distances, relevance, **options).mean()


def test_precision_within_a_radius():
    distances = np.array([[0, 1, 2, 3], [3, 3, 3, 3]])
    relevance = np.array([[True, False, True, True], [True, True, True, True]])
    # Query 0: two of the three within 2. Query 1: nothing within 2, which counts as 0.
    np.testing.assert_allclose(precision_within(distances, relevance, 2), [2 / 3, 0])
    np.testing.assert_allclose(precision_within(distances, relevance, 3), [3 / 4, 1])
    assert precision_within(np.empty((2, 0)), np.empty((2, 0), dtype=bool), 2).tolist() == [0, 0]


def test_precision_recall_curve_by_hand():
    # Thresholds 0, 1, 2 take (1 of 1), (2 of 4), (3 of 5) relevant: recall 1/3, 2/3, 1 at precision 1, 1/2, 3/5.
    # Interpolated, recall 2/3 has 3/5, because the larger threshold is better.
    distances, relevance = np.array([[0, 1, 1, 1, 2]]), np.array([[True, True, False, False, True]])
    curve = precision_recall_curve(distances, relevance, points=4)
    np.testing.assert_allclose(curve.recall, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(curve.precision, [1, 1, 3 / 5, 3 / 5])


def test_a_level_of_recall_that_is_met_exactly_does_not_hang_on_rounding():
    # 3 of 10 relevant at distance 0; 0.3 as a float of linspace is a little above 3/10.
    distances = np.array([[0] * 3 + [1] * 17])
    relevance = np.array([[True] * 10 + [False] * 10])
    curve = precision_recall_curve(distances, relevance, points=11)
    np.testing.assert_array_equal(curve.precision, [1] * 4 + [0.5] * 7)


def test_precision_recall_curve_meets_a_slow_one():
    rng = np.random.default_rng(5)
    distances, relevance = rng.integers(0, 9, (7, 40)), rng.random((7, 40)) < 0.3
    wanted = np.zeros(21)
    for d, rel in zip(distances, relevance, strict=True):
        for i in range(21):
            wanted[i] += max(rel[d <= t].mean() for t in set(d.tolist()) if 20 * rel[d <= t].sum() >= i * rel.sum())
    for dtype in (np.uint16, np.float32):
        curve = precision_recall_curve(distances.astype(dtype), relevance, points=21)
        np.testing.assert_allclose(curve.precision, wanted / 7)
    assert len(precision_recall_curve(distances, relevance).recall) == 101


def test_inputs_are_not_changed():
    rng = np.random.default_rng(6)
    for distances in (rng.integers(0, 9, (3, 20)), rng.random((3, 20))):
        relevance = rng.random((3, 20)) < 0.5
        before = distances.copy(), relevance.copy()
        average_precision(distances, relevance, cutoff=5)
        precision_at(distances, relevance, 5)
        precision_within(distances, relevance, 2)
        precision_recall_curve(distances, relevance)
        np.testing.assert_array_equal(distances, before[0])
        np.testing.assert_array_equal(relevance, before[1])


@pytest.mark.parametrize(
    "metric",
    [
        average_precision,
        mean_average_precision,
        precision_recall_curve,
        lambda d, r: precision_at(d, r, 1),
        lambda d, r: found_at(d, r, 1),
        lambda d, r: precision_within(d, r, 1),
    ],
)
def test_every_metric_refuses_arrays_that_do_not_fit(metric):
    d, rel = np.zeros((2, 3)), np.ones((2, 3), dtype=bool)
    with pytest.raises(InputError, match=r"allowed are integers or floats of shape \(q, n\)"):
        metric(d[0], rel[0])
    with pytest.raises(InputError, match="distances are bool"):
        metric(rel, rel)
    with pytest.raises(InputError, match="relevance is int64; allowed is bool"):
        metric(d, rel.astype(np.int64))
    with pytest.raises(InputError, match="give equal shapes"):
        metric(d, rel[:, :2])
    d[1, 2] = np.nan
    with pytest.raises(InputError, match="query row 1 hold NaN"):
        metric(d, rel)


@pytest.mark.parametrize("metric", [average_precision, mean_average_precision, precision_recall_curve])
def test_a_query_without_a_relevant_item_is_named(metric):
    rel = np.array([[True, False], [False, False], [False, False]])
    with pytest.raises(
        InputError, match=r"query row 1 has no relevant item \(2 such queries\).*leave such queries out"
    ):
        metric(np.zeros((3, 2)), rel)
    with pytest.raises(InputError, match="query row 0 has no relevant item"):
        metric(np.zeros((1, 0)), np.zeros((1, 0), dtype=bool))


def test_bad_options_are_refused():
    d, rel = np.zeros((2, 3)), np.ones((2, 3), dtype=bool)
    with pytest.raises(InputError, match="cutoff is 0; allowed are integers of at least 1"):
        average_precision(d, rel, cutoff=0)
    with pytest.raises(InputError, match=r"cutoff is 2\.0"):
        average_precision(d, rel, cutoff=2.0)
    with pytest.raises(InputError, match="ties is 'random'; allowed are 'expected', 'best', 'worst' and 'row'"):
        average_precision(d, rel, ties="random")
    with pytest.raises(InputError, match="convention is 'mine'; allowed are 'normal', 'hits-in-top-k' and 'all-rel"):
        average_precision(d, rel, convention="mine")
    with pytest.raises(InputError, match="k is 0"):
        precision_at(d, rel, 0)
    with pytest.raises(InputError, match="k is 4, but there are only 3 items"):
        precision_at(d, rel, 4)
    with pytest.raises(InputError, match="k is 4, but there are only 3 items"):
        found_at(d, rel, 4)
    for radius in (None, "2"):
        with pytest.raises(InputError, match="radius is"):
            precision_within(d, rel, radius)
    with pytest.raises(InputError, match="radius is nan"):
        precision_within(d, rel, float("nan"))
    with pytest.raises(InputError, match="points is 1; allowed is at least 2"):
        precision_recall_curve(d, rel, points=1)


def test_no_queries_have_no_mean():
    d, rel = np.zeros((0, 3)), np.zeros((0, 3), dtype=bool)
    assert average_precision(d, rel).shape == (0,)
    assert precision_at(d, rel, 2).shape == (0,)
    with pytest.raises(InputError, match="0 queries, so no mean"):
        mean_average_precision(d, rel)
    with pytest.raises(InputError, match="0 queries, so no curve"):
        precision_recall_curve(d, rel)
