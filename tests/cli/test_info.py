"""`ordhash info`."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnx.helper
import pytest
from commands import good, lines, photo, run

from ordhash.codes import read_codes
from ordhash.codes.shards import Plan, write_shard
from ordhash.support import Location


def test_info(photo_folder: Path, photo_index: Path, tiny_model: Path, tmp_path: Path) -> None:
    good("encode", photo_folder, "--model", tiny_model, "--out", tmp_path / "codes.parquet")
    shards, table = Location(str(tmp_path / "shards")), read_codes(tmp_path / "codes.parquet")
    shards.make()
    write_shard(shards, 0, table, [])
    Plan("photos", "0", 18, 32, 48, 4, str(table.codes.model_id), str(table.model_path)).write(shards)
    files = [tiny_model, tmp_path / "codes.parquet", photo_index, tmp_path / "shards"]
    facts = [lines(good("info", file, "--json"))[0] for file in files]
    assert [fact["kind"] for fact in facts] == ["model", "codes", "index", "codes"]
    assert facts[3] == {**facts[1], "file": str(tmp_path / "shards")}
    assert len({fact["model_id"] for fact in facts}) == 1
    assert {(fact["code_bits"], fact["segments"], fact["arity"]) for fact in facts} == {(48, 24, 4)}
    assert facts[1]["metadata"] == facts[2]["metadata"] == ["labels"]
    assert facts[1]["count"] == facts[2]["count"] == 18
    assert facts[2]["search"] == "scan"
    text = good("info", tiny_model)
    for part in ("apple, banana, carrot", "tf_efficientnet_lite0", "training.settings.epochs"):
        assert part in text
    assert f"model_path  {tiny_model}" in good("info", photo_index)


@pytest.mark.parametrize("count", [0, 1, 10, 12])
def test_info_names_the_images_that_could_not_be_used(count: int, tiny_model: Path, tmp_path: Path) -> None:
    failures = [[f"photos/{number}.jpg", "the file is empty; replace it"] for number in range(count)]
    model = onnx.load(tiny_model)
    values = json.loads(model.metadata_props[0].value)
    values["training"]["failures"] = failures
    onnx.helper.set_model_props(model, {"ordhash": json.dumps(values)})
    onnx.save(model, tmp_path / "model.onnx")
    shown = good("info", tmp_path / "model.onnx").splitlines()
    found = [tuple(line.split(maxsplit=1)) for line in shown if line.startswith("training.failures")]
    expected = [
        (f"training.failures.{number + 1}", f"photos/{number}.jpg: the file is empty; replace it")
        for number in range(min(count, 10))
    ]
    if count == 0:
        expected = [("training.failures", "-")]
    if count == 12:
        expected.append(("training.failures.11", "... and 2 more; --json prints all"))
    assert found == expected
    (facts,) = lines(good("info", tmp_path / "model.onnx", "--json"))
    assert facts["training"]["failures"] == failures


def test_info_of_other_files(photo_folder: Path, photo_index: Path, tmp_path: Path) -> None:
    assert "model" in run("info", photo(photo_folder)).stderr
    assert "gone" in run("info", tmp_path / "gone").stderr
    assert "is a folder" in run("info", photo_folder).stderr
    photo_index.write_bytes(photo_index.read_bytes()[:200])
    assert "damaged" in run("info", photo_index).stderr
    (tmp_path / "x.onnx").write_bytes(b"text")
    result = run("info", tmp_path / "x.onnx")
    assert result.exit_code == 1
    assert "ONNX" in result.stderr
