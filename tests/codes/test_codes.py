import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes.codes import OrdinalCodes, pack, symbols_from_scores, unpack
from ordhash.codes.spec import CodeSpec
from ordhash.errors import InputError

ARITIES = [2, 4, 8, 16, 32, 64, 128, 256]


def pack_slowly(symbols, spec):
    rows = []
    for row in symbols:
        text = "".join(format(int(symbol), f"0{spec.bits_per_symbol}b") for symbol in row)
        text = text.ljust(8 * spec.packed_bytes, "0")
        rows.append([int(text[i : i + 8], 2) for i in range(0, len(text), 8)])
    return np.array(rows, dtype=np.uint8).reshape(len(symbols), spec.packed_bytes)


@settings(deadline=None, derandomize=True)
@given(st.sampled_from(ARITIES), st.integers(1, 40), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_unpack_inverts_pack_for_every_arity_and_length(arity, n_segments, n, seed):
    spec = CodeSpec.of_segments(n_segments, arity)
    symbols = np.random.default_rng(seed).integers(0, arity, (n, n_segments))
    packed = pack(symbols, spec)
    assert packed.shape == (n, spec.packed_bytes)
    np.testing.assert_array_equal(packed, pack_slowly(symbols, spec))
    np.testing.assert_array_equal(unpack(packed, spec), symbols)


def test_unused_bits_of_the_last_byte_are_zero():
    # 3 segments of 3 bits: 111 111 11|1 0000000
    assert pack([[7, 7, 7]], CodeSpec(9, 8)).tolist() == [[255, 128]]


def test_the_largest_score_wins_and_the_first_of_equal_ones():
    scores = np.array([[[1.0, 3.0, 2.0, 3.0], [-1.0, -1.0, -2.0, -3.0]]], dtype=np.float32)
    assert symbols_from_scores(scores).tolist() == [[1, 0]]
    codes = OrdinalCodes.from_scores(scores, model_id="m")
    assert (codes.spec, codes.model_id, codes.symbols.tolist()) == (CodeSpec(4, 4), "m", [[1, 0]])


def test_scores_of_another_shape_or_with_nan_are_refused():
    with pytest.raises(InputError, match=r"allowed is \(n, n_segments, arity\)"):
        symbols_from_scores(np.zeros((2, 3)))
    for arity in (0, 257):
        with pytest.raises(InputError, match="256"):
            symbols_from_scores(np.zeros((1, 2, arity)))
    with pytest.raises(InputError, match="scores hold NaN"):
        symbols_from_scores(np.full((1, 2, 2), np.nan))


def test_symbols_that_do_not_fit_are_refused():
    spec = CodeSpec(8, 4)
    with pytest.raises(InputError, match=r"from 0 to 4; .* 0 to 3"):
        pack([[0, 1, 2, 4]], spec)
    with pytest.raises(InputError, match="range from -1 to 2"):
        pack([[0, 1, 2, -1]], spec)
    with pytest.raises(InputError, match=r"symbols have 3 columns; .* has 4 segments"):
        pack([[0, 1, 2]], spec)
    with pytest.raises(InputError, match="allowed are integers"):
        pack([[0.0, 1.0, 2.0, 3.0]], spec)
    with pytest.raises(InputError, match=r"symbols have 3 columns; .* has 4 segments"):
        OrdinalCodes(np.zeros((1, 3), dtype=np.uint8), spec)
    with pytest.raises(InputError, match=r"symbols have shape \(3,\)"):
        OrdinalCodes.from_symbols([0, 1, 2], arity=4)


@pytest.mark.parametrize("packed", [np.zeros((1, 2), np.uint8), np.zeros((1, 1), np.int64), np.zeros(1, np.uint8)])
def test_packed_codes_of_another_shape_or_dtype_are_refused(packed):
    with pytest.raises(InputError, match=r"needs uint8 \(n, 1\)"):
        unpack(packed, CodeSpec(8, 4))


def test_codes_pack_select_rows_and_keep_the_model():
    codes = OrdinalCodes.from_symbols([[3, 0, 1, 2], [0, 0, 0, 0], [1, 1, 1, 1]], arity=4, model_id="m")
    again = OrdinalCodes.from_packed(codes.packed(), codes.spec, model_id="m")
    np.testing.assert_array_equal(again.symbols, codes.symbols)
    assert (len(codes), codes.shape) == (3, (3, 4))
    assert codes[[2, 0]].symbols.tolist() == [[1, 1, 1, 1], [3, 0, 1, 2]]
    assert codes[np.array([False, True, False])].symbols.tolist() == [[0, 0, 0, 0]]
    assert codes[:1].model_id == "m"
