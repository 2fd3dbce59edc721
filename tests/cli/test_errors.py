"""How commands end: exit statuses, missing extras, interruptions, bugs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import PROGRAM, TINY, run


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
    assert "pip install 'ordhash[learn]'" in done.stderr
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


def test_interrupting_is_status_130(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ordhash.learn.train", interrupted)
    result = run("train", photo_folder, "--out", tmp_path / "run", *TINY)
    assert result.exit_code == 130
    assert result.stderr.startswith("interrupted; ")
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
