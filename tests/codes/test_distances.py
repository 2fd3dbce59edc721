import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.distances import (
    TILE_CODES,
    TILE_QUERIES,
    asymmetric_distances,
    ordinal_distances,
    sums_of_losses,
    top_k,
)
from ordhash.errors import InputError


def random_codes(n, n_segments, arity, seed, model_id=None):
    symbols = np.random.default_rng(seed).integers(0, arity, (n, n_segments))
    return OrdinalCodes.from_symbols(symbols, arity=arity, model_id=model_id)


def ordinal_slowly(queries, database):
    return np.array(
        [[sum(a != b for a, b in zip(x, y, strict=True)) for y in database.symbols] for x in queries.symbols]
    ).reshape(len(queries), len(database))


def asymmetric_slowly(scores, database, of):
    out = np.zeros((len(scores), len(database)))
    for i, query in enumerate(scores):
        for j, code in enumerate(database.symbols):
            for z, symbol in zip(query, code, strict=True):
                exp = np.exp(z - z.max())
                p = exp / exp.sum()
                if of == "log-probabilities":
                    p = np.log(p)
                out[i, j] += p.max() - p[symbol]
    return out


@settings(deadline=None, derandomize=True)
@given(st.sampled_from([2, 4, 16, 256]), st.integers(1, 20), st.integers(0, 6), st.integers(0, 9), st.integers(0, 999))
def test_ordinal_distance_counts_the_segments_that_differ(arity, n_segments, q, n, seed):
    queries, database = random_codes(q, n_segments, arity, seed), random_codes(n, n_segments, arity, seed + 1)
    found = ordinal_distances(queries, database)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, ordinal_slowly(queries, database))


@settings(deadline=None, derandomize=True)
@given(st.sampled_from([2, 4, 8]), st.integers(1, 9), st.integers(0, 999))
def test_ordinal_distance_is_a_metric(arity, n_segments, seed):
    codes = random_codes(8, n_segments, arity, seed)
    d = ordinal_distances(codes, codes).astype(int)
    np.testing.assert_array_equal(d, d.T)
    same = (codes.symbols[:, None] == codes.symbols[None]).all(axis=2)
    np.testing.assert_array_equal(d == 0, same)
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :]).all()


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 70), st.integers(0, 999))
def test_at_arity_two_it_is_the_hamming_distance_of_the_packed_bits(n_segments, seed):
    queries, database = random_codes(3, n_segments, 2, seed), random_codes(5, n_segments, 2, seed + 1)
    differing = queries.packed()[:, None] ^ database.packed()[None]
    np.testing.assert_array_equal(ordinal_distances(queries, database), np.bitwise_count(differing).sum(axis=2))


def test_more_than_255_segments_do_not_overflow():
    low = OrdinalCodes.from_symbols(np.zeros((1, 700), dtype=int), arity=2)
    high = OrdinalCodes.from_symbols(np.ones((2, 700), dtype=int), arity=2)
    assert ordinal_distances(low, high).tolist() == [[700, 700]]


def test_more_queries_and_codes_than_a_tile_holds():
    queries, database = random_codes(2 * TILE_QUERIES + 3, 6, 4, 0), random_codes(2 * TILE_CODES + 5, 6, 4, 1)
    differ = queries.symbols[:, None] != database.symbols[None]
    np.testing.assert_array_equal(ordinal_distances(queries, database), differ.sum(axis=2))
    losses = np.random.default_rng(2).random((4, 6, 4), dtype=np.float32)
    lost = losses[:, np.arange(6)[None], database.symbols]
    np.testing.assert_allclose(sums_of_losses(losses, database), lost.sum(axis=2), rtol=1e-5)


def test_codes_of_another_spec_or_model_are_refused():
    codes = random_codes(2, 6, 4, 0, model_id="one")
    with pytest.raises(InputError, match="equal specs"):
        ordinal_distances(codes, random_codes(2, 12, 2, 0))
    with pytest.raises(InputError, match=r"'one'.*'two'"):
        ordinal_distances(codes, random_codes(2, 6, 4, 0, model_id="two"))
    assert ordinal_distances(codes, random_codes(2, 6, 4, 0)).shape == (2, 2)  # an unknown model is not refused


@pytest.mark.parametrize("of", ["log-probabilities", "probabilities"])
@pytest.mark.parametrize(("arity", "n_segments"), [(2, 7), (4, 5), (16, 3)])
def test_asymmetric_distance_sums_what_each_symbol_loses(arity, n_segments, of):
    rng = np.random.default_rng(3)
    scores = rng.normal(scale=3, size=(4, n_segments, arity)).astype(np.float32)
    database = random_codes(6, n_segments, arity, 4)
    found = asymmetric_distances(scores, database, of=of)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, asymmetric_slowly(scores.astype(float), database, of), rtol=1e-5, atol=1e-6)
    assert (found >= 0).all()
    own = asymmetric_distances(scores, OrdinalCodes.from_scores(scores), of=of)
    np.testing.assert_array_equal(np.diag(own), 0)


def test_probabilities_are_the_default_and_large_scores_do_not_overflow():
    database = OrdinalCodes.from_symbols([[0], [1]], arity=2)
    scores = np.array([[[1000.0, -1000.0]]], dtype=np.float32)
    assert asymmetric_distances(scores, database).tolist() == [[0.0, 1.0]]
    assert asymmetric_distances(scores, database, of="log-probabilities").tolist() == [[0.0, 2000.0]]


def test_equal_codes_are_at_exactly_equal_asymmetric_distance():
    database = random_codes(50, 12, 4, 5)
    twice = OrdinalCodes.from_symbols(np.concatenate([database.symbols] * 2), arity=4)
    found = asymmetric_distances(np.random.default_rng(6).normal(size=(3, 12, 4)), twice)
    np.testing.assert_array_equal(found[:, :50], found[:, 50:])


def test_bad_scores_are_refused():
    database = random_codes(2, 3, 4, 0)
    with pytest.raises(InputError, match=r"needs \(q, 3, 4\)"):
        asymmetric_distances(np.zeros((1, 4, 3)), database)
    with pytest.raises(InputError, match=r"needs \(q, 3, 4\)"):
        asymmetric_distances(np.zeros((3, 4)), database)
    with pytest.raises(InputError, match="scores are int64; allowed are floats"):
        asymmetric_distances(np.zeros((1, 3, 4), dtype=np.int64), database)
    with pytest.raises(InputError, match="of is 'logits'; allowed are"):
        asymmetric_distances(np.zeros((1, 3, 4)), database, of="logits")
    for bad in (np.nan, np.inf):
        scores = np.zeros((1, 3, 4))
        scores[0, 1, 2] = bad
        with pytest.raises(InputError, match="NaN or infinity"):
            asymmetric_distances(scores, database)


def test_inputs_are_not_changed():
    database = random_codes(5, 3, 4, 0)
    scores = np.random.default_rng(1).normal(size=(2, 3, 4))
    before = scores.copy(), database.symbols.copy()
    d = asymmetric_distances(scores, database)
    d_before = d.copy()
    top_k(d, 2)
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(database.symbols, before[1])
    np.testing.assert_array_equal(d, d_before)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    st.integers(0, 4),
    st.integers(0, 30),
    st.integers(0, 35),
    st.integers(1, 4),
    st.sampled_from([np.uint16, np.int64, np.float32, np.float64]),
    st.integers(0, 999),
)
def test_top_k_equals_lexsort_under_heavy_ties(q, n, k, levels, dtype, seed):
    distances = np.random.default_rng(seed).integers(0, levels, (q, n)).astype(dtype)
    found = top_k(distances, k)
    assert found.dtype == np.int64
    assert found.shape == (q, min(k, n))
    for row, d in zip(found, distances, strict=True):
        np.testing.assert_array_equal(row, np.lexsort((np.arange(n), d))[:k])


def test_top_k_of_awkward_values():
    assert top_k(np.array([[np.inf, 0.0, -0.0, -np.inf]]), 3).tolist() == [[3, 1, 2]]
    assert top_k(np.empty((2, 0)), 3).shape == (2, 0)
    assert top_k(np.array([[7]]), 1).tolist() == [[0]]


def test_top_k_refuses_bad_input():
    d = np.zeros((1, 3))
    with pytest.raises(InputError, match="k is -1; allowed are integers of at least 0"):
        top_k(d, -1)
    with pytest.raises(InputError, match=r"k is 1\.5"):
        top_k(d, 1.5)
    with pytest.raises(InputError, match=r"of shape \(q, n\)"):
        top_k(d[0], 1)
    with pytest.raises(InputError, match="distances hold NaN"):
        top_k(np.full((1, 3), np.nan), 1)
