import math

import numpy as np
import pytest

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.objectives import DHN, Task


def penalties(z):
    return [math.log(math.cosh(abs(value) - 1)) for row in z for value in row]


def inner(a, b):
    return sum(one * other for one, other in zip(a, b, strict=True))


def test_the_loss_is_the_papers_equation(binary_batch):
    output, labels, u = binary_batch
    z = [[math.tanh(value) for value in row] for row in u]
    likelihoods = []
    for i in range(7):
        for j in range(7):
            if i != j:
                similar = float((labels[i] * labels[j]).sum() > 0)
                likelihoods.append(math.log(1 + math.exp(inner(z[i], z[j]))) - similar * inner(z[i], z[j]))
    terms = DHN(scale=0, quantisation_weight=0.3).build(Task(CodeSpec(12, 2), 3))(output, labels)
    assert set(terms) == {"pairs", "quantisation"}
    np.testing.assert_allclose(terms["pairs"].item(), np.mean(likelihoods), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.3 * np.mean(penalties(z)), rtol=1e-10)


def test_with_cosines_similar_pairs_weigh_as_much_as_there_are_pairs_for_each(binary_batch):
    output, labels, u = binary_batch
    z = [[math.tanh(value) for value in row] for row in u]
    similar, likelihoods = [], []
    for i in range(7):
        for j in range(7):
            if i != j:
                cosine = inner(z[i], z[j]) / math.sqrt(inner(z[i], z[i]) * inner(z[j], z[j]))
                similar.append(float((labels[i] * labels[j]).sum() > 0))
                likelihoods.append(math.log(1 + math.exp(6 * cosine)) - similar[-1] * 6 * cosine)
    weights = [42 / sum(similar) if one else 1 for one in similar]
    terms = DHN(scale=6, quantisation_weight=0.3).build(Task(CodeSpec(12, 2), 3))(output, labels)
    np.testing.assert_allclose(terms["pairs"].item(), np.dot(weights, likelihoods) / 42, rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.3 * np.mean(penalties(z)), rtol=1e-10)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="quantisation_weight is -1; allowed are 0 and more"):
        DHN(quantisation_weight=-1)
