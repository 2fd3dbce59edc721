import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DOH, DOHSymbols, GreedyHash, Task
from ordhash.learn.objectives.symbols import straight_through


def batch(arity, multilabel=False):
    generator = torch.Generator().manual_seed(arity)
    scores = torch.randn(5, 6, arity, generator=generator, dtype=torch.float64)
    labels = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0, 1]]
    if multilabel:
        labels[0] = 1
    logits = (torch.randn(5, 3, generator=generator, dtype=torch.float64),)
    return HeadOutput(scores, logits, torch.ones(5, 1, 1)), labels


@pytest.mark.parametrize("arity", [2, 4])
@pytest.mark.parametrize("multilabel", [False, True])
def test_the_loss_is_its_formula(arity, multilabel):
    output, labels = batch(arity, multilabel)
    settings = DOHSymbols(pair_weight=0.5, symbol_weight=0.7, quantisation_weight=0.3)
    task = Task(CodeSpec.of_segments(6, arity), 3, multilabel)
    loss = settings.build(task).double()
    weight = loss.classes.weight.detach().numpy()
    read, away = [], []
    for scores, wanted in zip(output.scores.numpy(), labels.numpy(), strict=True):
        code = []
        for segment in scores:
            winner, mean = int(segment.argmax()), segment.mean()
            symbols = [2 * ((k == winner) - 1 / arity) for k in range(arity)]
            away += [abs(2 * (z - mean) - b) ** 3 for z, b in zip(segment, symbols, strict=True)]
            code += symbols
        logits = weight @ np.array(code)
        if multilabel:
            chances = 1 / (1 + np.exp(-logits))
            read.append(-sum(math.log(p if y else 1 - p) for p, y in zip(chances, wanted, strict=True)))
        else:
            read.append(math.log(np.exp(logits).sum()) - logits[int(wanted.argmax())])
    terms = loss(output, labels)
    assert set(terms) == {"pairs", "classes", "symbols", "quantisation"}
    np.testing.assert_allclose(terms["symbols"].item(), 0.7 * np.mean(read), rtol=1e-10)
    np.testing.assert_allclose(terms["quantisation"].item(), 0.7 * 0.3 * np.mean(away), rtol=1e-10)
    paper = DOH(pair_weight=0.5).build(task)(output, labels)
    assert all(torch.equal(terms[name], paper[name]) for name in paper)


def test_of_two_symbols_it_reads_what_greedyhash_reads():
    output, labels = batch(2)
    task = Task(CodeSpec(6, 2), 3)
    ours, theirs = DOHSymbols(symbol_weight=1.0).build(task).double(), GreedyHash().build(task).double()
    with torch.no_grad():  # a layer on (-b, b) that reads b
        ours.classes.weight.zero_().view(3, 6, 2)[..., 1] = theirs.classes.weight
    assert ours(output, labels)["symbols"].item() == pytest.approx(theirs(output, labels)["classes"].item())


def test_the_gradient_of_symbols_is_that_of_centred_scores():
    scores = batch(4)[0].scores.requires_grad_()
    values, symbols = straight_through(scores)
    pull = torch.randn_like(values)
    (through,) = torch.autograd.grad((symbols * pull).sum(), scores, retain_graph=True)
    (wanted,) = torch.autograd.grad((values * pull).sum(), scores)
    torch.testing.assert_close(through, wanted)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="symbol_weight is -1; allowed are 0 and more"):
        DOHSymbols(symbol_weight=-1)
