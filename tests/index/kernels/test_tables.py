"""Multi-index hashing against the plain definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.distances import ordinal_distances
from ordhash.index.kernels import Tables, walk
from ordhash.index.planes import BLOCK, PlaneCodes

ENOUGH = 1 << 40


def random_codes(n, spec, seed, *, kinds=None):
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, min(kinds or spec.arity, spec.arity), (n, spec.n_segments))
    return OrdinalCodes(symbols.astype(np.uint8), spec)


def check(codes, queries, k, radius, share=1.0, budget=ENOUGH):
    """What is said to be complete is what a sort of all distances gives."""
    mask = np.random.default_rng(0).random(len(codes)) < share
    allowed = None if share == 1 else np.packbits(mask, bitorder="little")
    found, done = walk(Tables.of(PlaneCodes.of(codes)), queries, k, radius, allowed=allowed, budget=budget)
    for every, (distances, rows), complete in zip(ordinal_distances(queries, codes), found, done, strict=True):
        if complete:
            order = np.argsort(every, kind="stable")
            wanted = order[(every[order] <= radius) & (mask[order] | (share == 1))][:k]
            np.testing.assert_array_equal(rows, wanted)
            np.testing.assert_array_equal(distances, every[wanted])
    return done


@pytest.mark.parametrize("arity", [2, 4, 8, 16, 256])
@settings(max_examples=40, deadline=None)
@given(
    n_segments=st.integers(1, 30),
    n=st.integers(0, 300),
    k=st.integers(1, 50),
    radius=st.integers(0, 30),
    kinds=st.integers(1, 4),
    share=st.sampled_from([0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_what_is_complete_is_what_the_definition_says(arity, n_segments, n, k, radius, kinds, share, seed):
    spec = CodeSpec.of_segments(n_segments, arity)
    codes, queries = (random_codes(size, spec, seed + i, kinds=kinds) for i, size in enumerate((n, 3)))
    check(codes, queries, k, radius, share)


@pytest.mark.parametrize(("arity", "n_segments"), [(4, 24), (2, 32), (16, 8), (4, 7), (2, 300)])
@pytest.mark.parametrize("radius", [3, 24])
def test_many_codes(arity, n_segments, radius):
    """With budget enough, near ones are found whatever the tables look like."""
    spec = CodeSpec.of_segments(n_segments, arity)
    codes = random_codes(4 * BLOCK + 77, spec, 0)
    near = codes.symbols[::9000].copy()
    near[:, 0] ^= 1
    done = check(codes, OrdinalCodes(near, spec), 2, radius)
    if radius == 3:
        assert done.all()


def test_a_query_gives_up_where_a_scan_is_cheaper():
    spec = CodeSpec(48, 4)
    codes = random_codes(4 * BLOCK, spec, 0)
    far = random_codes(3, spec, 1)
    assert not check(codes, far, 100, 24, budget=len(codes)).any()
    assert check(codes, codes[:3], 1, 24, budget=len(codes)).all()


def test_more_equals_than_are_wanted():
    spec = CodeSpec(12, 4)
    codes = random_codes(3 * BLOCK, spec, 0, kinds=2)
    for k in (1, 10, 5000, 20_000):
        assert check(codes, random_codes(2, spec, 1, kinds=2), k, 6).all()
