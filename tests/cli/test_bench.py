"""`ordhash bench`."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import lines, run

from ordhash.data import Protocol


def test_bench(tiny_protocol: Protocol, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ordhash.bench.runner.load_protocol", lambda name, root: tiny_protocol)
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'protocols = ["cifar10"]\ncode_bits = [8]\nseeds = 1\nmethods = ["raw", "lsh"]\n'
        '[network]\nbackbone = "test_resnet"\nweights = "none"\nimage_size = 64\nfit = "squash"\n'
    )
    command = ["bench", recipe, "--out", tmp_path / "out", "--cache", cache, "--processes", "1"]
    first = run(*command)
    assert (first.exit_code, first.stderr.count("mAP")) == (0, 2)
    assert "| lsh |" in first.stdout
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [
        *(f"mine-cifar10-{kind}.png" for kind in ("bits", "recall")),
        "results.json",
        "runs",
        "tables.md",
    ]
    assert (tmp_path / "out" / "tables.md").read_text() in first.stdout
    again = run(*command, "--json")
    assert (again.exit_code, again.stderr) == (0, "")  # everything is done
    assert lines(again.stdout)[0]["complete"]
    recipe.write_text(recipe.read_text().replace("[8]", "[8, 16, 24]"))
    late = run(*command, "--minutes", "0")
    assert late.exit_code == 1
    assert "time is up" in late.stderr
    rehearsed = run("bench", recipe, "--rehearse", "--out", tmp_path / "small", "--cache", cache, "--processes", "1")
    assert (rehearsed.exit_code, rehearsed.stderr.count("mAP")) == (0, 2)
    recipe.write_text('methods = ["lsh"]')
    result = run(*command)
    assert (result.exit_code, "protocols" in result.stderr) == (2, True)
