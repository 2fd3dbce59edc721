import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import HashNet, Task

TASK = Task(CodeSpec(12, 2), 3)


def pairs_slowly(u, labels, alpha, beta):
    z = np.tanh(beta * u)
    of = [set(np.flatnonzero(row)) for row in labels]
    pairs = [(i, j) for i in range(len(u)) for j in range(len(u)) if i != j]
    n_similar = sum(bool(of[i] & of[j]) for i, j in pairs)
    total = 0.0
    for i, j in pairs:
        inner = alpha * float(z[i] @ z[j])
        if of[i] & of[j]:
            weight = len(of[i] & of[j]) / len(of[i] | of[j]) * len(pairs) / n_similar
            total += weight * (math.log(1 + math.exp(inner)) - inner)
        else:
            total += len(pairs) / (len(pairs) - n_similar) * math.log(1 + math.exp(inner))
    return total / len(pairs)


def test_the_loss_is_the_papers_equation_with_a_growing_beta(binary_batch):
    output, labels, u = binary_batch
    loss = HashNet(scale=6.0, beta_growth_steps=4.0).build(TASK)
    for step in (1, 2, 3):
        (value,) = loss(output, labels).values()
        np.testing.assert_allclose(value.item(), pairs_slowly(u, labels, 0.5, math.sqrt(1 + step / 4)), rtol=1e-6)


def test_beta_grows_in_training_alone_and_goes_on_where_it_was(binary_batch):
    output, labels, _ = binary_batch
    loss = HashNet().build(TASK)
    for _ in range(5):
        loss(output, labels)
    loss.eval()
    value = loss(output, labels)["pairs"]
    assert loss.steps.item() == 5
    other = HashNet().build(TASK)
    other.load_state_dict(loss.state_dict())
    assert other.eval()(output, labels)["pairs"] == value
    assert other.train()(output, labels)["pairs"] != value
    assert other.steps.item() == 6


def test_images_that_share_more_labels_weigh_more():
    scores = torch.zeros(3, 12, 2)
    scores[0, :, 1] = scores[1, :, 0] = 1.0  # similar, but far apart
    output = HeadOutput(scores, (), torch.ones(3, 1, 1))
    all_shared = HashNet().build(TASK)(output, torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))
    half_shared = HashNet().build(TASK)(output, torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]]))
    assert all_shared["pairs"] > half_shared["pairs"]


@pytest.mark.parametrize("name", ["scale", "beta_growth_steps"])
def test_bad_settings_are_refused(name):
    with pytest.raises(InputError, match=rf"{name} is 0; .* above 0"):
        HashNet(**{name: 0})
