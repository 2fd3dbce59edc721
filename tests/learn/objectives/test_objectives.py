import dataclasses
import inspect

import numpy as np
import pytest
import torch
from skimage import data as photographs

from ordhash.codes.codes import CodeSpec, OrdinalCodes
from ordhash.errors import InputError
from ordhash.learn.backbones import build_backbone
from ordhash.learn.config import DOHConfig
from ordhash.learn.network import HashingHead, HeadOutput
from ordhash.learn.objectives import DOH, OBJECTIVES, DOHCodewords, DOHMixup, Objective, Task, find_objective
from ordhash.learn.validation import leave_one_out_map

EVERY = pytest.mark.parametrize("kind", OBJECTIVES.values(), ids=OBJECTIVES.keys())
BINARY = [kind for kind in OBJECTIVES.values() if kind.binary]


def task_of(kind, multilabel=False, code_bits=16, n_classes=3):
    return Task(CodeSpec(code_bits, 2 if kind.binary else 4), n_classes, multilabel)


def skip_if_for_one_label(kind, multilabel):
    if multilabel and kind.name == "classifier":
        pytest.skip("for one label an image")


def test_names_find_objectives():
    for name, kind in OBJECTIVES.items():
        assert name == kind.name
        assert find_objective(name) == kind()
        own = kind()
        assert find_objective(own) is own


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [("dohh", "did you mean doh?"), ("hashnets", "did you mean hashnet?"), ("mixup", "did you mean doh-mixup?")],
)
def test_an_unknown_name_gets_a_suggestion(wrong, hint):
    with pytest.raises(InputError) as caught:
        find_objective(wrong)
    assert str(caught.value) == f"objective is {wrong!r}; allowed are {', '.join(OBJECTIVES)}; {hint}"


def test_a_name_like_none_gets_the_list_alone():
    with pytest.raises(InputError, match="allowed are ordhash, doh-mixup, doh-codewords, doh") as caught:
        find_objective("zzzz")
    assert "did you mean" not in str(caught.value)


@EVERY
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
    assert isinstance(kind.binary, bool)
    assert set(kind.supervision.replace(",", " +").split(" + ")) <= {
        *("pairwise", "triplet", "classes", "centres", "proxies", "graded")
    }
    assert isinstance(kind().build(task_of(kind)), torch.nn.Module)


@EVERY
def test_every_setting_has_an_effect(kind):
    # With many labels, because a setting of one objective is for those alone; mixing is for one label.
    multilabel = kind.name not in ("classifier", "doh-mixup")
    task = task_of(kind, multilabel, n_classes=4)
    torch.manual_seed(0)
    head = HashingHead(5, 4, task.spec, multilabel=multilabel, hidden=8, local_hidden=8).eval()
    labels = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]])
    labels = labels if multilabel else torch.eye(4)[[0, 2, 1, 3, 0]]
    maps = torch.randn(5, 5, 2, 2)

    def value(objective):
        torch.manual_seed(1)
        inputs, wanted = objective.blend(maps, labels)
        loss = objective.build(task)
        fitted = objective.fitted_segments(Task(CodeSpec(64, task.spec.arity), 4))
        return sum(float(term) for term in loss(head(inputs), wanted).values()), fitted

    with torch.no_grad():
        usual = value(kind())
        for setting in dataclasses.fields(kind):
            if not isinstance(setting.default, float):
                continue
            other = dataclasses.replace(kind(), **{setting.name: setting.default / 2 or 0.5})
            assert value(other) != usual, setting.name


@pytest.mark.parametrize("kind", BINARY, ids=lambda kind: kind.name)
def test_binary_objectives_refuse_other_arities(kind):
    message = f"objective {kind.name} makes binary codes; set arity to 2, it is 4"
    with pytest.raises(InputError, match=message):
        kind().build(Task(CodeSpec(16, 4), 3))
    with pytest.raises(InputError, match=message):
        DOHConfig(objective=kind.name)  # before any image is read
    assert DOHConfig(objective=kind.name, arity=2).spec.n_segments == 48


def test_the_rivals_are_binary():
    others = {"ordhash", "doh-mixup", "doh-codewords", "doh-symbols", "doh", "classifier"}
    assert {kind.name for kind in BINARY} == set(OBJECTIVES) - others


@pytest.mark.parametrize(
    "batch", ["one image", "one class", "no two alike", "unlike any other", "large scores", "zeros"]
)
@EVERY
def test_no_batch_gives_a_loss_or_a_gradient_that_is_no_number(kind, batch, multilabel):
    skip_if_for_one_label(kind, multilabel)
    classes = {"one image": [1], "one class": [1] * 5, "no two alike": [0, 1, 2]}.get(batch, [0, 1, 2, 0, 2])
    labels = torch.eye(3)[classes]
    if multilabel and batch != "no two alike":
        labels[0, 2] = 1
        if batch == "unlike any other":
            labels[1] = 0
    task = task_of(kind, multilabel)
    size = {"large scores": 1e4, "zeros": 0.0}.get(batch, 1.0)
    torch.manual_seed(0)
    scores = (size * torch.randn(len(labels), task.spec.n_segments, task.spec.arity)).requires_grad_()
    logits = (size * torch.randn(len(labels), 3)).requires_grad_()
    loss = kind().build(task)
    terms = loss(
        HeadOutput(scores, (logits,), torch.ones(len(labels), 1, 1), size * torch.rand(len(labels), 5)), labels
    )
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values()), terms
    total = torch.stack(list(terms.values())).sum()
    total.backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in loss.parameters())


@EVERY
def test_no_objective_changes_what_it_is_given(kind, multilabel):
    skip_if_for_one_label(kind, multilabel)
    task = task_of(kind, multilabel)
    labels = torch.eye(3)[[0, 1, 2, 0]]
    scores = torch.randn(4, task.spec.n_segments, task.spec.arity)
    before = scores.clone(), labels.clone()
    kind().build(task)(HeadOutput(scores, (torch.randn(4, 3),), torch.ones(4, 1, 1), torch.rand(4, 5)), labels)
    assert torch.equal(scores, before[0])
    assert torch.equal(labels, before[1])


@EVERY
def test_a_loss_goes_on_from_its_state(kind):
    task = task_of(kind)
    torch.manual_seed(0)
    labels = torch.eye(3)[[0, 1, 2, 0]]
    scores = torch.randn(4, task.spec.n_segments, task.spec.arity)
    output = HeadOutput(scores, (torch.randn(4, 3),), torch.ones(4, 1, 1), torch.rand(4, 5))
    one, other = kind().build(task), kind().build(dataclasses.replace(task, seed=1))
    for _ in range(3):
        one(output, labels)
    other.load_state_dict(one.state_dict())
    for name, value in one(output, labels).items():
        assert torch.equal(other(output, labels)[name], value), name
        break  # a second call would be another step
    assert set(one.state_dict()) == set(other.state_dict())


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


@pytest.mark.parametrize("kind", [DOHMixup, DOHCodewords, DOH], ids=lambda kind: kind.name)
def test_own_objectives_find_the_location_that_tells_the_class(kind, multilabel):
    (maps, labels), (others, labels_of_others) = clusters(1, multilabel), clusters(2, multilabel)
    task = task_of(kind, multilabel, n_classes=4)
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
    for _ in range(100):
        inputs, wanted = kind().blend(maps, torch.from_numpy(labels.astype(np.float32)))
        terms = loss(head(inputs), wanted)
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]
    assert quality() > before + 0.1


PHOTOGRAPHS = {
    "texture": ("brick", "grass", "gravel"),
    "living": ("astronaut", "chelsea", "immunohistochemistry"),
    "thing": ("coffee", "rocket"),
}


@pytest.fixture(scope="module")
def crops():
    """Features (96, 1280, 2, 2) of 12 crops of 8 photographs each, from the upper and from the lower half, and labels.

    Labels are the photographs, and with many labels also what they show.
    """
    rng = np.random.default_rng(0)
    halves, labels = ([], []), []
    for group, names in enumerate(PHOTOGRAPHS.values()):
        for name in names:
            pixels = np.asarray(getattr(photographs, name)())
            pixels = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels[:, :, :3]
            middle = len(pixels) // 2
            for half, part in zip(halves, (pixels[:middle], pixels[middle:]), strict=True):
                for _ in range(12):
                    y, x = rng.integers(0, part.shape[0] - 64), rng.integers(0, part.shape[1] - 64)
                    half.append(part[y : y + 64, x : x + 64])
            labels += [np.eye(11, dtype=bool)[len(labels) // 12] | np.eye(11, dtype=bool)[8 + group]] * 12
    backbone = build_backbone("tf_efficientnet_lite0", image_size=64).eval()
    with torch.no_grad():
        maps = [backbone(torch.from_numpy(np.stack(half))) for half in halves]
    return maps, np.stack(labels)


@EVERY
def test_every_objective_learns_from_photographs(kind, multilabel, crops):
    skip_if_for_one_label(kind, multilabel)
    (maps, others), labels = crops
    labels = labels if multilabel else labels[:, :8]
    task = task_of(kind, multilabel, n_classes=labels.shape[1])
    torch.manual_seed(0)
    head = HashingHead(1280, task.n_classes, task.spec, multilabel=multilabel, hidden=64, local_hidden=16)
    loss = kind().build(task)

    def quality():
        head.eval()
        with torch.no_grad():
            return leave_one_out_map(OrdinalCodes.from_scores(head(others).scores.numpy()), labels)

    before = quality()
    optimizer = torch.optim.AdamW([*head.parameters(), *loss.parameters()], lr=3e-3)
    head.train()
    wanted = torch.from_numpy(labels.astype(np.float32))
    for _ in range(40):
        batch = torch.randperm(96)[:48]
        inputs, blended = kind().blend(maps[batch], wanted[batch])
        terms = loss(head(inputs), blended)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimizer.step()
    assert quality() > before + 0.15
