import math

import numpy as np
import pytest

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.objectives import DHN, Task


def test_the_loss_is_the_papers_equation(binary_batch):
    output, labels, u = binary_batch
    z = [[math.tanh(value) for value in row] for row in u]
    likelihoods = []
    for i in range(7):
        for j in range(7):
            if i != j:
                similar = float((labels[i] * labels[j]).sum() > 0)
                inner = sum(a * b for a, b in zip(z[i], z[j], strict=True))
                likelihoods.append(math.log(1 + math.exp(inner)) - similar * inner)
    penalties = [math.log(math.cosh(abs(value) - 1)) for row in z for value in row]
    terms = DHN(quantisation_weight=0.3).build(Task(CodeSpec(12, 2), 3))(output, labels)
    assert set(terms) == {"pairs", "quantisation"}
    np.testing.assert_allclose(terms["pairs"].item(), np.mean(likelihoods), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.3 * np.mean(penalties), rtol=1e-10)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="quantisation_weight is -1; allowed are 0 and more"):
        DHN(quantisation_weight=-1)
