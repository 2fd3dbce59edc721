"""The program as users run it, for tests: in this process, or as another one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from ordhash.cli import app

TINY = ["--weights=none", "--image-size=64", "--hidden=16", "--local-hidden=16", "--epochs=1", "--batch-size=4"]
PROGRAM = [sys.executable, "-c", "from ordhash.cli import main; main()"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="ordhash")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def photo(folder: Path, number: int = 0, label: str = "apple") -> Path:
    return folder / label / f"{label}_{number}.jpg"
