"""`ordhash quantize`."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import good, lines, run

from ordhash.model.file import load_model


@pytest.mark.slow  # computes it twice
def test_a_variant_of_a_model_in_8_bits(
    photo_folder: Path, tiny_model: Path, tmp_path: Path, bad_files: dict[str, Path]
) -> None:
    out = tmp_path / "int8.onnx"
    facts = lines(good("quantize", tiny_model, photo_folder, "--out", out, "--json"))[0]
    assert facts["id"] == load_model(out).id
    assert facts["times_as_fast"] > 0
    assert facts["symbols_unchanged"] > 0.8
    assert "--force" in run("quantize", tiny_model, photo_folder, "--out", out).stderr
    (photo_folder / "apple" / "broken.jpg").write_bytes(bad_files["truncated"].read_bytes())
    result = run("quantize", tiny_model, photo_folder, "--out", out, "--force")
    assert (result.exit_code, "broken.jpg: " in result.stderr) == (1, True)
    again = run("quantize", out, photo_folder, "--out", tmp_path / "again.onnx")
    assert (again.exit_code, "8 bits" in again.stderr) == (2, True)
