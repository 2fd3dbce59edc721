import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DOH, Task
from ordhash.learn.objectives.doh import pair_difference_loss

SPEC = CodeSpec(12, 8)  # 4 segments


def softmax_slowly(z):
    exp = np.exp(z - z.max())
    return exp / exp.sum()


def pairs_slowly(codes, similarity, n_segments, similar_weight=1.0):
    """Weighted mean of squared differences; codes (n, R, K)."""
    total = weight_of_all = 0.0
    for i in range(len(codes)):
        for j in range(len(codes)):
            if i == j:
                continue
            agreement = sum(np.dot(codes[i, r], codes[j, r]) for r in range(n_segments)) / n_segments
            # A pair that is half similar weighs half-way between 1 and the weight of a similar one.
            weight = similarity[i, j] * similar_weight + (1 - similarity[i, j])
            total += weight * (similarity[i, j] - agreement) ** 2
            weight_of_all += weight
    return total / weight_of_all


@pytest.mark.parametrize("similar_weight", [1.0, 5.0, 0.25])
@pytest.mark.parametrize("graded", [False, True])
def test_pair_difference_loss_is_the_weighted_mean_over_pairs(similar_weight, graded):
    rng = np.random.default_rng(3)
    scores = rng.normal(scale=2, size=(6, 4, 8))
    codes = np.array([[softmax_slowly(z) for z in row] for row in scores])
    similarity = rng.random((6, 6)) if graded else (rng.random((6, 6)) < 0.5).astype(float)
    similarity = np.maximum(similarity, similarity.T)
    found = pair_difference_loss(
        torch.from_numpy(codes.reshape(6, -1)), torch.from_numpy(similarity), 4, similar_weight=similar_weight
    )
    assert found.ndim == 0
    np.testing.assert_allclose(found.item(), pairs_slowly(codes, similarity, 4, similar_weight), rtol=1e-10)


def test_an_image_is_no_pair_with_itself():
    codes = torch.full((1, 8), 0.5, requires_grad=True)
    loss = pair_difference_loss(codes, torch.ones(1, 1), 4)
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(codes.grad, torch.zeros(1, 8))  # no NaN
    two = pair_difference_loss(torch.full((2, 8), 0.5), torch.tensor([[9.0, 1.0], [1.0, 9.0]]), 4)
    assert two.item() == pytest.approx(0.25)  # agreement 1/2, whatever the diagonal says


def test_equal_codes_of_similar_images_cost_nothing():
    one_hot = torch.eye(2).repeat(1, 4)  # two images that differ in every one of 4 segments
    assert pair_difference_loss(one_hot, torch.eye(2), 4).item() == 0
    assert pair_difference_loss(one_hot, torch.ones(2, 2), 4).item() == 1


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_loss_is_the_papers_equation(multilabel):
    rng = np.random.default_rng(4)
    n, n_classes = 7, 3
    scores = rng.normal(scale=2, size=(n, 4, 8))
    logits = rng.normal(scale=2, size=(2, n, n_classes))
    if multilabel:
        labels = (rng.random((n, n_classes)) < 0.5).astype(float)
    else:
        labels = np.eye(n_classes)[rng.integers(0, n_classes, n)]
    output = HeadOutput(
        torch.from_numpy(scores), tuple(torch.from_numpy(part) for part in logits), torch.full((n, 1, 1), 1.0)
    )
    settings = DOH(pair_weight=3.0, class_weight=0.5, similar_weight=2.0)
    terms = settings.build(Task(SPEC, n_classes, multilabel))(output, torch.from_numpy(labels))

    relaxed = np.array([[softmax_slowly(z) for z in row] for row in scores])
    similarity = np.array([[float((a * b).any()) for b in labels] for a in labels])
    classes = 0.0
    for stream in logits:
        for z, row in zip(stream, labels, strict=True):
            if multilabel:
                p = 1 / (1 + np.exp(-z))
                classes += -(row * np.log(p) + (1 - row) * np.log(1 - p)).sum()
            else:
                classes += -np.log(softmax_slowly(z)[row.argmax()])
    assert set(terms) == {"pairs", "classes"}
    np.testing.assert_allclose(terms["pairs"].item(), 3 * pairs_slowly(relaxed, similarity, 4, 2.0), rtol=1e-10)
    np.testing.assert_allclose(terms["classes"].item(), 0.5 * classes / (2 * n), rtol=1e-10)


def test_the_ranking_loss_reaches_the_scores():
    scores = torch.zeros(2, 4, 8)
    scores[0, :, 0] = scores[1, :, 1] = 1.0
    scores.requires_grad_()
    output = HeadOutput(scores, (torch.zeros(2, 2),), torch.ones(2, 1, 1))
    loss = DOH().build(Task(SPEC, 2))
    terms = loss(output, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    terms["pairs"].backward()
    moved = (scores - scores.grad).detach()
    after = loss(HeadOutput(moved, output.class_logits, output.attention), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert after["pairs"] < terms["pairs"]
