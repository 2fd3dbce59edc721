"""Options that would do nothing are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from commands import run

from ordhash.data import TABLES, Protocol


@pytest.mark.parametrize(
    ("arguments", "idle"),
    [
        ("train {photos} --out run --wait", "--wait has no effect without --collection"),
        ("train {photos} --out run --root data", "--root has no effect on "),
        ("train {photos} --out run --method itq --keep-labels", "--keep-labels has no effect with --method itq"),
        ("train {photos} --out run --no-labels --validation-fraction 0.2", "--validation-fraction"),
        ("train {photos} --out run --no-labels --correct-labels", "--correct-labels has no effect with --no-labels"),
        ("train {photos} --out run --no-labels --workers 3", "--workers has no effect with a frozen backbone"),
        ("train {photos} --out run --mode frozen --strong-augment", "--strong-augment"),
        ("train {photos} --out run --no-augment --crop 0.5", "--crop has no effect with --no-augment"),
        ("train {photos} --out run --no-global --hidden 8 --hidden-dropout 0", "--hidden, --hidden-dropout have no"),
        ("train {photos} --out run --no-local --attention cam", "--attention has no effect with --no-local"),
        ("encode {photos} --model m.onnx --out c.parquet --workers 2", "--workers has no effect without --engine ray"),
        ("encode {photos} --model m.onnx --out c.parquet --address auto --shard-size 8", "--address, --shard-size"),
        ("encode {photos} --model m.onnx --out c.parquet --root data", "--root has no effect on "),
        (
            "encode {photos} --model m.onnx --out c.parquet --split query --root data",
            "--root, --split have no effect on ",
        ),
        ("index {photos} --model m.onnx --out i.index --root data", "--root has no effect on "),
        ("quantize m.onnx {photos} --out q.onnx --split train", "--split has no effect on "),
        ("search i.index cat.jpg --token secret", "--token has no effect without --milvus"),
        ("search i.index cat.jpg --consistency strong", "--consistency has no effect without --milvus"),
        ("evaluate m.onnx {photos} --force", "--force has no effect without --out"),
        ("sync {photos} --reencode", "--reencode has no effect without --model"),
        ("sync {photos} --relearn --reencode", "--reencode has no effect without --model"),
    ],
)
def test_an_option_without_effect_is_refused(
    arguments: str, idle: str, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(word.format(photos=photo_folder) for word in arguments.split()))
    assert result.exit_code == 2, result.stderr
    assert idle in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_root_without_a_protocol_is_refused_by_evaluate(photo_folder: Path, tiny_model: Path) -> None:
    result = run("evaluate", tiny_model, photo_folder, "--root", "data")
    assert (result.exit_code, "--root has no effect on " in result.stderr) == (2, True)


def test_validation_images_of_a_protocol_are_not_held_out(
    tiny_protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    of_train = tiny_protocol.train
    halves = {"train": of_train.subset(np.arange(1, 6)), "validation": of_train.subset(np.arange(1))}
    with_validation = dataclasses.replace(tiny_protocol, **halves)
    monkeypatch.setattr("ordhash.cli.sources.load_protocol", lambda name, root: with_validation)
    result = run("train", "cifar10", "--out", tmp_path / "run", "--validation-fraction", "0.2")
    assert (result.exit_code, "--validation-fraction has no effect" in result.stderr) == (2, True)


def test_a_token_in_the_environment_is_for_other_commands(
    photo_index: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDHASH_MILVUS_TOKEN", "secret")
    assert run("search", photo_index, photo_folder / "apple" / "apple_0.jpg").exit_code == 0


@pytest.mark.parametrize("command", ["train", "evaluate", "encode", "index", "quantize"])
def test_the_help_names_every_kind_of_table_that_is_read(command: str) -> None:
    assert TABLES in " ".join(run(command, "--help").stdout.split())
