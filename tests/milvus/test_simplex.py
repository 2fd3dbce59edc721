"""Simplex codes against the definition: Hamming distance is K / 2 times the ordinal distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.codes.distances import ordinal_distances
from ordhash.errors import InputError
from ordhash.milvus.simplex import codes_of_simplex, ordinal_distances_of, simplex_bits, simplex_of


@st.composite
def code_pairs(draw):
    spec = CodeSpec.of_segments(draw(st.integers(1, 30)), 2 ** draw(st.integers(1, 8)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    near = rng.integers(0, min(3, spec.arity), (7, spec.n_segments), dtype=np.uint8)
    far = rng.integers(0, spec.arity, (9, spec.n_segments), dtype=np.uint8)
    return OrdinalCodes(near, spec), OrdinalCodes(far, spec)


@given(code_pairs())
def test_hamming_distance_is_a_multiple_of_ordinal_distance(pair):
    one, other = pair
    differs = simplex_of(one)[:, None] ^ simplex_of(other)[None]
    hamming = np.bitwise_count(differs).sum(axis=2)
    expected = ordinal_distances(one, other)
    np.testing.assert_array_equal(hamming, expected.astype(int) * one.spec.arity // 2)
    np.testing.assert_array_equal(ordinal_distances_of(hamming.astype(float), one.spec), expected)


@given(code_pairs())
def test_codes_come_back(pair):
    codes = pair[1]
    simplex = simplex_of(codes)
    assert simplex.shape == (len(codes), simplex_bits(codes.spec) // 8)
    back = codes_of_simplex(simplex, codes.spec, model_id="m")
    np.testing.assert_array_equal(back.symbols, codes.symbols)
    assert back.spec == codes.spec
    assert back.model_id == "m"


def test_many_codes_are_taken_in_blocks_without_a_seam():
    rng = np.random.default_rng(0)
    codes = OrdinalCodes.from_symbols(rng.integers(0, 256, (3000, 8), dtype=np.uint8), arity=256)
    whole = simplex_of(codes)
    for row in (0, 2055, 2056, 2057, 2999):
        np.testing.assert_array_equal(whole[row], simplex_of(codes[row : row + 1])[0])


def test_no_codes():
    spec = CodeSpec(48, 4)
    none = simplex_of(OrdinalCodes(np.empty((0, 24), np.uint8), spec))
    assert none.shape == (0, 9)
    assert len(codes_of_simplex(none, spec)) == 0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (np.zeros((1, 8), np.uint8), "needs uint8 .n, 9."),
        (np.zeros((1, 9)), "needs uint8 .n, 9."),
        (np.full((1, 9), 1, np.uint8), "simplex codes"),
    ],
)
def test_bits_that_are_no_simplex_codes_are_refused(given, why):
    with pytest.raises(InputError, match=why):
        codes_of_simplex(given, CodeSpec(48, 4))
