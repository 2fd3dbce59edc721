import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import HyP2, Task
from ordhash.learn.objectives.hyp2 import cosine_threshold


def cosine_slowly(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def test_the_loss_is_the_papers_equation(binary_batch, multilabel):
    output, labels, u = binary_batch
    torch.manual_seed(0)
    loss = HyP2(pair_weight=0.7).build(Task(CodeSpec(12, 2), 3, multilabel)).double()
    proxies, zeta = loss.proxies.detach().numpy(), cosine_threshold(3, 12)
    of = [set(np.flatnonzero(row)) for row in labels.numpy()]
    near = [1 - cosine_slowly(u[i], proxies[c]) for i in range(7) for c in range(3) if c in of[i]]
    far = [max(0, cosine_slowly(u[i], proxies[c]) - zeta) for i in range(7) for c in range(3) if c not in of[i]]
    irrelevant = [
        max(0, cosine_slowly(u[i], u[j]) - zeta)
        for i in range(7)
        for j in range(7)
        if len(of[i]) > 1 and len(of[j]) > 1 and not of[i] & of[j]
    ]
    terms = loss(output, labels)
    assert set(terms) == {"proxies", "pairs"}
    np.testing.assert_allclose(terms["proxies"].item(), np.mean(near) + np.mean(far), rtol=1e-10)
    np.testing.assert_allclose(terms["pairs"].item(), 0.7 * np.mean(irrelevant) if irrelevant else 0.0, rtol=1e-10)


def test_pairs_of_images_with_several_labels_repel_each_other():
    u = np.random.default_rng(0).normal(size=(4, 12))
    u[1] = u[0] + 0.1
    labels = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]], dtype=float)
    scores = torch.from_numpy(np.stack([-u / 2, u / 2], axis=2))
    loss = HyP2().build(Task(CodeSpec(12, 2), 4, True)).double()
    terms = loss(HeadOutput(scores, (), torch.ones(4, 1, 1)), torch.from_numpy(labels))
    # Of the six pairs only the first two images have several labels each and share none.
    expected = 0.5 * max(0, cosine_slowly(u[0], u[1]) - cosine_threshold(4, 12))
    np.testing.assert_allclose(terms["pairs"].item(), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("n_classes", "code_bits", "distance"),
    # Of well-known codes: repetition, simplex, Hadamard, [12, 4], [24, 5], [48, 4]; and [12, 5], short of Griesmer's 5.
    [(2, 9, 9), (8, 7, 4), (16, 8, 4), (4, 3, 2), (10, 12, 6), (21, 24, 12), (10, 48, 24), (21, 12, 4)],
)
def test_the_threshold_is_the_cosine_at_the_distance_of_a_good_linear_code(n_classes, code_bits, distance):
    assert cosine_threshold(n_classes, code_bits) == pytest.approx((code_bits - 2 * distance) / code_bits)


def test_too_many_classes_for_the_length_leave_nothing_to_repel():
    assert cosine_threshold(1000, 4) == 1.0
    assert cosine_threshold(1, 8) == -1.0


def test_proxies_learn_and_survive_a_checkpoint():
    task = Task(CodeSpec(12, 2), 3)
    one, other = HyP2().build(task), HyP2().build(task)
    assert [name for name, _ in one.named_parameters()] == ["proxies"]
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.proxies, other.proxies)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="pair_weight is -1; allowed are 0 and more"):
        HyP2(pair_weight=-1)
