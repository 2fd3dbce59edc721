"""How commands end: exit statuses, missing extras, interruptions, bugs."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from commands import PROGRAM, TINY, run

import ordhash
from ordhash.cli import main
from ordhash.cli.errors import install_command

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"url": ROOT.as_uri(), "dir_info": {}}, f"pip install '{ROOT}[learn]'"),
        ({"url": "file:///nowhere/any%20more", "dir_info": {}}, "pip install 'ordhash[learn]'"),
        (
            {"url": "https://host/ordhash.git", "vcs_info": {"vcs": "git"}},
            "pip install 'ordhash[learn] @ git+https://host/ordhash.git'",
        ),
        (None, "pip install 'ordhash[learn]'"),  # from an index of packages
    ],
)
def test_extras_come_from_where_the_package_came_from(
    origin: dict[str, object] | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed())
    assert install_command("learn") == expected


def test_without_an_installation_extras_come_from_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert install_command("serve") == f"pip install '{Path(ordhash.__file__).parents[2]}[serve]'"


def test_extras_that_are_named_exist() -> None:
    there = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [
        node.args[0].value
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "needs_extra"
        if isinstance(node.args[0], ast.Constant)
    ]
    assert len(named) > 5
    assert set(named) <= there.keys()


@pytest.mark.parametrize(
    ("arguments", "what"), [(["train", "photos", "--out", "run"], "training"), (["methods"], "listing methods")]
)
def test_without_the_extra_what_needs_it_names_it(
    arguments: list[str], what: str, photo_folder: Path, tmp_path: Path
) -> None:
    program = "import sys; sys.modules['torch'] = None\nfrom ordhash.cli import main\nmain()"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {what} needs torch")
    assert f"run `{install_command('learn')}`" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_closed_pipe_ends_quietly(photo_folder: Path, photo_index: Path) -> None:
    queries = [str(path) for path in photo_folder.rglob("*.jpg")]
    with subprocess.Popen(
        [*PROGRAM, "search", str(photo_index), *queries, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_closed_streams_end_quietly(photo_folder: Path, photo_index: Path) -> None:
    query = next(photo_folder.rglob("*.jpg"))
    command = shlex.join([*PROGRAM, "search", str(photo_index), str(query)])
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(f"{command} {closed}", shell=True, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_interrupting_while_commands_load_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ordhash.cli.program.run", interrupted)
    with pytest.raises(SystemExit, match="130"):
        main()


def test_interrupting_is_status_130(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ordhash.learn.train", interrupted)
    result = run("train", photo_folder, "--out", tmp_path / "run", *TINY)
    assert result.exit_code == 130
    assert "\ninterrupted; " in result.stderr
    assert "same command" in result.stderr
    monkeypatch.setattr("ordhash.cli.info.load_model", interrupted)
    (tmp_path / "x.onnx").write_bytes(b"x")
    result = run("info", tmp_path / "x.onnx")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_bug_keeps_its_traceback_and_a_full_disk_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")

    def raises(error: Exception) -> None:
        def load(_: Path) -> None:
            raise error

        monkeypatch.setattr("ordhash.cli.info.load_model", load)

    raises(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        run("info", tmp_path / "x.onnx")
    raises(OSError(28, "No space left on device"))
    result = run("info", tmp_path / "x.onnx")
    assert (result.exit_code, result.stderr) == (1, "error: [Errno 28] No space left on device\n")
