import math

import numpy as np
import pytest

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.objectives import DTSH, Task


@pytest.mark.parametrize("margin", [0.5, 0.1])
def test_the_loss_is_the_papers_equation(binary_batch, margin):
    output, labels, u = binary_batch
    losses = []
    for q in range(7):
        for p in range(7):
            for n in range(7):
                if q == p or labels[q] @ labels[p] == 0 or labels[q] @ labels[n] > 0:
                    continue
                x = float(u[q] @ u[p]) / 2 - float(u[q] @ u[n]) / 2 - margin * 12
                losses.append(-(x - math.log(1 + math.exp(x))))
    if labels.sum() == 7:  # one label each; an image without labels is near to none, itself included
        assert len(losses) == 6 * 4 + 2 * 5 + 2 * 5
    away = (u - np.sign(u)) ** 2
    terms = DTSH(margin=margin, quantisation_weight=0.3).build(Task(CodeSpec(12, 2), 3))(output, labels)
    assert set(terms) == {"triplets", "quantisation"}
    np.testing.assert_allclose(terms["triplets"].item(), np.mean(losses), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.3 * away.sum() / 7, rtol=1e-10)


def test_the_default_weighs_triplets_and_penalty_as_the_authors_do(binary_batch):
    """100 times the penalty of an image against the sum over its 22,500 triplets."""
    output, labels, u = binary_batch
    terms = DTSH().build(Task(CodeSpec(12, 2), 3))(output, labels)
    penalty = ((u - np.sign(u)) ** 2).sum() / 7
    np.testing.assert_allclose(terms["quantisation"].item(), 100 * penalty / 22_500, rtol=1e-10)


@pytest.mark.parametrize("name", ["margin", "quantisation_weight"])
def test_bad_settings_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is -1; allowed are 0 and more"):
        DTSH(**{name: -1})
