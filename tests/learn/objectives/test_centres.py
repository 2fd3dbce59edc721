import numpy as np
import pytest

from ordhash.codes.codes import CodeSpec
from ordhash.learn.objectives.centres import agreeing_codewords, class_centres, far_codewords, hadamard


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


@pytest.mark.parametrize(
    ("n_classes", "code_bits", "arity"),
    [(81, 36, 4), (10, 10, 4), pytest.param(300, 40, 2, marks=pytest.mark.slow), (5, 24, 16)],
)
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


def agreement(codes):
    """Segments in which two codes agree, of all pairs: (n, n), and a mask without the diagonal."""
    return (codes[:, None] == codes).sum(axis=2), ~np.eye(len(codes), dtype=bool)


def similarity_of_groups(n_classes, n_groups):
    group = np.arange(n_classes) % n_groups
    return (group[:, None] == group).astype(float)


@pytest.mark.parametrize(
    ("n_classes", "code_bits", "arity"),
    [pytest.param(81, 36, 4, marks=pytest.mark.slow), (81, 10, 4), (12, 12, 2), (40, 24, 16), (5, 8, 4)],
)
def test_codewords_agree_as_they_should_and_never_in_too_many_segments(n_classes, code_bits, arity):
    spec, wanted = CodeSpec(code_bits, arity), similarity_of_groups(n_classes, 4)
    found = agreeing_codewords(wanted, spec, seed=3)
    assert found.shape == (n_classes, spec.n_segments)
    assert (found.min() >= 0, found.max() < arity) == (True, True)
    np.testing.assert_array_equal(agreeing_codewords(wanted, spec, seed=3), found)
    far = far_codewords(n_classes, spec, seed=3)
    agree, others = agreement(found)
    agree_of_far, _ = agreement(far)
    most = max(-(-spec.n_segments // 2), agree_of_far[others].max())
    assert agree[others].max() <= most

    def cost(counts):
        return ((counts - most * wanted)[others] ** 2).sum()

    assert cost(agree) < cost(agree_of_far)
    assert len(np.unique(found, axis=0)) == n_classes


def test_far_codewords_stay_where_codes_are_too_short_to_tell_classes_apart():
    spec = CodeSpec(4, 4)  # 16 codes for 30 classes
    found = agreeing_codewords(similarity_of_groups(30, 4), spec, seed=0)
    np.testing.assert_array_equal(found, far_codewords(30, spec, seed=0))
    assert len(np.unique(found, axis=0)) == 16


def test_classes_that_are_alike_have_nearer_codewords():
    wanted = similarity_of_groups(24, 6)
    agree, others = agreement(agreeing_codewords(wanted, CodeSpec(48, 4), seed=0))
    alike = others & (wanted == 1)
    assert agree[alike].mean() > 2 * agree[others & (wanted == 0)].mean()
    assert agree[alike].mean() > 8  # of 12 that are allowed


def test_codewords_of_classes_that_are_all_unlike_are_as_far_as_far_ones_on_average():
    wanted, spec = np.eye(30), CodeSpec(24, 4)
    agree, others = agreement(agreeing_codewords(wanted, spec, seed=1))
    assert agree[others].mean() <= agreement(far_codewords(30, spec, seed=1))[0][others].mean()
