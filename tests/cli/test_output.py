"""Tables and JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import PROGRAM, photo

from ordhash.cli.output import print_json, print_table


def test_a_table_in_a_pipe_is_plain_and_not_cut(photo_folder: Path, photo_index: Path) -> None:
    command = [*PROGRAM, "search", str(photo_index), str(photo(photo_folder)), "--top-k", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    title, *rest = [line for line in done.stdout.splitlines() if line.strip()]
    assert title == str(photo(photo_folder))
    assert rest[0].split() == ["rank", "distance", "key", "labels"]
    assert rest[2].split() == ["1", "0", "apple/apple_0.jpg", "apple"]
    assert len(rest) == 4


def test_names_that_a_terminal_cannot_show_are_escaped(photo_folder: Path, photo_index: Path) -> None:
    query = photo(photo_folder).rename(photo_folder / "日本.jpg")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [*PROGRAM, "search", str(photo_index), str(query), "--top-k", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert r"\u65e5\u672c.jpg" in done.stdout


def test_json_has_no_nan_and_tables_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": np.float64("nan")}, "e": Path("x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": None}, "e": "x"}
    print_table(["key"], [["[bold]\x1b[2J:smile:\udcff"]])
    assert r"[bold]\x1b[2J:smile:\udcff" in capsys.readouterr().out
