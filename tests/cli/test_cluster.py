"""Commands that need Milvus or Ray, without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ordhash.cli.errors import install_command


@pytest.mark.parametrize(
    ("arguments", "module", "what"),
    [
        (["push", "{index}", "--milvus", "http://localhost:1"], "pymilvus", "a Milvus server"),
        (["pull", "photos", "c.parquet", "--milvus", "http://localhost:1"], "pymilvus", "a Milvus server"),
        (["search", "photos", "cat.jpg", "--milvus", "http://localhost:1"], "pymilvus", "a Milvus server"),
        (["encode", "{photos}", "--model", "m.onnx", "--out", "codes", "--engine", "ray"], "ray", "--engine ray"),
    ],
)
def test_without_the_extra_of_a_cluster_what_needs_it_names_it(
    arguments: list[str], module: str, what: str, photo_folder: Path, photo_index: Path, tmp_path: Path
) -> None:
    program = f"import sys; sys.modules['{module}'] = None\nfrom ordhash.cli import main\nmain()"
    given = [argument.format(index=photo_index, photos=photo_folder) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", program, *given], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {what} needs {module}")
    assert f"`{install_command('cluster')}`" in done.stderr
    assert done.stderr.count("\n") == 1
