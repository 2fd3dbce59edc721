"""What several commands are tried on."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from commands import good

from ordhash.data import Protocol, read_folder
from ordhash.data.protocols import split_by_class


@pytest.fixture
def photo_index(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> Path:
    good("index", photo_folder, "--model", tiny_model, "--out", tmp_path / "photos.index")
    return tmp_path / "photos.index"


@pytest.fixture
def tiny_protocol(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """A protocol on the photographs, under the name of a published one."""
    parts = split_by_class(read_folder(photo_folder), {"query": 1, "train": 2}, salt="")
    protocol = Protocol("cifar10", parts["train"], parts["query"], parts["rest"])
    monkeypatch.setattr("ordhash.cli.sources.load_protocol", lambda name, root: protocol)
    return protocol


@pytest.fixture
def learns_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collections learn their models in two epochs, or sixty steps."""
    ownmodel = pytest.importorskip("ordhash.ownmodel", reason="needs ordhash[learn]", exc_type=ImportError)
    plan = ownmodel.LearningPlan(epochs=2, steps=60)
    for name in ("learn_labels", "sync_without_model"):
        monkeypatch.setattr(ownmodel, name, functools.partial(getattr(ownmodel, name), plan=plan))
