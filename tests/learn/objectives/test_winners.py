import numpy as np
import pytest
import torch

from ordhash.codes import CodeSpec
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import Task, Winners
from ordhash.learn.objectives.winners import class_codewords


def ordinal_distances_slowly(book):
    return [sum(int(a != b) for a, b in zip(book[i], book[j], strict=True)) for i in range(len(book)) for j in range(i)]


def softmax_slowly(z):
    exp = np.exp(z - z.max())
    return exp / exp.sum()


@pytest.mark.parametrize(
    ("n_classes", "code_bits", "arity"),
    [(10, 48, 4), (10, 12, 16), (14, 24, 4), (2, 8, 2), (3, 8, 4), (100, 32, 4), (20, 4, 2), (1, 8, 4)],
)
def test_codewords_are_balanced_in_every_segment(n_classes, code_bits, arity):
    spec = CodeSpec(code_bits, arity)
    book = class_codewords(n_classes, spec, seed=0)
    assert book.shape == (n_classes, spec.n_segments)
    assert book.dtype == np.int64
    for segment in book.T:
        counts = np.bincount(segment, minlength=arity)
        assert len(counts) == arity  # no symbol beyond the arity
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("n_classes", "code_bits", "arity"), [(10, 48, 4), (10, 12, 4), (14, 24, 2), (30, 48, 16)])
def test_codewords_are_farther_apart_than_those_of_random_draws(n_classes, code_bits, arity):
    spec = CodeSpec(code_bits, arity)
    smallest = min(ordinal_distances_slowly(class_codewords(n_classes, spec, seed=0)))
    rng = np.random.default_rng(9)
    draws = [
        min(ordinal_distances_slowly(rng.integers(0, arity, (n_classes, spec.n_segments)).tolist())) for _ in range(50)
    ]
    assert smallest >= max(draws)
    assert smallest > np.median(draws)


def test_codewords_of_as_many_classes_as_symbols_differ_everywhere():
    assert set(ordinal_distances_slowly(class_codewords(4, CodeSpec(8, 4), seed=0))) == {4}


def test_the_same_seed_draws_the_same_codewords():
    spec = CodeSpec(24, 4)
    np.testing.assert_array_equal(class_codewords(10, spec, seed=3), class_codewords(10, spec, seed=3))
    assert (class_codewords(10, spec, seed=3) != class_codewords(10, spec, seed=4)).any()


def test_more_classes_than_codes_share_codewords():
    book = class_codewords(40, CodeSpec(4, 4), seed=0)  # 16 codes
    assert book.shape == (40, 2)
    assert len({tuple(row) for row in book.tolist()}) <= 16


def test_many_classes_take_no_time_out_of_proportion():
    assert class_codewords(1000, CodeSpec(48, 4), seed=0).shape == (1000, 24)


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_loss_in_plain_numpy(multilabel):
    rng = np.random.default_rng(5)
    n, n_classes, spec = 7, 3, CodeSpec(12, 8)
    scores = rng.normal(scale=2, size=(n, spec.n_segments, spec.arity)).astype(np.float32)
    logits = rng.normal(scale=2, size=(2, n, n_classes)).astype(np.float32)
    if multilabel:
        labels = rng.random((n, n_classes)) < 0.5
        labels[0] = False  # an image with no label at all
        assert (labels.sum(axis=1) == 2).any()
    else:
        labels = np.eye(n_classes, dtype=bool)[rng.integers(0, n_classes, n)]
    settings = Winners(pair_weight=2.0, codeword_weight=0.7, codeword_scale=5.0, class_weight=0.3)
    output = HeadOutput(torch.from_numpy(scores), tuple(torch.from_numpy(part) for part in logits), torch.ones(n, 1, 1))
    loss = settings.build(Task(spec, n_classes, multilabel, seed=11))
    terms = loss(output, torch.from_numpy(labels.astype(np.float32)))

    winners = [[int(np.argmax(z)) for z in row] for row in scores]
    pairs = []
    for i in range(n):
        for j in range(n):
            if i != j:
                agreement = np.mean([a == b for a, b in zip(winners[i], winners[j], strict=True)])
                similar = float((labels[i] & labels[j]).any())
                pairs.append((similar - agreement) ** 2)
    book = class_codewords(n_classes, spec, seed=11)
    codewords = []
    for i in range(n):
        agreement = np.array([np.mean([a == b for a, b in zip(winners[i], word, strict=True)]) for word in book])
        log_probabilities = np.log(softmax_slowly(5.0 * agreement))
        mine = np.flatnonzero(labels[i])
        codewords.append(-log_probabilities[mine].mean() if len(mine) else 0.0)
    classes = 0.0
    for stream in logits.astype(np.float64):
        for z, row in zip(stream, labels, strict=True):
            if multilabel:
                p = 1 / (1 + np.exp(-z))
                classes += -np.log(np.where(row, p, 1 - p)).sum()
            else:
                classes += -np.log(softmax_slowly(z)[row.argmax()])
    assert set(terms) == {"pairs", "codewords", "classes"}
    np.testing.assert_allclose(terms["pairs"].item(), 2.0 * np.mean(pairs), rtol=1e-5)
    np.testing.assert_allclose(terms["codewords"].item(), 0.7 * np.mean(codewords), rtol=1e-5)
    np.testing.assert_allclose(terms["classes"].item(), 0.3 * classes / (2 * n), rtol=1e-5)


def test_winners_on_their_codewords_are_the_smallest_loss():
    spec = CodeSpec(16, 4)
    labels = torch.eye(4)
    loss = Winners().build(Task(spec, 4, seed=2))
    book = torch.from_numpy(class_codewords(4, spec, seed=2))
    right = torch.nn.functional.one_hot(book, 4).float()
    generator = torch.Generator().manual_seed(0)

    def value(scores):
        terms = loss(HeadOutput(scores, (torch.zeros(4, 4),), torch.ones(4, 1, 1)), labels)
        return float(terms["pairs"] + terms["codewords"])

    best = value(right)
    assert all(value(torch.randn(4, 8, 4, generator=generator)) > best for _ in range(20))
    assert value(right * 100) == pytest.approx(best)  # winners count, not how much they win by


def test_the_loss_has_no_parameters_and_keeps_its_codewords():
    loss = Winners().build(Task(CodeSpec(16, 4), 4, seed=2))
    assert list(loss.parameters()) == []
    assert loss.state_dict()["codewords"].shape == (4, 32)
