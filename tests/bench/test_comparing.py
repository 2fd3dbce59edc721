import dataclasses

import numpy as np
import pytest
from scipy import stats

from ordhash.bench.comparing import compare, paired_interval
from ordhash.bench.results import Comparison, FinishedRun, Outcome, Ranking, Results, Row

ROWS = [Row("raw", "raw"), Row("a", "pq"), Row("b", "dpsh"), Row("c", "csq")]


def test_one_seed_is_a_paired_t_test():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 1, 30))
    mean, half = paired_interval(one, other)
    interval = stats.ttest_rel(one[0], other[0]).confidence_interval()
    assert (mean - half, mean + half) == pytest.approx((interval.low, interval.high))


def test_seeds_that_change_nothing_do_not_make_the_interval_narrower():
    rng = np.random.default_rng(1)
    one, other = np.repeat(rng.random((2, 1, 30)), 3, axis=1)
    assert paired_interval(one, other) == pytest.approx(paired_interval(one[:1], other[:1]))


@pytest.mark.parametrize(("of_seeds", "of_queries", "rest"), [(0.02, 0.2, 0.1), (0.1, 0.05, 0.02), (0.0, 0.2, 0.3)])
def test_the_interval_holds_the_difference_as_often_as_it_says(of_seeds, of_queries, rest):
    rng, held = np.random.default_rng(2), 0
    for _ in range(1000):
        difference = 0.3 + rng.normal(scale=of_seeds, size=(3, 1)) + rng.normal(scale=of_queries, size=(1, 40))
        mean, half = paired_interval(difference + rng.normal(scale=rest, size=(3, 40)), np.zeros((3, 40)))
        held += abs(mean - 0.3) <= half
    assert 0.93 <= held / 1000 <= 0.99


def test_methods_that_are_the_same_differ_by_nothing():
    assert paired_interval(np.ones((3, 5)), np.ones((3, 5))) == (0.0, 0.0)


def results(comparisons):
    return Results("r", "", "0.1.0", {}, "", "", [12], 1, ROWS, [], comparisons=list(comparisons))


def run(row, seed, precisions, *, bits=12, distance="ordinal", adopted=False):
    ranking = Ranking(float(np.mean(precisions)), 0, 0, None, {}, {}, average_precisions=() if adopted else precisions)
    method = next(one.method for one in ROWS if one.name == row)
    outcome = Outcome(**{distance: ranking})
    return FinishedRun(row, method, bits, 2, seed, None, "grocery", "0.1.0", outcome, adopted=adopted)


def test_the_best_meets_every_other_method_but_no_bound():
    rng = np.random.default_rng(3)
    level = {"a": 0.5, "b": 0.7, "c": 0.6}
    made = {
        (row, seed): tuple((level[row] + rng.normal(scale=0.1, size=20)).tolist()) for row in level for seed in (0, 1)
    }
    del made["a", 1]  # a method without chance has one run
    runs = [run(row, seed, values) for (row, seed), values in made.items()]
    raw = FinishedRun("raw", "raw", None, 2, 0, None, "grocery", "0.1.0", runs[0].outcome)
    first, second = compare([*runs, raw], ROWS)
    assert (first.best, first.row, second.best, second.row) == ("b", "a", "b", "c")
    b, c = (np.array([made[row, 0], made[row, 1]]) for row in "bc")
    assert (second.mean, second.half) == pytest.approx(paired_interval(b, c), abs=1e-5)
    a = np.array([made["a", 0], made["a", 0]])
    assert (first.mean, first.half) == pytest.approx(paired_interval(b, a), abs=1e-5)


def test_what_another_machine_compared_holds_where_all_runs_are_its_own():
    known = results(Comparison("grocery", bits, "ordinal", "b", "a", 0.2, 0.1) for bits in (12, 24))
    theirs = [run(row, 0, (0.5, 0.6), adopted=True) for row in "ab"]
    known.runs = [dataclasses.replace(one, code_bits=bits) for one in theirs for bits in (12, 24)]
    mixed = [run("a", 0, (0.5, 0.6), bits=24, adopted=True), run("b", 0, (0.5, 0.7), bits=24)]
    assert compare([*theirs, *mixed], ROWS, known) == known.comparisons[:1]


@pytest.mark.parametrize(
    ("best", "others", "held"),
    [
        ("b", "a", "a"),  # the same rows
        ("b", "ac", "a"),  # a row more, which was not the best
        ("c", "ab", ""),  # the best is none of these
        ("b", "c", ""),  # nothing is known of the other
    ],
)
def test_what_another_machine_compared_holds_only_between_the_rows_that_are_here(best, others, held):
    known = results(Comparison("grocery", 12, "ordinal", best, other, 0.2, 0.1) for other in others)
    known.runs = [run(row, 0, (0.5, 0.6)) for row in (best, *others)]
    theirs = [run(row, 0, (0.5, 0.6), adopted=True) for row in "ab"]
    assert [one.row for one in compare(theirs, ROWS, known)] == list(held)


def test_what_another_machine_compared_holds_only_for_the_same_seeds():
    known = results([Comparison("grocery", 12, "ordinal", "a", "b", 0.2, 0.1)])
    known.runs = [run(row, seed, (0.5, 0.6), adopted=True) for row in "ab" for seed in (0, 1)]
    assert compare(known.runs, ROWS, known) == known.comparisons
    assert compare([one for one in known.runs if one.seed == 0], ROWS, known) == []
    assert compare([one for one in known.runs if one.row == "a" or one.seed == 1], ROWS, known) == []


def test_a_single_seed_is_not_compared_with_several_but_with_its_like():
    rng = np.random.default_rng(4)
    runs = [run(row, seed, tuple(rng.random(20).tolist())) for row in "bc" for seed in (0, 1, 2)]
    assert len(compare(runs, ROWS)) == 1
    assert compare([one for one in runs if one.row == "b" or one.seed == 2], ROWS) == []
    two = [one for one in runs if one.row == "b" or one.seed > 0]
    (found,) = compare(two, ROWS)
    both = [[one.outcome.ordinal.average_precisions for one in two if one.row == row] for row in "bc"]
    mean, half = paired_interval(np.array(both[0][1:]), np.array(both[1]))
    sign = 1 if found.best == "b" else -1
    assert (sign * found.mean, found.half) == pytest.approx((mean, half), abs=1e-5)
    assert len(compare([one for one in runs if one.seed == 1], ROWS)) == 1  # where there is one seed of all
