import numpy as np
import pytest
import torch

from ordhash.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import Task, Winners
from ordhash.learn.objectives.winners import graded_similarity


def softmax_slowly(z):
    exp = np.exp(z - z.max())
    return exp / exp.sum()


def blended_labels(rng, n, n_classes, multilabel):
    """Labels of pairs of images, blended as mixup does it."""
    if multilabel:
        first, second = (rng.random((2, n, n_classes)) < 0.5).astype(np.float64)
    else:
        first, second = np.eye(n_classes)[rng.integers(0, n_classes, (2, n))]
    return 0.7 * first + 0.3 * second


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_loss_in_plain_numpy(multilabel):
    rng = np.random.default_rng(5)
    n, n_classes, spec = 7, 3, CodeSpec(12, 8)
    scores = rng.normal(scale=2, size=(n, spec.n_segments, spec.arity)).astype(np.float32)
    logits = rng.normal(scale=2, size=(2, n, n_classes)).astype(np.float32)
    labels = blended_labels(rng, n, n_classes, multilabel)
    settings = Winners(pair_weight=2.0, class_weight=0.3)
    output = HeadOutput(torch.from_numpy(scores), tuple(torch.from_numpy(part) for part in logits), torch.ones(n, 1, 1))
    terms = settings.build(Task(spec, n_classes, multilabel))(output, torch.from_numpy(labels.astype(np.float32)))

    relaxed = [[softmax_slowly(z.astype(np.float64)) for z in row] for row in scores]
    winners = [[int(np.argmax(z)) for z in row] for row in scores]
    pairs = []
    for i in range(n):
        for j in range(n):
            if i != j:
                agreement = np.mean([h[b] for h, b in zip(relaxed[i], winners[j], strict=True)])
                similar = min(1.0, float(sum(p * q for p, q in zip(labels[i], labels[j], strict=True))))
                pairs.append((similar - agreement) ** 2)
    classes = 0.0
    for stream in logits.astype(np.float64):
        for z, row in zip(stream, labels, strict=True):
            if multilabel:
                p = 1 / (1 + np.exp(-z))
                classes += -(row * np.log(p) + (1 - row) * np.log(1 - p)).sum()
            else:
                classes += -(row * np.log(softmax_slowly(z))).sum()
    assert set(terms) == {"pairs", "classes"}
    np.testing.assert_allclose(terms["pairs"].item(), 2.0 * np.mean(pairs), rtol=1e-5)
    np.testing.assert_allclose(terms["classes"].item(), 0.3 * classes / (2 * n), rtol=1e-5)


def test_similarity_is_one_for_a_shared_label_and_graded_between():
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.5]])
    expected = [[1.0, 1.0, 0.0, 0.5], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.5], [0.5, 0.0, 0.5, 0.5]]
    np.testing.assert_array_equal(graded_similarity(labels).numpy(), expected)


def test_the_gradient_moves_an_image_towards_the_winner_of_its_like():
    # One segment, two images of one class: the first is undecided, the second has chosen symbol 2.
    scores = torch.tensor([[[0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 9.0, 0.0]]], requires_grad=True)
    loss = Winners().build(Task(CodeSpec(2, 4), 1))
    terms = loss(HeadOutput(scores, (torch.zeros(2, 1),), torch.ones(2, 1, 1)), torch.ones(2, 1))
    (gradient,) = torch.autograd.grad(terms["pairs"], scores)
    assert gradient[0, 0, 2] < 0
    assert (gradient[0, 0, [0, 1, 3]] > 0).all()


def test_blending_keeps_shares_and_can_be_switched_off():
    torch.manual_seed(0)
    inputs = torch.eye(6)[:, :, None, None].repeat(1, 1, 2, 2)
    labels = torch.eye(6)
    mixed, wanted = Winners(mixup=1.0).blend(inputs, labels)
    # Every image is its own label here, so what was blended into it can be read off.
    torch.testing.assert_close(mixed[:, :, 0, 0], wanted)
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(6))
    assert ((wanted > 0) & (wanted < 1)).any()
    shares = {round(float(row.max()), 5) for row in wanted if row.max() < 1}
    assert len(shares) == 1  # one share for the whole batch
    same = Winners(mixup=0.0).blend(inputs, labels)
    assert same[0] is inputs
    assert same[1] is labels


@pytest.mark.parametrize("name", ["pair_weight", "class_weight", "mixup"])
def test_settings_below_zero_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is -1; allowed are 0 and more"):
        Winners(**{name: -1})


def test_the_loss_has_no_parameters():
    assert list(Winners().build(Task(CodeSpec(16, 4), 4)).parameters()) == []
