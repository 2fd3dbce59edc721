import numpy as np
import pytest

from ordhash.codes import CodeSpec
from ordhash.learn.objectives.centres import class_centres, far_codewords, hadamard


@pytest.mark.parametrize("order", [1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 128])
def test_rows_of_a_hadamard_matrix_are_orthogonal(order):
    matrix = hadamard(order)
    assert matrix.shape == (order, order)
    assert set(np.unique(matrix)) <= {-1.0, 1.0}
    np.testing.assert_array_equal(matrix @ matrix.T, order * np.eye(order))


@pytest.mark.parametrize("order", [3, 6, 10, 15, 22, 36])
def test_other_orders_have_none(order):
    assert hadamard(order) is None


@pytest.mark.parametrize(("n_classes", "code_bits"), [(10, 12), (10, 48), (24, 12), (21, 16)])
def test_classes_are_half_of_the_bits_apart_or_more(n_classes, code_bits):
    centres = class_centres(n_classes, code_bits, seed=0)
    assert centres.shape == (n_classes, code_bits)
    differing = (centres[:, None] != centres).sum(axis=2)
    assert differing[~np.eye(n_classes, dtype=bool)].min() >= code_bits / 2


@pytest.mark.parametrize(("n_classes", "code_bits"), [(10, 18), (100, 32), (3, 7)])
def test_without_a_matrix_centres_are_drawn_and_kept_apart(n_classes, code_bits):
    centres = class_centres(n_classes, code_bits, seed=3)
    assert centres.dtype == np.float32
    assert set(np.unique(centres)) == {-1.0, 1.0}
    assert len(np.unique(centres, axis=0)) == n_classes
    np.testing.assert_array_equal(class_centres(n_classes, code_bits, seed=3), centres)
    assert (class_centres(n_classes, code_bits, seed=4) != centres).any()
    one_draw = np.random.default_rng(3).integers(0, 2, (n_classes, code_bits))
    others = ~np.eye(n_classes, dtype=bool)
    assert (centres[:, None] != centres).sum(axis=2)[others].min() >= (
        (one_draw[:, None] != one_draw).sum(axis=2)[others].min()
    )


@pytest.mark.parametrize(("n_classes", "code_bits", "arity"), [(81, 36, 4), (10, 10, 4), (300, 40, 2), (5, 24, 16)])
def test_codewords_of_symbols_are_farther_apart_than_random_ones(n_classes, code_bits, arity):
    spec = CodeSpec(code_bits, arity)
    found = far_codewords(n_classes, spec, seed=3)
    assert found.shape == (n_classes, spec.n_segments)
    assert found.dtype == np.int64
    assert found.min() >= 0
    assert found.max() < arity
    np.testing.assert_array_equal(far_codewords(n_classes, spec, seed=3), found)
    assert (far_codewords(n_classes, spec, seed=4) != found).any()
    random = np.random.default_rng(3).integers(0, arity, found.shape)
    others = ~np.eye(n_classes, dtype=bool)
    nearest = [(codes[:, None] != codes).sum(axis=2)[others].min() for codes in (found, random)]
    assert nearest[0] > nearest[1]


def test_each_codeword_is_the_farthest_from_those_before_it():
    spec = CodeSpec(8, 4)
    found = far_codewords(6, spec, seed=0)
    every = np.stack(np.meshgrid(*[np.arange(4)] * 4), axis=-1).reshape(-1, 4)  # the draws hold all 256 codes
    for n in range(1, 6):
        differing = (every[:, None] != found[:n]).sum(axis=2)
        own = (found[n] != found[:n]).sum(axis=1)
        assert own.min() == differing.min(axis=1).max()


def test_classes_share_codewords_where_there_are_too_few():
    found = far_codewords(10, CodeSpec(2, 4), seed=0)
    assert sorted(np.unique(found).tolist()) == [0, 1, 2, 3]
