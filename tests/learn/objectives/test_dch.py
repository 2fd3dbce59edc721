import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DCH, Task

TASK = Task(CodeSpec(12, 2), 3)


def distance_slowly(a, b):
    cosine = sum(x * y for x, y in zip(a, b, strict=True))
    cosine /= math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return len(a) / 2 * (1 - cosine)


@pytest.mark.parametrize("gamma", [20.0, 3.0])
def test_the_loss_is_the_papers_equations(binary_batch, gamma):
    output, labels, u = binary_batch
    h = np.tanh(u)
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    similar = {(i, j): bool(labels[i] @ labels[j] > 0) for i, j in pairs}
    n_similar = sum(similar.values())
    total = 0.0
    for i, j in pairs:
        d = distance_slowly(h[i], h[j])
        weight = len(pairs) / n_similar if similar[i, j] else len(pairs) / (len(pairs) - n_similar)
        total += weight * (similar[i, j] * math.log(d / gamma) + math.log(1 + gamma / d))
    penalty = np.mean([math.log(1 + distance_slowly(np.abs(row), np.ones(12)) / gamma) for row in h])
    terms = DCH(gamma=gamma, quantisation_weight=0.3).build(TASK)(output, labels)
    assert set(terms) == {"pairs", "quantisation"}
    np.testing.assert_allclose(terms["pairs"].item(), total / len(pairs), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.3 * penalty, rtol=1e-10)


def test_equal_codes_cost_little_or_much_but_not_infinitely_much():
    output = HeadOutput(torch.tensor([[-1.0, 1.0]]).expand(2, 12, 2), (), torch.ones(2, 1, 1))
    labels = torch.eye(3)
    near = DCH().build(TASK)(output, labels[[0, 0]])["pairs"].item()
    far = DCH().build(TASK)(output, labels[[0, 1]])["pairs"].item()
    assert near == pytest.approx(math.log(1 + 0.01 / 20), rel=1e-3)
    assert far == pytest.approx(math.log(1 + 20 / 0.01), rel=1e-3)


@pytest.mark.parametrize(("name", "value"), [("gamma", 0.0), ("quantisation_weight", -1.0)])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        DCH(**{name: value})
