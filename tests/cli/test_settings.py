"""Options that are fields of the configurations."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Literal

import pytest
from commands import run

from ordhash.cli.settings import OPTIONS, fields_of
from ordhash.cli.train import train
from ordhash.learn import DOHConfig, TrainConfig

# Fields that only Python sets.
WITHOUT_OPTION = {"spec", "weight_decay", "warmup", "clip_norm", "validate_every"}


def test_every_field_has_an_option_or_is_known_to_have_none() -> None:
    fields = [field.name for kind in (DOHConfig, TrainConfig) for field in dataclasses.fields(kind)]
    assert len(set(fields)) == len(fields), "a name would be one option for two fields"
    assert set(OPTIONS) == set(fields) - WITHOUT_OPTION


def test_options_have_the_types_and_defaults_of_the_fields() -> None:
    parameters = inspect.signature(train).parameters
    assert "settings" not in parameters
    assert parameters["code_bits"].annotation.__origin__ is int
    assert parameters["code_bits"].default == DOHConfig.code_bits
    assert parameters["fit"].annotation.__origin__ == Literal["squash", "crop", "whole"]
    assert parameters["attention"].default == "auto"
    assert parameters["no_local"].default is False
    assert parameters["correct_labels"].default is None
    assert fields_of(TrainConfig, {"code_bits": 8, "epochs": 3}) == {"epochs": 3}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--code-bits", "48"], {"code_bits": 48}),  # given, though it is the default
        (["--no-global", "--mirror"], {"use_global": False, "mirror": True}),
        (["--keep-labels"], {"correct_labels": False}),
        (["--correct-labels"], {"correct_labels": True}),
        (["--weights", "none", "--devices", "2"], {"weights": None, "devices": 2}),
        (["--weights", "mine.pt", "--devices", "auto"], {"weights": Path("mine.pt"), "devices": "auto"}),
    ],
)
def test_only_given_options_are_set(
    options: list[str], expected: dict[str, object], photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[dict[str, object]] = []
    module = sys.modules["ordhash.cli.train"]
    monkeypatch.setattr(
        module, "_train_network", lambda ctx, found, behind, settings, places, as_json: got.append(settings)
    )
    run("train", photo_folder, "--out", tmp_path / "run", *options)
    assert got == [expected]
