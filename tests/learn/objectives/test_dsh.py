import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DSH, Task

TASK = Task(CodeSpec(12, 2), 3)


@pytest.mark.parametrize("settings", [DSH(), DSH(margin=3.0, quantisation_weight=0.4)])
def test_the_loss_is_the_papers_equation(binary_batch, settings):
    output, labels, u = binary_batch
    total = penalty = pairs = 0.0
    for i in range(7):
        for j in range(7):
            if i == j:
                continue
            pairs += 1
            dissimilar = 0.0 if any(a and b for a, b in zip(labels[i], labels[j], strict=True)) else 1.0
            distance = sum((a - b) ** 2 for a, b in zip(u[i], u[j], strict=True))
            total += 0.5 * (1 - dissimilar) * distance
            total += 0.5 * dissimilar * max(settings.margin * 12 - distance, 0.0)
            penalty += sum(abs(abs(a) - 1) + abs(abs(b) - 1) for a, b in zip(u[i], u[j], strict=True))
    terms = settings.build(TASK)(output, labels)
    assert set(terms) == {"pairs", "quantisation"}
    np.testing.assert_allclose(terms["pairs"].item(), total / pairs, rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), settings.quantisation_weight * penalty / pairs, rtol=1e-10)


def test_opposite_codes_of_dissimilar_images_cost_nothing():
    u = torch.tensor([[1.0] * 12, [-1.0] * 12])
    output = HeadOutput(torch.stack([-u / 2, u / 2], dim=2), (), torch.ones(2, 1, 1))
    terms = DSH().build(TASK)(output, torch.eye(3)[:2])
    assert (terms["pairs"].item(), terms["quantisation"].item()) == (0.0, 0.0)


@pytest.mark.parametrize(("name", "value"), [("margin", 0.0), ("quantisation_weight", -1.0), ("margin", float("nan"))])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        DSH(**{name: value})
