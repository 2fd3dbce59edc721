"""The program as a whole: version, help, wrong use, what it loads."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from commands import good, photo, run
from typer.main import get_command
from typer.testing import CliRunner

import ordhash
from ordhash.cli import app, main

_GROUP = get_command(app)
COMMANDS = [*_GROUP.commands, *(f"data {name}" for name in _GROUP.commands["data"].commands)]


def test_version_and_help() -> None:
    assert good("--version") == f"ordhash {ordhash.__version__}\n"
    text = good("--help")
    for command in ("data", "train", "methods", "encode", "index", "search", "evaluate", "info"):
        assert f"\n  {command} " in text
    assert good("-h") == text


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "ordhash.__version__"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serch"], "Did you mean 'search'"),
        (["search", "a", "b", "--topk", "3"], "--top-k"),
        (["search", "a", "b", "--top-k", "0"], "--top-k"),
        (["encode"], "Missing argument"),
        (["encode", "", "--model", "m.onnx", "--out", "e.parquet"], "empty"),
        (["train", "photos", "--out", ""], "--out is empty"),
        (["train", "photos", "--out="], "--out is empty"),
        (["data", "get", ""], "empty"),
        (["train", "photos", "--out", "x", "--mode", "freeze"], "'frozen'"),
    ],
)
def test_wrong_use_is_status_2(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_the_search_half_loads_no_torch(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    runs = [
        ["--help"],
        ["train", "--help"],
        ["data", "list"],
        ["encode", str(photo_folder), "--model", str(tiny_model), "--out", str(tmp_path / "codes.parquet")],
        ["index", str(tmp_path / "codes.parquet"), "--out", str(tmp_path / "photos.index")],
        ["search", str(tmp_path / "photos.index"), str(photo(photo_folder))],
        ["evaluate", str(tiny_model), str(photo_folder)],
        ["info", str(tiny_model)],
    ]
    program = (
        "import sys\nfrom ordhash.cli import main\n"
        f"for arguments in {runs!r}:\n"
        "    sys.argv = ['ordhash', *arguments]\n"
        "    try:\n        main()\n"
        "    except SystemExit as end:\n        assert not end.code, (arguments, end.code)\n"
        "heavy = {'torch', 'timm', 'torchvision', 'lightning_fabric', 'faiss'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def test_an_interruption_while_it_is_loaded_is_quiet() -> None:
    source = (
        "import sys\nfrom ordhash.cli import main\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'ordhash.cli.sources':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\nmain()\n"
    )
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_main_hides_notes_of_pillow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ordhash", "--version"])
    with warnings.catch_warnings():
        with pytest.raises(SystemExit) as end:
            main()
        warnings.warn_explicit("Corrupt EXIF data", UserWarning, "TiffImagePlugin.py", 1, module="PIL.TiffImagePlugin")
    assert not end.value.code
    assert capsys.readouterr().out == f"ordhash {ordhash.__version__}\n"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_reference_page_shows_the_help(command: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*command.split(), "--help"], prog_name="ordhash")
    assert shown.exit_code == 0
    wanted = "\n".join(line.rstrip() for line in shown.output.strip().splitlines())
    assert wanted in page.read_text(), f"docs/cli.md is not what `ordhash {command} --help` prints; paste it again"
