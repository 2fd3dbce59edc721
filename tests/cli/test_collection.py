"""The commands of a collection: sync, duplicates, export, verify."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from commands import good, lines, photo, run
from PIL import Image


def test_a_collection_from_sync_to_search(
    photo_folder: Path, tiny_model: Path, tmp_path: Path, bad_files: dict[str, Path]
) -> None:
    collection, query = tmp_path / "photos.collection", photo(photo_folder)
    text = good("sync", photo_folder, "--model", tiny_model, "--collection", collection)
    assert text.startswith(f"{collection}: 18 encoded, ")
    assert " 0 unchanged" in text
    first = lines(good("search", collection, query, "--json", "--where", "folder=apple"))[0]["results"]
    assert [first[0]["key"], len(first)] == ["apple/apple_0.jpg", 6]
    assert good("duplicates", collection).startswith("no ")
    (photo_folder / "copy.jpg").write_bytes(query.read_bytes())
    (photo_folder / "broken.jpg").write_bytes(bad_files["truncated"].read_bytes())
    result = run("sync", photo_folder, "--model", tiny_model, "--collection", collection, "--json")
    assert result.exit_code == 1
    assert (lines(result.stdout)[0]["reused"], lines(result.stdout)[0]["unchanged"]) == (1, 18)
    assert "broken.jpg: " in result.stderr
    assert lines(good("duplicates", collection, "--json")) == [{"group": 1, "keys": ["apple/apple_0.jpg", "copy.jpg"]}]
    (photo_folder / "copy.jpg").rename(tmp_path / "away.jpg")
    result = run("duplicates", collection, "--json")
    assert (result.exit_code, result.stdout, "1 image is missing" in result.stderr) == (0, "", True)
    (tmp_path / "away.jpg").rename(photo_folder / "copy.jpg")
    facts = lines(good("info", collection, "--json"))[0]
    assert (facts["kind"], facts["count"], facts["unusable"]) == ("collection", 19, 1)
    good("export", collection, tmp_path / "codes.parquet")
    assert lines(good("info", tmp_path / "codes.parquet", "--json"))[0]["count"] == 19
    assert good("verify", collection).startswith(f"{collection}")
    with sqlite3.connect(collection / "catalogue.sqlite") as database:
        database.execute("UPDATE images SET size = 1 WHERE key = 'copy.jpg'")
    result = run("verify", collection)
    assert (result.exit_code, result.stdout.startswith("copy.jpg: "), result.stdout.count("\n")) == (1, True, 1)


def test_a_folder_without_images_makes_no_collection(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "notes.txt").touch()
    (folder / "1.cr2").touch()
    for options in (["--model", tiny_model], ["--model", tiny_model, "--exclude", "*.png"], []):
        result = run("sync", folder, *options)
        assert result.exit_code == 1
        assert "photos holds no image, but 1 image" in result.stderr
        assert result.stderr.count("\n") == 1
    (folder / "1.png").touch()
    assert "holds no image" in run("sync", folder, "--exclude", "*.png").stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_folder_that_moves(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    good("sync", photo_folder, "--model", tiny_model)
    collection, moved = Path(f"{photo_folder}.ordhash"), photo_folder.rename(tmp_path / "moved")
    result = run("sync", moved)
    assert (result.exit_code, f"--collection {collection}" in result.stderr) == (2, True)
    assert not Path(f"{moved}.ordhash").exists()
    result = run("sync", moved, "--collection", collection)
    assert (result.exit_code, f"moved from {photo_folder}" in result.stderr) == (0, True)
    assert "18 unchanged" in result.stdout
    (tmp_path / "other").mkdir()
    result = run("sync", tmp_path / "other", "--collection", collection)
    assert (result.exit_code, "0 of its 18 images" in result.stderr) == (2, True)


def test_what_cannot_be_read_is_listed_once_and_what_is_excluded_never(
    photo_folder: Path, tiny_model: Path, tmp_path: Path, bad_files: dict[str, Path]
) -> None:
    (photo_folder / "broken.jpg").write_bytes(bad_files["truncated"].read_bytes())
    for name in ("a.CR3", "b.cr3", "c.mp4"):
        (photo_folder / name).write_bytes(b"x")
    options = ("--model", tiny_model, "--collection", tmp_path / "c")
    first = run("sync", photo_folder, *options, "--exclude", "banana/", "--exclude", "*_0.jpg")
    assert (first.exit_code, " 10 encoded, " in first.stdout, "1 unusable" in first.stdout) == (1, True, True)
    assert "broken.jpg: " in first.stderr
    assert "2 CR3" in first.stderr
    assert "1 video" in first.stderr
    second = run("sync", photo_folder, *options)  # remembers what to exclude
    assert (second.exit_code, " 10 unchanged, 1 unusable" in second.stdout) == (0, True)
    assert "broken.jpg" not in second.stderr
    assert "1 image of earlier syncs" in second.stderr
    facts = lines(good("info", tmp_path / "c", "--json"))[0]
    assert [source for source, _ in facts["failures"]] == ["broken.jpg"]
    assert " 8 encoded" in good("sync", photo_folder, *options, "--exclude", "")
    assert " 12 removed" in good("sync", photo_folder, *options, "--exclude", "[!c]*/")
    assert run("sync", photo_folder, *options, "--exclude", "!").exit_code == 2


def test_a_line_is_a_file_whatever_the_file_is_called(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    name = "a\n\nb\x1b[2J\u2028\u0085\u202ec.jpg"
    for copy in (name, "c.jpg"):
        (photo_folder / copy).write_bytes(photo(photo_folder).read_bytes())
    good("sync", photo_folder, "--model", tiny_model, "--collection", tmp_path / "c")
    (group,) = good("duplicates", tmp_path / "c").strip().split("\n\n")
    assert len(group.splitlines()) == 3
    assert r"a\n\nb\x1b[2J\u2028\x85\u202ec.jpg" in group


@pytest.mark.slow  # a real backbone looks at photographs
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("learns_briefly")
def test_a_folder_needs_no_labels_and_no_model(photo_folder: Path, tmp_path: Path) -> None:
    first = run("sync", photo_folder)
    assert (first.exit_code, "18 encoded" in first.stdout) == (0, True)
    assert "general" in first.stderr
    for number in range(6):  # seventy-two more, in the same three colours
        for copy in range(1, 5):
            for label in ("apple", "banana", "carrot"):
                with Image.open(photo(photo_folder, number, label)) as picture:
                    picture.rotate(9 * copy).save(photo_folder / f"{label}_{number}_{copy}.jpg")
    collection = Path(f"{photo_folder}.ordhash")
    assert "72 encoded" in good("sync", photo_folder)
    assert len(list(collection.glob("model-*.onnx"))) == 1
    assert not any(path.is_dir() for path in collection.iterdir())
    found = lines(good("search", collection, photo(photo_folder), "--json"))[0]["results"]
    assert np.mean(["apple" in result["key"] for result in found]) >= 0.6  # a third is chance
    assert lines(good("info", collection, "--json"))[0]["stale"] == "no"
    collection.rename(tmp_path / "moved")  # the model goes along
    assert "90 unchanged" in good("sync", photo_folder, "--collection", tmp_path / "moved")
    result = run("sync", photo_folder, "--model", collection, "--relearn")
    assert (result.exit_code, "--relearn" in result.stderr) == (2, True)
    for path in photo_folder.glob("*_*_*.jpg"):
        for turn in range(6):
            with Image.open(path) as picture:
                picture.rotate(60 * turn + 40).save(path.with_stem(f"{path.stem}_{turn}"))
    assert "432 encoded" in good("sync", photo_folder, "--collection", tmp_path / "moved")
    stale = lines(good("info", tmp_path / "moved", "--json"))[0]["stale"]
    assert "522 photographs" in stale
    assert "522 encoded" in good("sync", photo_folder, "--collection", tmp_path / "moved", "--relearn")
    assert lines(good("info", tmp_path / "moved", "--json"))[0]["stale"] == "no"


def test_near_duplicates_and_likelihoods_in_a_collection(
    photo_folder: Path, calibrated_model: Path, tmp_path: Path
) -> None:
    apples = photo_folder / "apple"  # a few: pictures this plain are compared one by one
    collection, query = tmp_path / "photos.collection", apples / "apple_0.jpg"
    small = apples / "small.png"
    Image.open(query).resize((44, 36)).save(small)
    good("sync", apples, "--model", calibrated_model, "--collection", collection)
    assert good("duplicates", collection).startswith("no ")
    assert good("duplicates", collection, "--near") == "apple_0.jpg\nsmall.png\n\n"
    assert lines(good("duplicates", collection, "--near", "--json")) == [
        {"group": 1, "keys": ["apple_0.jpg", "small.png"]}
    ]
    text = good("search", collection, query, "--top-k", "7")
    heading, first = (line.split() for line in text.splitlines() if "rank" in line or ("yes" in line and "_0" in line))
    assert heading == ["rank", "distance", "likely", "same", "picture", "key"]
    assert first[2:] == ["at", "least", "90", "%", "yes", "apple_0.jpg"]
    found = lines(good("search", collection, query, "--top-k", "7", "--json"))[0]["results"]
    likely = lines(good("search", collection, query, "--top-k", "7", "--json", "--likely"))[0]["results"]
    kept = [result for result in found if result["distance"] <= 1 or result["near_duplicate"]]
    assert likely == [{**result, "rank": rank} for rank, result in enumerate(kept, 1)]
    assert {result["key"] for result in found if result["near_duplicate"]} == {"apple_0.jpg", "small.png"}
    assert good("verify", collection, "--photographs").startswith(f"{collection}")
    query.write_bytes(b"other")
    result = run("verify", collection, "--photographs")
    assert (result.exit_code, "apple_0.jpg: " in result.stdout) == (1, True)


def test_commands_of_a_collection_where_there_is_none(photo_folder: Path, tmp_path: Path) -> None:
    for command in ("duplicates", "verify"):
        result = run(command, photo_folder)
        assert (result.exit_code, str(photo_folder) in result.stderr) == (1, True)
    result = run("search", photo_folder, photo(photo_folder))
    assert (result.exit_code, f"`ordhash sync {photo_folder}`" in result.stderr) == (1, True)


def test_codes_are_exported_to_parquet_files_alone(photo_collection: Path, tmp_path: Path) -> None:
    result = run("export", photo_collection, tmp_path / "codes.csv")
    assert (result.exit_code, "must end in .parquet, not codes.csv" in result.stderr) == (2, True)
    assert not (tmp_path / "codes.csv").exists()
