"""`ordhash encode` and `index`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import good, lines, photo, run

from ordhash import OrdinalIndex
from ordhash.codes.codes import OrdinalCodes
from ordhash.codes.file import read_codes, write_codes
from ordhash.data import Protocol


def test_encode_goes_on_past_bad_files(
    photo_folder: Path, bad_files: dict[str, Path], tiny_model: Path, tmp_path: Path
) -> None:
    for path in bad_files.values():
        path.rename(photo_folder / "banana" / path.name)
    out = tmp_path / "codes.parquet"
    result = run("encode", photo_folder, "--model", tiny_model, "--out", out)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{out}: ")
    assert "18 codes" in result.stdout
    assert "4 images" in result.stdout
    assert all(f"not used: {photo_folder / 'banana' / path.name}: " in result.stderr for path in bad_files.values())
    table = read_codes(out)
    assert table.keys.tolist() == sorted(f"{p.parent.name}/{p.name}" for p in photo_folder.rglob("*_*.jpg"))
    assert table.metadata is not None
    assert table.metadata.column("labels").to_pylist() == [key.split("/")[0] for key in table.keys]
    assert table.model_path == str(tiny_model.absolute())
    result = run("encode", photo_folder, "--model", tiny_model, "--out", out)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    result = run("encode", photo_folder, "--model", tiny_model, "--out", out, "--force", "--json")
    (values,) = lines(result.stdout)
    assert (values["written"], len(values["failures"])) == (18, 4)


def test_encode_images_and_manifests_and_parts(
    photo_folder: Path, tiny_model: Path, tiny_protocol: Protocol, tmp_path: Path
) -> None:
    def codes_of(*sources: object) -> Any:
        good("encode", *sources, "--model", tiny_model, "--out", tmp_path / "codes.parquet", "--force")
        return read_codes(tmp_path / "codes.parquet")

    assert codes_of(photo(photo_folder)).keys.tolist() == [str(photo(photo_folder))]
    assert len(codes_of(photo(photo_folder), photo(photo_folder, 1))) == 2
    manifest = tmp_path / "photos" / "manifest.csv"
    manifest.write_text("key,path,labels,price\n7,apple/apple_0.jpg,red; round,1.5\n8,apple/apple_1.jpg,,\n")
    table = codes_of(manifest)
    assert table.keys.tolist() == ["7", "8"]
    assert table.metadata.to_pylist() == [{"price": 1.5, "labels": "red;round"}, {"price": None, "labels": ""}]
    assert len(codes_of("cifar10")) == len(tiny_protocol.database)
    assert codes_of("cifar10", "--split", "query").keys.tolist() == tiny_protocol.query.keys.tolist()


@pytest.mark.usefixtures("many_parts")
def test_parts_of_images(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    codes, index, again = (tmp_path / name for name in ("codes.parquet", "photos.index", "again.index"))
    good("encode", photo_folder, "--model", tiny_model, "--out", codes, "--parts")
    good("index", photo_folder, "--model", tiny_model, "--out", index, "--parts")
    good("index", codes, "--out", again)
    found = [read_codes(codes).parts, OrdinalIndex.load(index).parts, OrdinalIndex.load(again).parts]
    assert all(parts is not None and len(parts) for parts in found)
    for parts in found:
        np.testing.assert_array_equal(parts.codes.symbols, found[0].codes.symbols)  # type: ignore[union-attr]
    (facts,) = lines(good("info", index, "--json"))
    assert facts["parts"] == len(found[0])  # type: ignore[arg-type]
    assert "parts" not in lines(good("info", photo_index(photo_folder, tiny_model, tmp_path), "--json"))[0]
    assert "--parts has no effect" in run("index", codes, "--out", again, "--force", "--parts").stderr


def photo_index(photo_folder: Path, model: Path, folder: Path) -> Path:
    good("index", photo_folder, "--model", model, "--out", folder / "plain.index")
    return folder / "plain.index"


def test_encode_refuses(photo_folder: Path, bad_files: dict[str, Path], tiny_model: Path, tmp_path: Path) -> None:
    def refused(status: int, *arguments: object, out: object = tmp_path / "codes.parquet") -> str:
        result = run("encode", *arguments, "--out", out)
        assert result.exit_code == status, result.output
        assert not (tmp_path / "codes.parquet").exists()
        return result.stderr

    with_model = ("--model", tiny_model)
    assert ".parquet" in refused(2, photo_folder, *with_model, out=tmp_path / "codes.csv")
    assert "folder" in refused(2, photo_folder, *with_model, out=tmp_path / "no" / "codes.parquet")
    (tmp_path / "d.parquet").mkdir()
    assert "is a folder" in refused(2, photo_folder, *with_model, out=tmp_path / "d.parquet")
    assert "several" in refused(2, photo_folder, photo(photo_folder), *with_model)
    assert "--split" in refused(2, photo_folder, "--split", "query", *with_model)
    assert "2 images" in refused(1, bad_files["text"], bad_files["empty"], *with_model)
    assert "gone.onnx" in refused(1, photo_folder, "--model", tmp_path / "gone.onnx")
    assert "ONNX" in refused(1, photo_folder, "--model", photo(photo_folder))
    (photo_folder / "m.csv").write_text("path,code\napple/apple_0.jpg,1\n")
    assert "'code'" in refused(2, photo_folder / "m.csv", *with_model)
    assert "several" in refused(2, photo(photo_folder), photo(photo_folder), *with_model)


def test_index_of_images_and_of_codes_are_the_same(
    photo_folder: Path, photo_index: Path, tiny_model: Path, tmp_path: Path
) -> None:
    codes, out = tmp_path / "codes.parquet", tmp_path / "second.index"
    good("encode", photo_folder, "--model", tiny_model, "--out", codes)
    text = good("index", codes, "--out", out)
    assert text.startswith(f"{out}: ")
    assert "18 codes" in text
    first, second = OrdinalIndex.load(photo_index), OrdinalIndex.load(out)
    assert np.array_equal(first.codes.symbols, second.codes.symbols)
    assert (first.model_id, first.keys.tolist()) == (second.model_id, second.keys.tolist())
    assert first.model_path == second.model_path == str(tiny_model.absolute())
    assert run("index", codes, "--out", out).exit_code == 2
    assert run("index", codes, "--out", out, "--force", "--model", tiny_model).exit_code == 0
    assert "--split" in run("index", codes, "--out", out, "--force", "--split", "query").stderr
    result = run("index", photo_folder, "--out", tmp_path / "third.index")
    assert result.exit_code == 2
    assert "--model" in result.stderr
    pq.write_table(pq.read_table(codes).replace_schema_metadata(None), tmp_path / "foreign.parquet")
    assert run("index", tmp_path / "foreign.parquet", "--out", tmp_path / "x", "--model", tiny_model).exit_code == 1
    assert "codes.parquet holds codes" in run("index", codes, codes, "--out", tmp_path / "x").stderr
    assert "ordhash index" in run("search", codes, photo(photo_folder)).stderr


def test_index_refuses_codes_of_another_model(tiny_model: Path, tmp_path: Path) -> None:
    write_codes(tmp_path / "c.parquet", OrdinalCodes.from_symbols(np.zeros((2, 24), int), arity=4, model_id="another"))
    result = run("index", tmp_path / "c.parquet", "--model", tiny_model, "--out", tmp_path / "x.index")
    assert result.exit_code == 2
    assert "c.parquet" in result.stderr
    assert "model" in result.stderr


def test_index_goes_on_past_bad_files(
    photo_folder: Path, bad_files: dict[str, Path], tiny_model: Path, tmp_path: Path
) -> None:
    sources = [photo(photo_folder), bad_files["truncated"], photo(photo_folder, 1)]
    result = run("index", *sources, "--model", tiny_model, "--out", tmp_path / "x.index")
    assert result.exit_code == 1
    assert "2 codes" in result.stdout
    assert "1 image " in result.stdout
    assert len(OrdinalIndex.load(tmp_path / "x.index")) == 2
