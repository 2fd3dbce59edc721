import math

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec, symbols_from_scores
from ordhash.errors import InputError
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import Classifier, Task
from ordhash.learn.objectives.classifier import class_digits


@pytest.mark.parametrize(("n_classes", "code_bits", "arity"), [(10, 12, 2), (10, 12, 4), (21, 12, 8), (2, 8, 256)])
def test_digits_write_the_class_and_repeat(n_classes, code_bits, arity):
    n_segments = CodeSpec(code_bits, arity).n_segments
    digits = class_digits(n_classes, n_segments, arity).numpy()
    assert digits.shape == (n_classes, n_segments)
    n_digits = math.ceil(round(math.log(n_classes, arity), 9))
    for index in range(n_classes):
        assert sum(digits[index, place] * arity**place for place in range(n_digits)) == index
        for r in range(n_segments):
            assert digits[index, r] == digits[index, r % n_digits]


@pytest.mark.parametrize("arity", [2, 4])
def test_the_loss_is_the_cross_entropy_of_every_digit(arity):
    spec = CodeSpec(12, arity)
    scores = np.random.default_rng(0).normal(size=(6, spec.n_segments, arity))
    classes = [0, 4, 2, 4, 3, 1]
    digits = class_digits(5, spec.n_segments, arity)
    losses = []
    for row, index in zip(scores, classes, strict=True):
        for r, z in enumerate(row):
            losses.append(math.log(sum(math.exp(value) for value in z)) - z[int(digits[index, r])])
    output = HeadOutput(torch.from_numpy(scores), (), torch.ones(6, 1, 1))
    (value,) = Classifier().build(Task(spec, 5))(output, torch.eye(5, dtype=torch.float64)[classes]).values()
    np.testing.assert_allclose(value.item(), np.mean(losses), rtol=1e-10)


def test_several_classes_count_by_their_shares():
    torch.manual_seed(0)
    loss = Classifier().build(Task(CodeSpec(12, 4), 5))
    output = HeadOutput(torch.randn(1, 6, 4), (), torch.ones(1, 1, 1))
    each = torch.stack([loss(output, label[None])["digits"] for label in torch.eye(5)])
    shares = torch.tensor([[0.25, 0.0, 0.5, 0.0, 0.25]])
    torch.testing.assert_close(loss(output, shares)["digits"], (shares[0] * each).sum())


def test_what_is_learned_are_equal_codes_for_equal_classes():
    task = Task(CodeSpec(8, 2), 3)
    loss = Classifier().build(task)
    scores = torch.zeros(6, 8, 2, requires_grad=True)
    classes = torch.tensor([0, 1, 2, 2, 1, 0])
    for _ in range(3):
        value = loss(HeadOutput(scores, (), torch.ones(6, 1, 1)), torch.eye(3)[classes])["digits"]
        (gradient,) = torch.autograd.grad(value, scores)
        scores = (scores - gradient).detach().requires_grad_()
    codes = symbols_from_scores(scores.detach().numpy())
    for i in range(6):
        for j in range(6):
            assert (codes[i] == codes[j]).all() == (classes[i] == classes[j])


def test_what_has_no_such_code_is_refused():
    with pytest.raises(InputError, match="17 classes need 5 segments of arity 2; the code has 4"):
        Classifier().build(Task(CodeSpec(4, 2), 17))
    with pytest.raises(InputError, match="objective classifier needs images with one label each"):
        Classifier().build(Task(CodeSpec(8, 4), 3, multilabel=True))
