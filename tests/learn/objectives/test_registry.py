import dataclasses
import inspect

import numpy as np
import pytest
import torch

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.errors import InputError
from ordhash.learn.network import HashingHead
from ordhash.learn.objectives import OBJECTIVES, Objective, Task, find_objective
from ordhash.learn.validation import leave_one_out_map


def test_names_find_objectives():
    for name, kind in OBJECTIVES.items():
        assert name == kind.name
        assert find_objective(name) == kind()
        own = kind()
        assert find_objective(own) is own


@pytest.mark.parametrize(("wrong", "hint"), [("dho", "did you mean doh?"), ("mixup", "did you mean doh-mixup?")])
def test_an_unknown_name_gets_a_suggestion(wrong, hint):
    with pytest.raises(InputError) as caught:
        find_objective(wrong)
    assert str(caught.value) == f"objective is {wrong!r}; allowed are {', '.join(OBJECTIVES)}; {hint}"


def test_a_name_like_none_gets_the_list_alone():
    with pytest.raises(InputError, match="allowed are doh-mixup, doh") as caught:
        find_objective("zzzz")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("kind", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_every_objective_describes_itself(kind):
    assert issubclass(kind, Objective)
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert len(kind.citation) > 10
    # A dataclass without a docstring of its own gets its signature as one.
    assert len(inspect.getdoc(kind) or "") > 30
    assert not (kind.__doc__ or "").startswith(f"{kind.__name__}(")
    assert len(inspect.getmodule(kind).__doc__) > 100  # the paper, and what is our reading of it
    for setting in dataclasses.fields(kind):
        assert f"{setting.name}:" in kind.__doc__
        assert setting.default is not dataclasses.MISSING
    assert isinstance(kind().build(Task(CodeSpec(8, 4), 3)), torch.nn.Module)


@pytest.mark.parametrize("kind", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_every_setting_has_an_effect(kind):
    task = Task(CodeSpec(16, 4), 3)
    torch.manual_seed(0)
    head = HashingHead(5, 3, task.spec, hidden=8, local_hidden=8).eval()
    labels = torch.eye(3)[torch.tensor([0, 1, 2, 0, 1])]
    maps = torch.randn(5, 5, 2, 2)

    def value(objective):
        torch.manual_seed(1)
        inputs, wanted = objective.blend(maps, labels)
        return sum(float(term) for term in objective.build(task)(head(inputs), wanted).values())

    with torch.no_grad():
        usual = value(kind())
        for setting in dataclasses.fields(kind):
            if not isinstance(setting.default, float):
                continue
            other = dataclasses.replace(kind(), **{setting.name: setting.default * 2})
            assert value(other) != usual, setting.name


def clusters(seed, multilabel):
    """40 maps 5x5 in 4 classes: one location tells the class, the others are noise."""
    rng = np.random.default_rng(seed)
    labels = np.eye(4, dtype=bool)[np.arange(40) % 4]
    if multilabel:
        labels |= np.eye(4, dtype=bool)[rng.integers(0, 4, 40)]
    centres = np.random.default_rng(0).normal(size=(4, 12))
    maps = rng.normal(size=(40, 12, 5, 5))
    for row in range(40):
        y, x = rng.integers(0, 5, 2)
        maps[row, :, y, x] += 6 * centres[labels[row]].sum(axis=0)
    return torch.from_numpy(maps.astype(np.float32)), labels


@pytest.mark.parametrize("multilabel", [False, True], ids=["one label", "many labels"])
@pytest.mark.parametrize("kind", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_every_objective_learns(kind, multilabel):
    (maps, labels), (others, labels_of_others) = clusters(1, multilabel), clusters(2, multilabel)
    task = Task(CodeSpec(16, 4), 4, multilabel)
    torch.manual_seed(0)
    head = HashingHead(12, 4, task.spec, multilabel=multilabel, hidden=32, local_hidden=32, dropout=0.1)
    loss = kind().build(task)

    def quality():
        head.eval()
        with torch.no_grad():
            return leave_one_out_map(OrdinalCodes.from_scores(head(others).scores.numpy()), labels_of_others)

    before = quality()
    optimizer = torch.optim.AdamW([*head.parameters(), *loss.parameters()], lr=3e-3)
    head.train()
    totals = []
    for _ in range(60):
        inputs, wanted = kind().blend(maps, torch.from_numpy(labels.astype(np.float32)))
        terms = loss(head(inputs), wanted)
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]
    assert quality() > before + 0.1
