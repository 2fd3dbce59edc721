"""``ordhash search``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import good, lines, photo, run

from ordhash import OrdinalIndex
from ordhash.cli.search import at_least
from ordhash.codes import PartCodes
from ordhash.codes.codes import OrdinalCodes
from ordhash.model import Encoder


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


@pytest.mark.parametrize("options", [[], ["--asymmetric"]])
def test_search_by_parts(options: list[str], photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    queries, index = sorted(photo_folder.rglob("*.jpg")), tmp_path / "parts.index"
    encoded = Encoder(tiny_model).run(queries)
    # Items with the code of another photograph, and a part in the middle that has their own.
    parts = PartCodes(encoded.codes, np.arange(18), np.tile(np.uint8([77, 77, 178, 178]), (18, 1)))
    keys = [path.name for path in queries]
    opened = OrdinalIndex(encoded.codes[::-1], keys, model_path=str(tiny_model), parts=parts)
    opened.save(index)
    answers = lines(good("search", index, *queries, "--top-k", "99", "--json", "--parts", *options))
    if options:
        result = opened.search_asymmetric(encoded.scores, top_k=99, parts=True)
    else:
        result = opened.search(encoded.codes, top_k=99, parts=True)
    assert result.boxes is not None
    n_parts = 0
    for answer, found, distances, boxes in zip(answers, result.keys, result.distances, result.boxes, strict=True):
        assert [one["key"] for one in answer["results"]] == found.tolist()
        assert [one["distance"] for one in answer["results"]] == pytest.approx(distances.tolist())
        for one, box in zip(answer["results"], boxes.tolist(), strict=True):
            assert one.get("box", [0, 0, 1, 1]) == pytest.approx(box, abs=1e-4)
            n_parts += "box" in one
    assert n_parts > 0
    text = good("search", index, *queries, "--top-k", "99", "--parts", *options)
    assert "middle" in text
    assert "middle" not in good("search", index, *queries, "--top-k", "99", *options)


def test_search_by_parts_refuses(photo_folder: Path, photo_index: Path, calibrated_model: Path, tmp_path: Path) -> None:
    assert "keeps no parts" in run("search", photo_index, photo(photo_folder), "--parts").stderr
    index = tmp_path / "parts.index"
    good("index", photo_folder, "--model", calibrated_model, "--out", index, "--parts")
    assert "not calibrated for parts" in run("search", index, photo(photo_folder), "--parts", "--likely").stderr


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


def test_why_nothing_is_found(photo_folder: Path, calibrated_model: Path, tmp_path: Path) -> None:
    index, query = tmp_path / "photos.index", photo(photo_folder)
    good("index", photo_folder, "--model", calibrated_model, "--out", index)

    def said(*options: str) -> str:
        return good("search", index, query, *options).removeprefix(f"{query}: ").strip()

    assert said("--where", "labels=cat") == "no image meets the condition labels=cat"
    assert said("--where", "labels=cat", "--likely") == "no image meets the condition labels=cat"
    assert (
        said("--where", "labels=apple", "--where", "labels=banana") == "no image meets labels=apple and labels=banana"
    )
    assert "apple_0.jpg" in said("--where", "labels=apple", "--likely")
    in_json = run("search", index, query, "--where", "labels=cat", "--json")
    assert lines(in_json.stdout) == [{"query": str(query), "results": []}]
    assert in_json.stderr.endswith(f"{query}: no image meets the condition labels=cat\n")
    index_of_one = tmp_path / "one.index"
    good("index", query, "--model", calibrated_model, "--out", index_of_one)
    found = OrdinalIndex.load(index_of_one)
    OrdinalIndex(found.codes[:0], found.keys[:0], model_path=found.model_path).save(index_of_one)
    assert good("search", index_of_one, query).endswith("there are no images to search\n")


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


@pytest.mark.parametrize(("likelihood", "said"), [(0.9996, "99 %"), (0.29, "29 %"), (1.0, "100 %"), (0.0, "0 %")])
def test_a_likelihood_is_rounded_down(likelihood: float, said: str) -> None:
    assert at_least(likelihood) == f"at least {said}"


def test_a_photograph_that_is_unlike_anything_learned(
    photo_folder: Path, judging_model: Path, dark_photo: Path, tmp_path: Path
) -> None:
    index = tmp_path / "photos.index"
    good("index", photo_folder, "--model", judging_model, "--out", index)
    text = good("search", index, dark_photo)
    assert "at least" not in text
    assert text.splitlines()[-1].startswith(f"{dark_photo} is unlike anything")
    text = good("search", index, dark_photo, "--likely")
    assert text.startswith(f"{dark_photo}: it is unlike anything")
    assert (text.count("\n"), "--likely" in text) == (1, True)
    dark, light = lines(good("search", index, dark_photo, photo(photo_folder), "--json"))
    assert (dark["unlike"], light["unlike"]) == (True, False)
    assert {result["likelihood"] for result in dark["results"]} == {None}
    assert None not in {result["likelihood"] for result in light["results"]}


def test_a_member_that_is_unlike_anything_learned(
    photo_folder: Path, judging_model: Path, dark_photo: Path, tmp_path: Path
) -> None:
    collection = tmp_path / "photos.collection"
    dark_photo.rename(photo_folder / "apple" / "dark.png")
    good("sync", photo_folder, "--model", judging_model, "--collection", collection)
    (line,) = [
        line
        for line in good("search", collection, photo(photo_folder), "--top-k", 19).splitlines()
        if "dark.png" in line
    ]
    assert "unlike anything learned" in line
