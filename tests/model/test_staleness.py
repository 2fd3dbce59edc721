"""When a model that was learned from a collection's own photographs should be learned again."""

import numpy as np
import pytest

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.model.staleness import learned_from, staleness, symbol_shares

SPEC = CodeSpec(48, 4)


def drawn(n, shares, seed=0):
    rng = np.random.default_rng(seed)
    return OrdinalCodes(rng.choice(4, (n, SPEC.n_segments), p=shares).astype(np.uint8), SPEC)


def trained_on(codes, available=None):
    return learned_from(available or len(codes), symbol_shares(codes))


@pytest.mark.parametrize("n", [20, 100, 1000, 5000])
def test_photographs_of_the_same_kind_do_not_make_it_stale(n):
    training = trained_on(drawn(2000, [0.4, 0.3, 0.2, 0.1]))
    assert all(staleness(drawn(n, [0.4, 0.3, 0.2, 0.1], seed), training) is None for seed in range(1, 6))


def test_photographs_of_another_kind_do():
    training = trained_on(drawn(2000, [0.4, 0.3, 0.2, 0.1]))
    why = staleness(drawn(2000, [0.2, 0.3, 0.1, 0.4], 1), training)
    assert why is not None
    assert "changed: 31%" in why


def test_growth_does_until_enough_were_learned_from():
    few, many = trained_on(drawn(100, [0.25] * 4)), trained_on(drawn(9_999, [0.25] * 4), 10_000)  # one unusable
    assert staleness(drawn(399, [0.25] * 4, 1), few) is None
    assert (
        staleness(drawn(400, [0.25] * 4, 1), few) == "the model was learned from 100 photographs, and now there are 400"
    )
    assert staleness(drawn(50_000, [0.25] * 4, 1), many) is None


def test_nothing_is_said_of_other_models_and_of_empty_collections():
    assert staleness(drawn(400, [0.25] * 4), {"images": 10}) is None
    assert staleness(drawn(0, [0.25] * 4), trained_on(drawn(100, [0.25] * 4))) is None
