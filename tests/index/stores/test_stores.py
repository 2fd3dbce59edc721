"""Stores give what the plain definition gives, whichever way codes are kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.distances import asymmetric_distances, ordinal_distances, symbol_losses, top_k
from ordhash.index.planes import BLOCK, PlaneCodes
from ordhash.index.stores import Distinct, Grown, Plain, Scan, Tabled, store_of

SPEC = CodeSpec(48, 4)


def repeated_codes(n, n_distinct, seed=0, spec=SPEC):
    """Codes that come from a few, some often and some once."""
    rng = np.random.default_rng(seed)
    distinct = rng.integers(0, spec.arity, (n_distinct, spec.n_segments)).astype(np.uint8)
    return OrdinalCodes(distinct[(n_distinct * rng.random(n) ** 3).astype(int)], spec)


def distinct_store(codes):
    """The distinct store, also of few codes."""
    symbols, inverse = np.unique(codes.symbols, axis=0, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable").astype(np.uint32)
    offsets = np.append(0, np.cumsum(np.bincount(inverse.ravel(), minlength=len(symbols))))
    return Distinct(PlaneCodes.of(OrdinalCodes(symbols, codes.spec)), offsets, order)


def grown_store(codes):
    parts = np.array_split(np.arange(len(codes)), 3)
    store = Grown(distinct_store(codes[parts[0]]), Scan(PlaneCodes.of(codes[parts[1]])))
    return store.extended(codes[parts[2]])


def tabled_store(codes):
    return Tabled.of(Scan(PlaneCodes.of(codes)))


STORES = {
    "scan": lambda codes: Scan(PlaneCodes.of(codes)),
    "distinct": distinct_store,
    "grown": grown_store,
    "tabled": tabled_store,
    "plain": Plain,
}


def check_found(found, every, wanted):
    np.testing.assert_array_equal(found[1], wanted)
    np.testing.assert_array_equal(found[0], np.take_along_axis(every, wanted, axis=-1))
    assert (found[0].dtype, found[1].dtype) == (every.dtype, np.int64)


def check(store, codes, seed, k, radius, share):
    """All three searches, among a share of the rows."""
    rng = np.random.default_rng(seed)
    mask = rng.random(len(codes)) < share
    bits, rows = (
        (None, np.arange(len(codes))) if share == 1 else (np.packbits(mask, bitorder="little"), mask.nonzero()[0])
    )
    k = min(k, len(rows))
    queries, scores = repeated_codes(3, 3, seed, codes.spec), rng.normal(size=(3, codes.spec.n_segments, 4))
    every = ordinal_distances(queries, codes)
    check_found(store.nearest(queries, k, bits), every, rows[top_k(every[:, rows], k)].reshape(3, k))
    every = asymmetric_distances(scores, codes)
    losses = symbol_losses(scores, codes.spec)
    check_found(store.nearest_asymmetric(losses, k, bits), every, rows[top_k(every[:, rows], k)].reshape(3, k))
    for found, every in zip(store.within(queries, radius, bits), ordinal_distances(queries, codes), strict=True):
        wanted = rows[np.argsort(every[rows], kind="stable")]
        check_found(found, every, wanted[every[wanted] <= radius])
    assert store.within(queries[:0], radius, bits) == []
    np.testing.assert_array_equal(store.symbols(), codes.symbols)
    some = rng.integers(0, len(codes), 20)  # in any order, some twice
    np.testing.assert_array_equal(store.symbols_at(some), codes.symbols[some])
    assert store.symbols_at(some[:0]).shape == (0, codes.spec.n_segments)
    assert store.n == len(codes)


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(3, 400),
    n_distinct=st.integers(1, 100),
    k=st.integers(0, 400),
    radius=st.integers(0, 24),
    share=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    seed=st.integers(0, 99),
)
def test_what_a_store_finds_is_what_the_definition_says(kind, n, n_distinct, k, radius, share, seed):
    codes = repeated_codes(n, n_distinct, seed)
    check(STORES[kind](codes), codes, seed, k, radius, share)


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_many_rows_of_few_codes(kind, share):
    codes = repeated_codes(3 * BLOCK + 5, 300)
    for k in (1, 100, 5000):
        check(STORES[kind](codes), codes, 0, k, 4, share)


def test_a_filter_that_few_codes_meet():
    codes = repeated_codes(2 * BLOCK, 5000)
    store = distinct_store(codes)
    mask = np.zeros(len(codes), dtype=bool)
    mask[[5, 4000, 30_000]] = True
    distances, rows = store.nearest(codes[:200], 3, np.packbits(mask, bitorder="little"))
    assert (np.sort(rows, axis=1) == [5, 4000, 30_000]).all()
    np.testing.assert_array_equal(distances, np.take_along_axis(ordinal_distances(codes[:200], codes), rows, axis=1))


def test_codes_that_repeat_are_kept_once_where_memory_allows():
    store = store_of(repeated_codes(3 * BLOCK, 1000))
    assert isinstance(store, Distinct)
    assert store.n_distinct <= 1000
    check(store, repeated_codes(3 * BLOCK, 1000), 0, 100, 4, 1.0)
    assert isinstance(store_of(repeated_codes(BLOCK - 1, 10)), Scan)  # few are scanned as fast
    assert isinstance(store_of(repeated_codes(3 * BLOCK, 20 * BLOCK)), Scan)  # hardly any repeat
    short = CodeSpec(12, 4)
    assert isinstance(store_of(repeated_codes(3 * BLOCK, 100, spec=short)), Scan)  # rows take more room than codes
    assert isinstance(store_of(repeated_codes(0, 1)), Scan)


@pytest.mark.parametrize("code_bits", [48, 64, 130])
def test_the_memory_of_a_store(code_bits):
    spec = CodeSpec(code_bits, 4)
    for codes in (repeated_codes(8 * BLOCK, 100, spec=spec), repeated_codes(8 * BLOCK, 8 * BLOCK, spec=spec)):
        assert store_of(codes).nbytes <= 1.15 * len(codes) * spec.packed_bytes


def test_a_store_grows_in_steps_of_any_size():
    codes = repeated_codes(2 * BLOCK + 100, 500)
    store, first = Scan(PlaneCodes.of(codes[:10])), 10
    grown = Grown(store, Scan(PlaneCodes.of(codes[10:10])))
    for size in (1, 0, 7, BLOCK - 30, 1, 40, BLOCK):
        grown = grown.extended(codes[first : first + size])
        first += size
        np.testing.assert_array_equal(grown.symbols(), codes.symbols[:first])
    check(grown, codes[:first], 0, 50, 3, 1.0)
