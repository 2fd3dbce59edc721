import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DOH, DOHMixup, Task
from ordhash.learn.objectives.base import label_similarity


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
    settings = DOHMixup(pair_weight=2.0, class_weight=0.3)
    output = HeadOutput(torch.from_numpy(scores), tuple(torch.from_numpy(part) for part in logits), torch.ones(n, 1, 1))
    terms = settings.build(Task(spec, n_classes, multilabel))(output, torch.from_numpy(labels.astype(np.float32)))

    relaxed = [[softmax_slowly(z.astype(np.float64)) for z in row] for row in scores]
    pairs = []
    for i in range(n):
        for j in range(n):
            if i != j:
                agreement = np.mean([h @ other for h, other in zip(relaxed[i], relaxed[j], strict=True)])
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
    np.testing.assert_array_equal(label_similarity(labels).numpy(), expected)


def test_without_mixing_it_is_the_papers_objective():
    torch.manual_seed(0)
    inputs, labels, task = torch.randn(6, 4, 2, 2), torch.eye(3).repeat(2, 1), Task(CodeSpec(8, 4), 3)
    output = HeadOutput(torch.randn(6, 4, 4), (torch.randn(6, 3),), torch.ones(6, 1, 1))
    objective = DOHMixup(mixup=0.0)
    assert objective.blend(inputs, labels)[0] is inputs
    for name, value in DOH().build(task)(output, labels).items():
        assert torch.equal(objective.build(task)(output, labels)[name], value)


def test_blending_keeps_shares_and_can_be_switched_off():
    torch.manual_seed(0)
    inputs = torch.eye(6)[:, :, None, None].repeat(1, 1, 2, 2)
    labels = torch.eye(6)
    mixed, wanted = DOHMixup(mixup=1.0).blend(inputs, labels)
    # Every image is its own label here, so what was blended into it can be read off.
    torch.testing.assert_close(mixed[:, :, 0, 0], wanted)
    torch.testing.assert_close(wanted.sum(dim=1), torch.ones(6))
    assert ((wanted > 0) & (wanted < 1)).any()
    shares = {round(float(row.max()), 5) for row in wanted if row.max() < 1}
    assert len(shares) == 1  # one share for the whole batch
    same = DOHMixup(mixup=0.0).blend(inputs, labels)
    assert same[0] is inputs
    assert same[1] is labels


def test_images_with_several_labels_are_not_blended():
    inputs, labels = torch.randn(4, 3, 2, 2), torch.eye(4)
    labels[2, 3] = 1
    mixed, wanted = DOHMixup().blend(inputs, labels)
    assert mixed is inputs
    assert wanted is labels
    labels[2] = 0  # no label at all is no reason
    assert DOHMixup(mixup=1.0).blend(inputs, labels)[0] is not inputs


@pytest.mark.parametrize("name", ["pair_weight", "class_weight", "similar_weight", "mixup"])
def test_settings_below_zero_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is -1; allowed are 0 and more"):
        DOHMixup(**{name: -1})


def test_the_loss_has_no_parameters():
    assert list(DOHMixup().build(Task(CodeSpec(16, 4), 4)).parameters()) == []
