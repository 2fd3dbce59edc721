import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision

from ordhash.codes.codes import CodeSpec
from ordhash.errors import DataError
from ordhash.learn.batches import FeatureBatches
from ordhash.learn.checkpoint import TrainingState
from ordhash.learn.config import TrainConfig
from ordhash.learn.lesson import Lesson
from ordhash.learn.loop import TrainingRun, Validation, fit
from ordhash.learn.network import HashingHead
from ordhash.learn.objectives import Task, find_objective
from ordhash.model.features import FeatureMaps


def head(in_dim, n_classes):
    return HashingHead(in_dim, n_classes, CodeSpec(8, 4), multilabel=True, hidden=4, use_local=False)


class Recording(torch.optim.AdamW):
    """AdamW that notes the learning rates of every step."""

    rates: ClassVar[list[list[float]]] = []

    def step(self, closure=None):
        self.rates.append([group["lr"] for group in self.param_groups])
        return super().step(closure)


@pytest.mark.parametrize(("warmup", "size", "epochs"), [(0.1, 21, 7), (0.0, 8, 5), (1.0, 12, 3), (0.35, 20, 4)])
def test_the_learning_rate_of_every_step_with_and_without_an_interruption(warmup, size, epochs, tmp_path, monkeypatch):
    """Against the formula, step by step; exactly so after a checkpoint."""
    monkeypatch.setattr(torch.optim, "AdamW", Recording)
    monkeypatch.setattr(Recording, "rates", [])
    rng = np.random.default_rng(0)
    labels = np.eye(3, dtype=bool)[np.arange(size) % 3]
    batches = FeatureBatches(
        FeatureMaps.of(rng.normal(size=(size, 3, 2, 2)).astype(np.float16)),
        None,
        labels,
    )
    none = Validation(batches.maps.subset([]), labels[:0])
    settings = TrainConfig(
        epochs=epochs, batch_size=4, learning_rate=0.003, warmup=warmup, validate_every=1, accelerator="cpu"
    )
    fabric = Fabric(accelerator="cpu", devices=1)

    def learn(out, settings=settings):
        network = HashingHead(3, 3, CodeSpec(8, 4), hidden=4, use_local=False)
        fit(network, Lesson(find_objective("doh"), Task(CodeSpec(8, 4), 3), batches.labels), batches, none,
            TrainingRun(settings, fabric, TrainingState("digest"), out))  # fmt: skip

    learn(tmp_path / "whole")
    whole, steps = [rate for (rate,) in Recording.rates], size // 4 + (size % 4 > 1)
    total = steps * epochs
    expected = []
    for step in range(total):
        done = step / total
        if done < warmup:
            factor = max(done, 1e-3) / warmup
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1e-9, 1 - warmup)))
        expected.append(0.003 * factor)
    assert whole == expected

    Recording.rates.clear()
    save = TrainingState.save

    def stop(self, *given):
        save(self, *given)
        if self.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path / "interrupted")
    learn(tmp_path / "interrupted")
    assert [rate for (rate,) in Recording.rates] == expected


def taught(fabric, name):
    """A head after two epochs on twelve maps of noise."""
    labels = np.eye(3, dtype=bool)[np.arange(12) % 3]
    values = np.random.default_rng(0).normal(size=(12, 3, 2, 2)).astype(np.float16)
    batches = FeatureBatches(FeatureMaps.of(values), None, labels)
    spec = CodeSpec(8, 2 if name == "dpsh" else 4)
    network = HashingHead(3, 3, spec, hidden=4, use_local=False)
    settings = TrainConfig(epochs=2, batch_size=4, accelerator="cpu")
    none = Validation(batches.maps.subset([]), labels[:0])
    run = TrainingRun(settings, fabric, TrainingState("digest"))
    fit(network, Lesson(find_objective(name), Task(spec, 3), batches.labels), batches, none, run)
    return network


@pytest.mark.parametrize("name", ["dpsh", "doh"])
def test_overflows_by_which_a_scaler_finds_its_scale_are_no_errors(name):
    """As on a GPU with precision 16-mixed, whose first scales are too large for many losses."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    fabric = Fabric(accelerator="cpu", plugins=MixedPrecision("16-mixed", "cpu", scaler=scaler))
    network = taught(fabric, name)
    assert scaler.get_scale() < 2.0**40
    assert all(bool(value.isfinite().all()) for value in network.parameters())


def test_gradients_that_overflow_without_a_scaler_end_in_one_sentence(monkeypatch):
    def too_steep(output, *given, **options):  # finite, with an infinite slope at 0
        return sum(logits.sub(logits.detach()).abs().sqrt().sum() for logits in output.class_logits)

    monkeypatch.setattr("ordhash.learn.objectives.doh.class_loss", too_steep)
    with pytest.raises(DataError, match="learning rate"):
        taught(Fabric(accelerator="cpu", devices=1), "doh")
