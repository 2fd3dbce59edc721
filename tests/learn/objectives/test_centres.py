import numpy as np
import pytest

from ordhash.learn.objectives.centres import class_centres, hadamard


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
