import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import CSQ, Task


def test_the_loss_is_the_papers_equation(binary_batch):
    output, labels, u = binary_batch
    loss = CSQ(quantisation_weight=0.5).build(Task(CodeSpec(12, 2), 3))
    entropies, penalties = [], []
    for row, wanted in zip(u, labels.numpy(), strict=True):
        for k, value in enumerate(row):
            votes = [int(loss.centres[c, k]) for c in np.flatnonzero(wanted)]
            ones, others = votes.count(1), votes.count(-1)
            centre = int(loss.tie_bits[k]) if ones == others else (1 if ones > others else -1)
            h = (1 + math.tanh(value)) / 2
            entropies.append(-math.log(h if centre == 1 else 1 - h))
            penalties.append(math.log(math.cosh(abs(2 * h - 1) - 1)))
    terms = loss(output, labels)
    assert set(terms) == {"centres", "quantisation"}
    np.testing.assert_allclose(terms["centres"].item(), np.mean(entropies), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.5 * np.mean(penalties), rtol=1e-10)


def test_an_image_at_the_centre_of_its_class_costs_nothing():
    task = Task(CodeSpec(16, 2), 5)
    loss = CSQ().build(task)
    u = 30 * loss.centres
    terms = loss(HeadOutput(torch.stack([-u / 2, u / 2], dim=2), (), torch.ones(5, 1, 1)), torch.eye(5))
    assert sum(terms.values()).item() == pytest.approx(0, abs=1e-6)


def test_centres_follow_the_seed_and_survive_a_checkpoint():
    one, other = (CSQ().build(Task(CodeSpec(18, 2), 5, seed=seed)) for seed in (0, 1))
    assert not torch.equal(one.centres, other.centres)
    assert not torch.equal(one.tie_bits, other.tie_bits)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.centres, other.centres)
    assert torch.equal(one.tie_bits, other.tie_bits)
    assert list(one.parameters()) == []


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="quantisation_weight is -1; allowed are 0 and more"):
        CSQ(quantisation_weight=-1)
