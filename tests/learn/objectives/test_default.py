import torch

from ordhash.codes.codes import CodeSpec
from ordhash.learn.network import HeadOutput
from ordhash.learn.objectives import DOH, Default, DOHCodewords, DOHMixup, DOHSymbols, Task

SPEC = CodeSpec(16, 4)


def test_it_chooses_by_the_labels():
    default = Default()
    assert default.suited(Task(SPEC, 10, n_images=5000)) == DOHMixup()
    assert default.suited(Task(SPEC, 10, n_images=5000, accuracy=0.9)) == DOHMixup()
    assert default.suited(Task(SPEC, 10, n_images=5000, accuracy=0.7)) == DOHMixup(mixup=0.0, fitted_share=0.0)
    assert default.suited(Task(SPEC, 81, n_images=2640)) == DOHCodewords()
    assert default.suited(Task(SPEC, 14, n_images=500)) == DOHCodewords()
    assert default.suited(Task(SPEC, 21, multilabel=True, n_images=4000)) == DOH()
    assert default.suited(Task(SPEC, 21, multilabel=True, n_images=100)) == DOH()
    assert default.suited(Task(SPEC, 200, n_images=3000, soft=True, fineness=0.5)) == DOHSymbols(symbol_weight=0.25)
    assert default.suited(Task(SPEC, 200, n_images=3000, soft=True)) == DOHSymbols(symbol_weight=0.0)
    assert default.suited(Task(SPEC, 200, n_images=3000, soft=True, fineness=7.0)) == DOHSymbols(symbol_weight=1.0)


def test_others_are_what_they_are():
    for objective in (DOH(pair_weight=2.0), DOHMixup(), DOHCodewords(scale=3.0)):
        assert objective.suited(Task(SPEC, 81, n_images=100)) is objective


def test_its_loss_is_that_of_the_chosen_one():
    torch.manual_seed(0)
    labels = torch.eye(3).repeat(2, 1)
    output = HeadOutput(torch.randn(6, 8, 4), (torch.randn(6, 3),), torch.ones(6, 1, 1), torch.rand(6, 5))
    for n_images, objective in ((30, DOHCodewords()), (100_000, DOHMixup())):
        task = Task(SPEC, 3, n_images=n_images)
        expected = objective.build(task)(output, labels)
        found = Default().build(task)(output, labels)
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
