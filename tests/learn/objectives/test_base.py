import numpy as np
import pytest
import torch

from ordhash.codes.codes import OrdinalCodes
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives.base import (
    balanced_pair_weights,
    binary_signs,
    binary_values,
    class_loss,
    label_similarity,
    pair_mean,
    relaxed_code,
)


def random_scores(n=5, n_segments=3, arity=4, seed=0):
    return torch.randn(n, n_segments, arity, generator=torch.Generator().manual_seed(seed)) * 3


def softmax_slowly(z):
    exp = np.exp(z - z.max())
    return exp / exp.sum()


@pytest.mark.parametrize(("n_segments", "arity"), [(3, 4), (7, 2), (2, 16)])
def test_relaxed_code_is_the_softmax_of_every_segment(n_segments, arity):
    scores = random_scores(5, n_segments, arity)
    expected = [[p for segment in row for p in softmax_slowly(segment)] for row in scores.double().numpy()]
    np.testing.assert_allclose(relaxed_code(scores).numpy(), expected, rtol=1e-5, atol=1e-7)


def test_similarity_of_whole_labels():
    labels = np.random.default_rng(0).random((6, 4)) < 0.4
    labels[0] = False
    expected = [[float(any(p and q for p, q in zip(a, b, strict=True))) for b in labels] for a in labels]
    found = label_similarity(torch.from_numpy(labels.astype(np.float32)))
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("streams", [1, 2])
def test_class_loss_of_one_label_is_the_cross_entropy(streams):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(streams, 6, 4))
    classes = rng.integers(0, 4, 6)
    output = HeadOutput(torch.zeros(6, 1, 2), tuple(torch.from_numpy(part) for part in logits), torch.ones(6, 1, 1))
    found = class_loss(output, torch.from_numpy(np.eye(4)[classes]), multilabel=False)
    losses = [-np.log(softmax_slowly(logits[s, i])[classes[i]]) for s in range(streams) for i in range(6)]
    assert found.ndim == 0
    np.testing.assert_allclose(found.item(), np.mean(losses), rtol=1e-10)


@pytest.mark.parametrize("streams", [1, 2])
def test_class_loss_of_many_labels_is_the_binary_cross_entropy_summed_over_classes(streams):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(streams, 6, 4))
    labels = (rng.random((6, 4)) < 0.5).astype(float)
    output = HeadOutput(torch.zeros(6, 1, 2), tuple(torch.from_numpy(part) for part in logits), torch.ones(6, 1, 1))
    found = class_loss(output, torch.from_numpy(labels), multilabel=True)
    total = 0.0
    for s in range(streams):
        for i in range(6):
            for c in range(4):
                p = 1 / (1 + np.exp(-logits[s, i, c]))
                total -= labels[i, c] * np.log(p) + (1 - labels[i, c]) * np.log(1 - p)
    np.testing.assert_allclose(found.item(), total / (streams * 6), rtol=1e-10)


def test_bits_are_the_symbols():
    scores = random_scores(6, 5, 2)
    scores[0, 0] = 0.25  # of equal scores the first wins
    symbols = OrdinalCodes.from_scores(scores.numpy()).symbols
    u = binary_values(scores)
    assert u.shape == (6, 5)
    np.testing.assert_array_equal(u.numpy() > 0, symbols == 1)
    np.testing.assert_array_equal(binary_signs(u).numpy(), 2.0 * symbols - 1)
    torch.testing.assert_close(binary_values(torch.stack([-u / 2, u / 2], dim=2)), u)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_the_mean_over_pairs_leaves_out_images_with_themselves(n):
    values = np.random.default_rng(0).normal(size=(n, n))
    np.fill_diagonal(values, np.inf)
    pairs = [values[i, j] for i in range(n) for j in range(n) if i != j]
    assert pair_mean(torch.from_numpy(values)).item() == pytest.approx(np.mean(pairs) if pairs else 0)


@pytest.mark.parametrize("classes", [[0, 0, 1, 2, 0], [0, 1], [0, 0], [0]])
def test_both_kinds_of_pair_weigh_the_same(classes):
    n = len(classes)
    similarity = label_similarity(torch.eye(3)[classes])
    weights = balanced_pair_weights(similarity).numpy()
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    for kind in (True, False):
        members = [pair for pair in pairs if (classes[pair[0]] == classes[pair[1]]) == kind]
        for pair in members:
            assert weights[pair] == pytest.approx(len(pairs) / len(members))
