import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import GreedyHash, Task


def test_the_loss_is_the_papers_equation(binary_batch, multilabel):
    output, labels, u = binary_batch
    loss = GreedyHash(quantisation_weight=0.7).build(Task(CodeSpec(12, 2), 3, multilabel)).double()
    weight = loss.classes.weight.detach().numpy()
    losses = []
    for row, wanted in zip(u, labels.numpy(), strict=True):
        bits = [1.0 if value > 0 else -1.0 for value in row]
        logits = [sum(w * b for w, b in zip(weight[c], bits, strict=True)) for c in range(3)]
        if multilabel:
            probabilities = [1 / (1 + math.exp(-logit)) for logit in logits]
            losses.append(-sum(math.log(p if y else 1 - p) for p, y in zip(probabilities, wanted, strict=True)))
        else:
            losses.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[int(wanted.argmax())])
    cubes = [abs(value - (1 if value > 0 else -1)) ** 3 for row in u for value in row]
    terms = loss(output, labels)
    assert set(terms) == {"classes", "quantisation"}
    np.testing.assert_allclose(terms["classes"].item(), np.mean(losses), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.7 * np.mean(cubes), rtol=1e-10)


def test_the_gradient_passes_the_signs_unchanged():
    u = torch.tensor([[0.3, -2.0, 0.0], [5.0, -0.1, 1.0]])
    scores = torch.stack([-u / 2, u / 2], dim=2).requires_grad_()
    loss = GreedyHash().build(Task(CodeSpec(3, 2), 2))
    labels = torch.eye(2)
    loss(HeadOutput(scores, (), torch.ones(2, 1, 1)), labels)["classes"].backward()

    bits = torch.tensor([[1.0, -1.0, -1.0], [1.0, -1.0, 1.0]], requires_grad=True)
    torch.nn.functional.cross_entropy(bits @ loss.classes.weight.T, labels).backward()
    torch.testing.assert_close(scores.grad[:, :, 1], bits.grad)
    torch.testing.assert_close(scores.grad[:, :, 0], -bits.grad)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="quantisation_weight is -1; allowed are 0 and more"):
        GreedyHash(quantisation_weight=-1)
