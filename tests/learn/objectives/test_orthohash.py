import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.objectives import OrthoHash, Task


@pytest.mark.parametrize("settings", [OrthoHash(), OrthoHash(scale=3.0, margin=0.0)])
def test_the_loss_is_the_papers_equation(binary_batch, settings):
    output, labels, u = binary_batch
    loss = settings.build(Task(CodeSpec(12, 2), 3))
    losses = []
    for row, wanted in zip(u, labels.numpy(), strict=True):
        logits = []
        for centre, y in zip(loss.centres.numpy(), wanted, strict=True):
            cosine = float(row @ centre) / math.sqrt(float(row @ row) * float(centre @ centre))
            logits.append(settings.scale * (cosine - settings.margin * y))
        normaliser = math.log(sum(math.exp(logit) for logit in logits))
        shares = wanted / max(1, wanted.sum())
        losses.append(sum(share * (normaliser - logit) for share, logit in zip(shares, logits, strict=True)))
    (value,) = loss(output, labels).values()
    np.testing.assert_allclose(value.item(), np.mean(losses), rtol=1e-6)


def test_centres_follow_the_seed_and_survive_a_checkpoint():
    one, other = (OrthoHash().build(Task(CodeSpec(18, 2), 5, seed=seed)) for seed in (0, 1))
    assert not torch.equal(one.centres, other.centres)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.centres, other.centres)


@pytest.mark.parametrize(("name", "value"), [("scale", 0.0), ("margin", -0.1)])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        OrthoHash(**{name: value})
