import math

import numpy as np
import pytest

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.objectives import DPSH, Task


def test_the_loss_is_the_papers_equation(binary_batch):
    output, labels, u = binary_batch
    losses = []
    for i in range(7):
        for j in range(7):
            if i != j:
                theta = 0.5 * float(np.dot(u[i], u[j]))
                probability = 1 / (1 + math.exp(-theta))
                share = bool(set(np.flatnonzero(labels[i])) & set(np.flatnonzero(labels[j])))
                losses.append(-math.log(probability if share else 1 - probability))
    away = [(value - (1 if value > 0 else -1)) ** 2 for row in u for value in row]
    terms = DPSH(quantisation_weight=0.2).build(Task(CodeSpec(12, 2), 3))(output, labels)
    assert set(terms) == {"pairs", "quantisation"}
    np.testing.assert_allclose(terms["pairs"].item(), np.mean(losses), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.2 * np.mean(away), rtol=1e-10)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="quantisation_weight is nan; allowed are 0 and more"):
        DPSH(quantisation_weight=float("nan"))
