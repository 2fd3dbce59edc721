import itertools

import numpy as np
import pytest
import torch

from ordhash.learn.shallow import SDH, KernelHead
from ordhash.learn.shallow.sdh import descend, ridge_solution


def problem(n=60, m=12, code_bits=6, n_classes=3, seed=0):
    """Kernel (n, m + 1), labels, and first bits."""
    rng = np.random.default_rng(seed)
    labels = np.eye(n_classes)[np.arange(n) % n_classes]
    kernel = np.column_stack([np.exp(-rng.random((n, m)) * (1 + labels[:, :1])), np.ones(n)])
    return kernel, labels, np.where(rng.random((n, code_bits)) < 0.5, -1.0, 1.0)


def slow_objective(settings, kernel, labels, bits, classifier, predictor):
    total = 0.0
    for i in range(len(labels)):
        total += sum((labels[i, c] - bits[i] @ classifier[:, c]) ** 2 for c in range(labels.shape[1]))
        predicted = [kernel[i] @ predictor[:, k] for k in range(bits.shape[1])]
        total += settings.prediction_weight * sum((bits[i, k] - predicted[k]) ** 2 for k in range(bits.shape[1]))
    total += settings.class_ridge * sum(value**2 for value in classifier.flat)
    return total + settings.prediction_weight * settings.prediction_ridge * sum(value**2 for value in predictor.flat)


@pytest.mark.parametrize("weight", [1e-5, 0.1, 10.0])
def test_the_objective_is_the_sum_and_never_rises(weight):
    settings = SDH(prediction_weight=weight, turns=6, sweeps=2)
    kernel, labels, bits = problem()
    before = bits.copy()
    turns = list(settings.alternate(kernel, labels, bits))
    assert len(turns) == 6
    np.testing.assert_array_equal(bits, before)
    for turn in turns:
        expected = slow_objective(settings, kernel, labels, turn.bits, turn.classifier, turn.predictor)
        assert turn.objective == pytest.approx(expected, rel=1e-9)
    objectives = [turn.objective for turn in turns]
    first = ridge_solution(bits, labels, settings.class_ridge)
    start = settings.objective(kernel, labels, bits, first, ridge_solution(kernel, bits, settings.prediction_ridge))
    assert (np.diff([start, *objectives]) <= 1e-9 * start).all()
    assert objectives[-1] < 0.95 * start


def test_a_step_of_one_bit_is_the_best_of_all_choices():
    """With one bit, descent finds the minimum over all 2^n codes of n images."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        labels, values = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
        classifier = rng.normal(size=(1, 2))
        found = descend(-np.ones((6, 1)), labels, classifier, values, 0.3, 1)
        best, least = None, np.inf
        for signs in itertools.product([-1.0, 1.0], repeat=6):
            bits = np.array(signs)[:, None]
            cost = ((labels - bits @ classifier) ** 2).sum() + 0.3 * ((bits - values) ** 2).sum()
            if cost < least:
                best, least = bits, cost
        np.testing.assert_array_equal(found, best)


def test_descent_sets_one_position_after_the_other():
    rng = np.random.default_rng(4)
    labels, values, classifier = rng.normal(size=(8, 3)), rng.normal(size=(8, 5)), rng.normal(size=(5, 3))
    bits = np.where(rng.random((8, 5)) < 0.5, -1.0, 1.0)
    expected = bits.copy()
    for k in range(5):
        for i in range(8):
            costs = {}
            for sign in (-1.0, 1.0):
                trial = expected[i].copy()
                trial[k] = sign
                costs[sign] = ((labels[i] - trial @ classifier) ** 2).sum() + 0.2 * ((trial - values[i]) ** 2).sum()
            expected[i, k] = min(costs, key=costs.get)
    np.testing.assert_array_equal(descend(bits, labels, classifier, values, 0.2, 1), expected)
    settled = descend(bits, labels, classifier, values, 0.2, 1000)
    np.testing.assert_array_equal(descend(settled, labels, classifier, values, 0.2, 1), settled)


def test_a_ridge_solution_has_no_gradient():
    rng = np.random.default_rng(5)
    inputs, targets = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    solution = ridge_solution(inputs, targets, 0.7)
    np.testing.assert_allclose(inputs.T @ (inputs @ solution - targets) + 0.7 * solution, 0, atol=1e-10)


def test_the_head_is_the_kernel_machine():
    rng = np.random.default_rng(6)
    anchors, weight, bias = rng.normal(size=(7, 5)), rng.normal(size=(3, 7)), rng.normal(size=3)
    x = rng.normal(size=(4, 5))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    head = KernelHead(anchors, 1.3, weight, bias)
    assert {name for name, _ in head.named_buffers()} == {"anchors", "width", "weight", "bias"}
    with torch.no_grad():
        scores = head(torch.from_numpy(x.astype(np.float32))[:, :, None, None]).scores.numpy()
    for i in range(4):
        near = [np.exp(-sum((x[i] - anchor) ** 2) / 1.3) for anchor in anchors]
        for bit in range(3):
            u = sum(weight[bit, k] * near[k] for k in range(7)) + bias[bit]
            np.testing.assert_allclose(scores[i, bit], [-u / 2, u / 2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("several", [False, True])
def test_the_head_predicts_the_bits_that_were_found(several):
    rng = np.random.default_rng(7)
    labels = rng.random((120, 4)) < 0.4 if several else np.eye(4, dtype=bool)[np.arange(120) % 4]
    features = labels @ rng.normal(size=(4, 16)) + 0.3 * rng.normal(size=(120, 16))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    settings = SDH(anchors=50)
    head = settings.fit(features, labels, 10, 0)
    assert head.anchors.shape == (50, 16)
    rows = {row.tobytes() for row in features}
    assert all(anchor.numpy().tobytes() in rows for anchor in head.anchors)
    distances = ((features[:, None].astype(np.float64) - head.anchors.numpy()[None]) ** 2).sum(axis=2)
    assert float(head.width) == pytest.approx(distances.mean(), rel=1e-5)
    bits = head.values(torch.from_numpy(features)).numpy() > 0
    same = (labels[:, None] == labels[None]).all(axis=2)
    agree = (bits[:, None] == bits[None]).mean(axis=2)
    assert agree[same].mean() > 0.9
    assert agree[~same].mean() < 0.75


def test_all_images_are_anchors_where_there_are_few():
    features = np.eye(5, 8, dtype=np.float32)
    head = SDH().fit(features, np.eye(5, dtype=bool), 4, 0)
    np.testing.assert_array_equal(np.sort(head.anchors.numpy().argmax(axis=1)), np.arange(5))
