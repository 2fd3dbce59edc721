import dataclasses

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DOH, DOHCodewords, Task
from ordhash.learn.objectives.centres import agreeing_codewords, far_codewords

SPEC = CodeSpec(16, 4)


def batch(multilabel=False, n=6, seed=2):
    rng = np.random.default_rng(seed)
    scores = rng.normal(scale=2, size=(n, SPEC.n_segments, SPEC.arity))
    logits = rng.normal(size=(n, 3))
    labels = np.eye(3)[np.arange(n) % 3]
    if multilabel:
        labels[0], labels[1] = (1, 1, 0), (0, 0, 0)
    tensors = [torch.from_numpy(values.astype(np.float32)) for values in (scores, logits, labels)]
    return HeadOutput(tensors[0], (tensors[1],), torch.ones(n, 1, 1)), tensors[2], scores, labels


def softmax_slowly(z):
    exp = np.exp(z - z.max())
    return exp / exp.sum()


def plain_term(scores, labels, settings, codewords):
    """The codeword term of the equation, one image at a time."""
    total = 0.0
    for z, row in zip(scores, labels, strict=True):
        logits = []
        wanted = row / max(row.sum(), 1e-12)
        for c, word in enumerate(codewords):
            u = np.concatenate([segment - segment.mean() for segment in z])
            o = np.concatenate([np.eye(SPEC.arity)[symbol] - 1 / SPEC.arity for symbol in word])
            cosine = u @ o / (np.linalg.norm(u) * np.linalg.norm(o))
            logits.append(settings.scale * (cosine - settings.margin * wanted[c]))
        total -= (wanted * np.log(softmax_slowly(np.array(logits)))).sum()
    return settings.codeword_weight * total / len(scores)


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_loss_in_plain_numpy(multilabel):
    output, wanted, scores, labels = batch(multilabel)
    settings = DOHCodewords(codeword_weight=0.7, scale=5.0, margin=0.1)
    task = Task(SPEC, 3, multilabel, seed=4)
    terms = settings.build(task)(output, wanted)
    expected = plain_term(scores, labels, settings, far_codewords(3, SPEC, seed=4))
    assert terms["codewords"].item() == pytest.approx(expected, rel=1e-5)
    # The other two terms are those of the paper's objective.
    for name, value in DOH().build(task)(output, wanted).items():
        assert torch.equal(terms[name], value)
    assert set(terms) == {"pairs", "classes", "codewords"}


def test_the_codeword_of_the_own_class_costs_least():
    word = far_codewords(3, SPEC, seed=0)
    loss = DOHCodewords().build(Task(SPEC, 3))
    output, *_ = batch(n=3)

    def cost(order):
        scores = torch.nn.functional.one_hot(torch.from_numpy(word[order]), 4) * 5.0
        return loss(dataclasses.replace(output, scores=scores), torch.eye(3))["codewords"].item()

    assert cost([0, 1, 2]) < cost([0, 2, 1]) < cost([1, 2, 0])


def test_codewords_differ_by_seed_and_belong_to_the_state():
    first, same, other = (DOHCodewords().build(Task(SPEC, 5, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first.codewords, same.codewords)
    assert not torch.equal(first.codewords, other.codewords)
    assert list(first.state_dict()) == ["codewords"]
    assert list(first.parameters()) == []


def test_codewords_of_classes_that_look_alike_are_nearer():
    features = np.array([[2.0, 0.1], [1.0, 0.0], [-1.0, 0.5], [0.0, 0.0]], dtype=np.float32)
    wanted = np.zeros((4, 4))
    for c in range(4):
        for d in range(4):
            lengths = np.linalg.norm(features[c]) * np.linalg.norm(features[d])
            wanted[c, d] = (
                max(0.0, features[c] @ features[d] / lengths) ** 2 if lengths else 0.0
            )  # a class without images
    task = Task(SPEC, 4, seed=2, class_features=torch.from_numpy(features))
    expected = agreeing_codewords(wanted, SPEC, seed=2)
    chosen = DOHCodewords().build(task).codewords.reshape(4, 8, 4).argmax(dim=2)
    np.testing.assert_array_equal(chosen.numpy(), expected)
    assert (expected[0] == expected[1]).sum() == 4  # half of the segments
    assert (expected[0] == expected[2]).sum() == 0


@pytest.mark.parametrize("name", ["codeword_weight", "margin"])
def test_settings_below_zero_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is -1; allowed are 0 and more"):
        DOHCodewords(**{name: -1})


def test_a_scale_of_zero_is_refused():
    with pytest.raises(InputError, match=r"scale is 0; .* above 0"):
        DOHCodewords(scale=0)
