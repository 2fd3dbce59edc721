"""`ordhash encode`, `index` and `search`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
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
    assert codes_of("cifar10", "--part", "query").keys.tolist() == tiny_protocol.query.keys.tolist()


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
    assert "--part" in refused(2, photo_folder, "--part", "query", *with_model)
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
    assert "--part" in run("index", codes, "--out", out, "--force", "--part", "query").stderr
    result = run("index", photo_folder, "--out", tmp_path / "third.index")
    assert result.exit_code == 2
    assert "--model" in result.stderr
    pq.write_table(pq.read_table(codes).replace_schema_metadata(None), tmp_path / "foreign.parquet")
    assert run("index", tmp_path / "foreign.parquet", "--out", tmp_path / "x", "--model", tiny_model).exit_code == 1


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


@pytest.mark.parametrize("options", [[], ["--asymmetric"]])
def test_search(options: list[str], photo_folder: Path, photo_index: Path) -> None:
    queries = [photo(photo_folder), photo(photo_folder, 3, "carrot")]
    answers = lines(good("search", photo_index, *queries, "--top-k", "4", "--json", *options))
    assert [answer["query"] for answer in answers] == [str(query) for query in queries]
    for answer, query in zip(answers, queries, strict=True):
        assert [result["rank"] for result in answer["results"]] == [1, 2, 3, 4]
        distances = [result["distance"] for result in answer["results"]]
        assert distances == sorted(distances)
        own = {result["key"]: result for result in answer["results"] if result["distance"] == 0}
        assert own[f"{query.parent.name}/{query.name}"]["metadata"] == {"labels": query.parent.name}
    assert len(lines(good("search", photo_index, queries[0], "--top-k", "99", "--json", *options))[0]["results"]) == 18


def test_search_among_some_items(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    rows = [f"{photo(photo_folder, i, name)},{name},{i}" for name in ("apple", "carrot") for i in range(3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,labels,number", *rows]))
    index, query = tmp_path / "list.index", photo(photo_folder)
    good("index", tmp_path / "list.csv", "--model", tiny_model, "--out", index)

    def found(*conditions: str) -> list[dict[str, Any]]:
        options = [option for condition in conditions for option in ("--where", condition)]
        return [r["metadata"] for r in lines(good("search", index, query, *options, "--json"))[0]["results"]]

    assert len(found()) == 6
    assert {values["labels"] for values in found("labels=carrot")} == {"carrot"}
    assert [values["number"] for values in found("labels=carrot", "number=2")] == [2]
    assert found("labels=cat") == []
    assert [values["number"] for values in found("labels=carrot", "number=02")] == [2]
    for condition, word in (
        ("labels", "'labels'"),
        ("label=cat", "'label'"),
        ("number=two", "'two'"),
    ):
        result = run("search", index, query, "--where", condition)
        assert (result.exit_code, word in result.stderr) == (2, True)


def test_times_of_a_manifest_are_shown(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Pandas writes nanoseconds, which Python's own times do not have."""
    taken = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    pq.write_table(pa.table({"path": [str(photo(photo_folder))], "taken": taken}), tmp_path / "list.parquet")
    good("index", tmp_path / "list.parquet", "--model", tiny_model, "--out", tmp_path / "list.index")
    answer = lines(good("search", tmp_path / "list.index", photo(photo_folder), "--json"))[0]
    assert answer["results"][0]["metadata"] == {"taken": "2023-11-14 22:13:20.123456"}


def test_search_goes_on_past_bad_images(photo_folder: Path, photo_index: Path, bad_files: dict[str, Path]) -> None:
    queries = [bad_files["empty"], photo(photo_folder), photo_folder / "gone.jpg", photo_folder]
    result = run("search", photo_index, *queries, "--json")
    assert result.exit_code == 1
    assert [answer["query"] for answer in lines(result.stdout)] == [str(photo(photo_folder))]
    assert result.stderr.count("not used: ") == 3
    assert "gone.jpg: " in result.stderr


def test_search_with_the_wrong_model_or_none(
    photo_folder: Path, photo_index: Path, tiny_model: Path, tmp_path: Path
) -> None:
    opened = OrdinalIndex.load(photo_index)
    other = OrdinalCodes(opened.codes.symbols, opened.codes.spec, "another")
    OrdinalIndex(other, opened.keys, model_path=str(tiny_model)).save(tmp_path / "other.index")
    result = run("search", tmp_path / "other.index", photo(photo_folder))
    assert (result.exit_code, "other.index" in result.stderr) == (1, True)
    result = run("search", tmp_path / "other.index", photo(photo_folder), "--model", tiny_model)
    assert (result.exit_code, "models" in result.stderr) == (2, True)
    OrdinalIndex(opened.codes, opened.keys, model_path=str(tmp_path / "gone.onnx")).save(tmp_path / "moved.index")
    result = run("search", tmp_path / "moved.index", photo(photo_folder))
    assert result.exit_code == 1
    assert "gone.onnx" in result.stderr
    assert "--model" in result.stderr
    text = good("search", tmp_path / "moved.index", photo(photo_folder), "--model", tiny_model)
    assert "apple/apple_0.jpg" in text
    assert "labels" not in text
    OrdinalIndex(opened.codes).save(tmp_path / "bare.index")
    assert "--model" in run("search", tmp_path / "bare.index", photo(photo_folder)).stderr
    result = run("search", tmp_path / "gone.index", photo(photo_folder))
    assert result.exit_code == 1
    assert "gone.index" in result.stderr


def test_nothing_likely_is_said_in_words(
    photo_folder: Path, calibrated_model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    query = photo(photo_folder)
    good("index", photo_folder, "--model", calibrated_model, "--out", tmp_path / "photos.index")
    far = OrdinalIndex.load(tmp_path / "photos.index")
    codes = OrdinalCodes(3 - far.codes.symbols, far.codes.spec, far.model_id)  # of no query's symbols
    OrdinalIndex(codes, far.keys, model_path=far.model_path).save(tmp_path / "far.index")
    text = good("search", tmp_path / "far.index", query, "--likely")
    assert text.startswith(f"{query}: no")
    assert "likely" in text
    assert text.count("\n") == 1
    good("index", photo_folder, "--model", tiny_model, "--out", tmp_path / "other.index")
    result = run("search", tmp_path / "other.index", query, "--likely")
    assert (result.exit_code, "calibrated" in result.stderr) == (2, True)
    assert "likely" not in good("search", tmp_path / "other.index", query).replace(str(query), "")
