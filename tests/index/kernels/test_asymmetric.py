"""The compiled asymmetric scan against the plain definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.distances import asymmetric_distances, symbol_losses, top_k
from ordhash.index.kernels import asymmetric, nearest_asymmetric
from ordhash.index.kernels.registers import has_look_up
from ordhash.index.planes import BLOCK, PlaneCodes

ARITIES = (2, 4, 8, 16, 32, 64, 128, 256)


def random_codes(n, spec, seed, *, kinds=None):
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, min(kinds or spec.arity, spec.arity), (n, spec.n_segments))
    return OrdinalCodes(symbols.astype(np.uint8), spec)


def random_scores(q, spec, seed, *, spread=2.0):
    return np.random.default_rng(seed).normal(size=(q, spec.n_segments, spec.arity)) * spread


@pytest.fixture
def shared(monkeypatch):
    """Work is shared among threads however little there is."""
    monkeypatch.setattr(asymmetric, "least_blocks", lambda n_queries: 1)


def check(database, scores, k, of="probabilities"):
    found, rows = nearest_asymmetric(PlaneCodes.of(database), symbol_losses(scores, database.spec, of=of), k)
    every = asymmetric_distances(scores, database, of=of)
    wanted = top_k(every, k)
    np.testing.assert_array_equal(rows, wanted)
    np.testing.assert_array_equal(found, np.take_along_axis(every, wanted, axis=1))
    assert (found.dtype, rows.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("arity", ARITIES)
@settings(max_examples=30, deadline=None)
@given(
    n_segments=st.integers(1, 40),
    n=st.integers(0, 600),
    q=st.integers(0, 5),
    k=st.integers(0, 600),
    kinds=st.integers(1, 4),
    spread=st.sampled_from([0.0, 1e-30, 0.1, 3.0, 1e30]),
    of=st.sampled_from(["probabilities", "log-probabilities"]),
    seed=st.integers(0, 99),
)
def test_the_nearest_are_those_of_the_definition(arity, n_segments, n, q, k, kinds, spread, of, seed):
    spec = CodeSpec.of_segments(n_segments, arity)
    scores = random_scores(q, spec, seed, spread=spread)
    check(random_codes(n, spec, seed + 1, kinds=kinds), scores, min(k, n), of)


@pytest.mark.parametrize(("arity", "n_segments"), [(4, 24), (2, 300), (4, 512), (2, 1024), (16, 12), (256, 128)])
@pytest.mark.parametrize("k", [1, 100, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("shared")
def test_the_nearest_over_several_blocks(arity, n_segments, k):
    spec = CodeSpec.of_segments(n_segments, arity)
    check(random_codes(2 * BLOCK + 77, spec, 0), random_scores(2, spec, 1), k)


@pytest.mark.usefixtures("shared")
def test_more_equals_than_are_wanted():
    spec = CodeSpec(12, 4)
    for kinds in (1, 2):
        database = random_codes(3 * BLOCK, spec, 0, kinds=kinds)
        for k in (1, 10, BLOCK, len(database)):
            check(database, random_scores(2, spec, 1), k)


def test_codes_in_order_of_their_distance_from_far_to_near():
    """Every code is nearer than all before it, so the limit falls with every row."""
    spec, scores = CodeSpec(24, 4), random_scores(1, CodeSpec(24, 4), 0)
    codes = random_codes(5000, spec, 1)
    order = np.argsort(-asymmetric_distances(scores, codes)[0])
    check(codes[order], scores, 10)


def test_losses_too_large_for_a_float():
    scores = np.array([[[0.0, -1e300], [0.0, -1.0]]])
    database = OrdinalCodes.from_symbols([[1, 0], [0, 1], [1, 1], [0, 0]] * 100, arity=2)
    with np.errstate(over="ignore"):
        for k in (1, 150, 250, 400):
            check(database, scores, k, "log-probabilities")


def test_more_queries_than_share_a_pass():
    spec = CodeSpec(48, 4)
    check(random_codes(500, spec, 0), random_scores(150, spec, 1), 7)


def test_sums_in_registers_are_those_one_by_one():
    if not has_look_up():
        pytest.skip("the processor has no AVX2, so sums are taken one by one here")
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 16, (30, 512)).astype(np.uint8)
    columns[rng.random(columns.shape) < 0.3] = 128
    for largest in (1, 10, 25, 256):
        tables = rng.integers(0, largest, (30, 16)).astype(np.uint8)
        every = np.where(columns < 16, np.take_along_axis(tables, columns % 16, axis=1), 0).sum(axis=0).clip(max=255)
        for start in range(0, 512, 128):
            for sums_of in (asymmetric._sums_in_registers, asymmetric._sums_one_by_one):
                sums = np.zeros(128, dtype=np.uint8)
                near = sums_of(columns, tables, start, sums)
                np.testing.assert_array_equal(sums, every[start : start + 128])
                assert near == (sums < 255).any()
    tables[:] = 255
    assert not asymmetric._sums_in_registers(columns, tables, 0, sums)
    assert not asymmetric._sums_one_by_one(columns, tables, 0, sums)
