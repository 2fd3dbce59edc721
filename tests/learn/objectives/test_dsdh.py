import itertools
import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.objectives import DSDH, Task

TASK = Task(CodeSpec(12, 2), 3)


def objective_of_bits(bits, classifier, u, labels, settings):
    """What the alternation minimises, for given bits and W: sums of the paper, divided by the number of images."""
    read = sum(float(((labels[i] - classifier.T @ bits[i]) ** 2).sum()) for i in range(len(u))) / len(u)
    away = sum(float(((bits[i] - u[i]) ** 2).sum()) for i in range(len(u))) / len(u)
    squares = settings.ridge * float((classifier**2).sum())
    return settings.class_weight * (read + squares) + settings.quantisation_weight * away


def alternate_slowly(u, labels, settings):
    """Every bit of every image is tried both ways."""
    bits = np.where(u > 0, 1.0, -1.0)
    n, code_bits = u.shape

    def ridge_solution():
        # Ridge regression by least squares on data with sqrt(ridge) rows below.
        rows = np.vstack([bits / math.sqrt(n), math.sqrt(settings.ridge) * np.eye(code_bits)])
        wanted = np.vstack([labels / math.sqrt(n), np.zeros((code_bits, labels.shape[1]))])
        return np.linalg.lstsq(rows, wanted, rcond=None)[0]

    classifier = ridge_solution()
    for _ in range(settings.rounds):
        for k, i in itertools.product(range(code_bits), range(n)):
            tried = []
            for sign in (-1.0, 1.0):
                bits[i, k] = sign
                tried.append(objective_of_bits(bits, classifier, u, labels, settings))
            bits[i, k] = -1.0 if tried[0] <= tried[1] else 1.0
        classifier = ridge_solution()
    return bits, classifier


@pytest.mark.parametrize(
    "settings", [DSDH(), DSDH(class_weight=0.5, ridge=0.1, quantisation_weight=0.02, rounds=2), DSDH(class_weight=0.0)]
)
def test_the_loss_is_the_papers_objective(binary_batch, settings):
    output, labels, u = binary_batch
    bits, classifier = alternate_slowly(u, labels.numpy(), settings)
    likelihoods = []
    for i, j in itertools.permutations(range(7), 2):
        theta = float(u[i] @ u[j]) / 2
        similar = float(labels[i] @ labels[j] > 0)
        likelihoods.append(-(similar * theta - math.log(1 + math.exp(theta))))
    terms = settings.build(TASK)(output, labels)
    assert set(terms) == {"pairs", "classes", "quantisation"}
    np.testing.assert_allclose(terms["pairs"].item(), np.mean(likelihoods), rtol=1e-10)
    both = terms["classes"].item() + terms["quantisation"].item()
    np.testing.assert_allclose(both, objective_of_bits(bits, classifier, u, labels.numpy(), settings), rtol=1e-9)
    away = np.mean([((bits[i] - u[i]) ** 2).sum() for i in range(7)])
    np.testing.assert_allclose(terms["quantisation"].item(), settings.quantisation_weight * away, rtol=1e-10)


def test_bits_leave_the_signs_where_the_classes_ask_for_it(binary_batch):
    output, labels, u = binary_batch
    settings = DSDH(class_weight=10.0, ridge=0.3)
    bits, _ = alternate_slowly(u, labels.numpy(), settings)
    assert (bits != np.where(u > 0, 1.0, -1.0)).any()
    scores = output.scores.clone().requires_grad_()
    terms = settings.build(TASK)(type(output)(scores, (), output.attention), labels)
    assert not terms["classes"].requires_grad
    terms["quantisation"].backward()
    np.testing.assert_allclose(scores.grad[:, :, 1].numpy(), settings.quantisation_weight * 2 * (u - bits) / 7)
    assert torch.equal(scores.grad[:, :, 0], -scores.grad[:, :, 1])


@pytest.mark.parametrize(
    ("name", "value"), [("class_weight", -1.0), ("ridge", 0.0), ("quantisation_weight", -0.1), ("rounds", 0)]
)
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        DSDH(**{name: value})
