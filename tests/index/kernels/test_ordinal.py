"""Compiled scans against the plain definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.distances import ordinal_distances, top_k
from ordhash.index.kernels import nearest, ordinal, within
from ordhash.index.planes import BLOCK, PlaneCodes

ARITIES = (2, 4, 8, 16, 32, 64, 128, 256)


def random_codes(n, spec, seed, *, kinds=None):
    """Codes whose symbols come from a few kinds, so that distances are full of ties."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, min(kinds or spec.arity, spec.arity), (n, spec.n_segments))
    return OrdinalCodes(symbols.astype(np.uint8), spec)


@pytest.fixture
def shared(monkeypatch):
    """Work is shared among threads however little there is."""
    monkeypatch.setattr(ordinal, "least_blocks", lambda n_queries: 1)


def check(database, queries, k):
    distances, rows = nearest(PlaneCodes.of(database), queries, k)
    every = ordinal_distances(queries, database)
    wanted = top_k(every, k)
    np.testing.assert_array_equal(rows, wanted)
    np.testing.assert_array_equal(distances, np.take_along_axis(every, wanted, axis=1))


def check_within(database, query, radius):
    distances, rows = within(PlaneCodes.of(database), query, radius)
    every = ordinal_distances(query, database)[0]
    order = np.argsort(every, kind="stable")
    wanted = order[every[order] <= radius]
    np.testing.assert_array_equal(rows, wanted)
    np.testing.assert_array_equal(distances, every[wanted])


@pytest.mark.parametrize("arity", ARITIES)
@settings(max_examples=30, deadline=None)
@given(
    n_segments=st.integers(1, 40),
    n=st.integers(0, 300),
    q=st.integers(0, 5),
    k=st.integers(0, 300),
    kinds=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_the_nearest_are_those_of_the_definition(arity, n_segments, n, q, k, kinds, seed):
    spec = CodeSpec.of_segments(n_segments, arity)
    database, queries = (random_codes(size, spec, seed + i, kinds=kinds) for i, size in enumerate((n, q)))
    check(database, queries, min(k, n))


@pytest.mark.parametrize(("arity", "n_segments"), [(4, 24), (2, 300), (4, 512), (2, 1024), (16, 12), (256, 6)])
@pytest.mark.parametrize("k", [1, 100, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("shared")
def test_the_nearest_over_several_blocks(arity, n_segments, k):
    spec = CodeSpec.of_segments(n_segments, arity)
    check(random_codes(2 * BLOCK + 77, spec, 0), random_codes(3, spec, 1), k)


@pytest.mark.parametrize("kinds", [1, 2])
@pytest.mark.usefixtures("shared")
def test_more_equals_than_are_wanted(kinds):
    spec = CodeSpec(12, 4)
    database = random_codes(3 * BLOCK, spec, 0, kinds=kinds)
    for k in (1, 10, BLOCK, len(database)):
        check(database, random_codes(2, spec, 1, kinds=kinds), k)


def test_more_queries_than_share_a_pass():
    spec = CodeSpec(48, 4)
    check(random_codes(500, spec, 0), random_codes(150, spec, 1), 7)


@pytest.mark.parametrize("arity", ARITIES)
@settings(max_examples=20, deadline=None)
@given(n_segments=st.integers(1, 40), n=st.integers(0, 300), radius=st.integers(0, 45), seed=st.integers(0, 99))
def test_what_lies_within_a_radius_is_that_of_the_definition(arity, n_segments, n, radius, seed):
    spec = CodeSpec.of_segments(n_segments, arity)
    database, query = random_codes(n, spec, seed, kinds=3), random_codes(1, spec, seed + 1, kinds=3)
    check_within(database, query, radius)


@pytest.mark.parametrize("kinds", [2, 4])
@pytest.mark.parametrize("radius", [0, 4, 6])
@pytest.mark.usefixtures("shared")
def test_what_lies_within_a_radius_over_several_blocks(kinds, radius):
    spec = CodeSpec(12, 4)
    check_within(random_codes(3 * BLOCK + 77, spec, 0, kinds=kinds), random_codes(1, spec, 1, kinds=kinds), radius)


@pytest.mark.parametrize("arity", ARITIES)
@pytest.mark.parametrize("n_segments", [24, 12, 6, 16])
def test_codes_take_hardly_more_room_than_packed_ones(arity, n_segments):
    spec = CodeSpec.of_segments(n_segments, arity)
    planes = PlaneCodes.of(random_codes(BLOCK, spec, 0))
    assert planes.blocks.nbytes <= BLOCK * (spec.packed_bytes + spec.bits_per_symbol / 4 + 0.5)
    if arity in (2, 4) or n_segments != 6:
        assert planes.blocks.nbytes == BLOCK * spec.packed_bytes
