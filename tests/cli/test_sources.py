"""What a user may name as the source of images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import good, photo, run

from ordhash.codes import read_codes


def test_sources_that_are_none(photo_folder: Path, tmp_path: Path) -> None:
    result = run("train", "cifar1-54k", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "cifar10-54k?" in result.stderr
    assert "`ordhash data list`" in result.stderr
    assert run("train", "", "--out", tmp_path / "run").exit_code == 2
    result = run("train", "cifar10", "--out", tmp_path / "run", "--root", tmp_path)
    assert result.exit_code == 1
    assert "ordhash data get cifar10" in result.stderr
    (tmp_path / "empty").mkdir()
    result = run("train", tmp_path / "empty", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "no image" in result.stderr
    result = run("train", photo_folder / "apple", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "labels" in result.stderr


@pytest.mark.parametrize("header", ["file,labels", "path,lables"])
def test_a_manifest_with_another_column(header: str, photo_folder: Path, tmp_path: Path) -> None:
    (photo_folder / "manifest.csv").write_text(f"{header}\napple/apple_0.jpg,apple\n")
    result = run("train", photo_folder / "manifest.csv", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "'path'" in result.stderr


def test_a_path_wins_over_a_protocol(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo_folder.rename(tmp_path / "cifar10")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ordhash.learn.train", lambda images, *_, **__: pytest.fail(f"{len(images)} images"))
    with pytest.raises(pytest.fail.Exception, match="18 images"):
        run("train", "cifar10", "--out", "run")


def test_a_name_that_is_no_unicode_is_reported_and_the_others_are_done(
    photo_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    bad, family = photo_folder / "apple" / "caf\udce9.jpg", photo_folder / "apple" / "\U0001f468\u200d\U0001f467.jpg"
    photo(photo_folder).rename(bad)
    shutil.copy(bad, family)
    for sources in ([photo_folder], [family, bad]):
        result = run("encode", *sources, "--model", tiny_model, "--out", tmp_path / "codes.parquet", "--force")
        assert result.exit_code == 1
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("not used: ")]
        assert r"caf\udce9.jpg: the name" in line
        codes = read_codes(tmp_path / "codes.parquet")
        assert len(codes) == (18 if len(sources) == 1 else 1)
    assert run("encode", bad, "--model", tiny_model, "--out", tmp_path / "x.parquet").exit_code == 1
    assert not (tmp_path / "x.parquet").exists()


def test_images_beside_class_folders_are_encoded_too(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    shutil.copy(photo(photo_folder), photo_folder / "loose.jpg")
    (photo_folder / "raw.CR3").write_bytes(b"x")
    out = tmp_path / "codes.parquet"
    result = run("encode", photo_folder, "--model", tiny_model, "--out", out, "--exclude", "banana/", "--json")
    assert result.exit_code == 0
    assert "1 CR3" in result.stderr
    codes = read_codes(out)
    labels = dict(zip(codes.keys.tolist(), codes.metadata["labels"].to_pylist(), strict=True))
    assert (len(labels), labels["loose.jpg"], labels["apple/apple_1.jpg"]) == (13, "", "apple")
    for option in (["--exclude", "x"], ["--classes", "top"]):
        refused = run("encode", photo(photo_folder), "--model", tiny_model, "--out", tmp_path / "y.parquet", *option)
        assert (refused.exit_code, "not a folder" in refused.stderr) == (2, True)


def test_a_collection_is_no_source(photo_collection: Path, tiny_model: Path, tmp_path: Path) -> None:
    for command in (
        ["encode", photo_collection, "--model", tiny_model, "--out", tmp_path / "x.parquet"],
        ["index", photo_collection, "--out", tmp_path / "x.index"],
        ["train", photo_collection, "--out", tmp_path / "run"],
    ):
        result = run(*command)
        assert (result.exit_code, "is a collection" in result.stderr, "export" in result.stderr) == (2, True, True)


def test_what_is_read_is_not_overwritten(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    codes = tmp_path / "codes.parquet"
    good("encode", photo_folder, "--model", tiny_model, "--out", codes)
    content = codes.read_bytes()
    for command in (
        ["index", codes, "--out", codes],
        ["encode", codes, "--model", tiny_model, "--out", codes],
        ["index", photo_folder, "--model", tiny_model, "--out", tiny_model],
    ):
        result = run(*command, "--force")
        assert (result.exit_code, "is read" in result.stderr) == (2, True)
    assert codes.read_bytes() == content


@pytest.mark.parametrize("name", ["missing.parquet", "missing.csv", "missing", "missing/a.jpg", "dangling"])
@pytest.mark.parametrize(
    "words",
    [
        ("index", "{}", "--out", "x.index"),
        ("index", "{}", "--out", "x.index", "--model", "missing.onnx"),
        ("encode", "{}", "--out", "x.csv", "--model", "missing.onnx"),
        ("encode", "{}", "--out", "x", "--engine", "ray", "--model", "missing.onnx"),
        ("train", "{}", "--out", "run"),
        ("info", "{}"),
        ("search", "{}", "a.jpg"),
        ("serve", "{}"),
        ("duplicates", "{}"),
        ("verify", "{}"),
        ("export", "{}", "x.csv"),
        ("push", "{}", "--milvus", "http://127.0.0.1:1"),
        ("sync", "{}"),
        ("sync", ".", "--model", "{}", "--collection", "c"),
        ("evaluate", "{}", "."),
        ("quantize", "{}", ".", "--out", "x.onnx"),
        ("train", "--collection", "{}", "--labels", "labels.csv"),
    ],
    ids=" ".join,
)
def test_what_is_missing_is_said_to_be_missing(
    words: tuple[str, ...], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("path,labels\na.jpg,a\n")
    if name == "dangling":
        (tmp_path / name).symlink_to("nowhere")
    result = run(*(word.format(name) for word in words))
    assert result.exit_code in (1, 2)
    assert name in result.stderr
    assert "does not exist" in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1


def test_a_folder_in_place_of_its_collection(
    photo_folder: Path, photo_collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [["search", "photos", "photos/apple/apple_0.jpg"], ["info", "photos"], ["serve", "photos"]]
    commands += [["duplicates", "photos"], ["verify", "photos"], ["export", "photos", "x.parquet"]]
    for command in commands:
        result = run(*command)
        assert (result.exit_code, "run `ordhash sync photos`" in result.stderr) == (1, True), result.stderr
    photo_collection.rename(tmp_path / "photos.ordhash")
    for command in commands:
        result = run(*command)
        assert (result.exit_code, f"give {tmp_path / 'photos.ordhash'}" in result.stderr) == (1, True), result.stderr
    result = run("search", "photos/apple/apple_0.jpg", "photos.ordhash")
    assert "ordhash search photos.ordhash photos/apple/apple_0.jpg" in result.stderr
    result = run("sync", "photos.ordhash")
    assert (result.exit_code, f"`ordhash sync {photo_folder}`" in result.stderr) == (2, True)
    assert not (tmp_path / "photos.ordhash.ordhash").exists()
    (tmp_path / "photos.ordhash" / "catalogue.sqlite").unlink()
    result = run("verify", "photos.ordhash")
    assert "has no catalogue" in result.stderr
    assert "`ordhash sync photos`" in result.stderr


def test_images_without_a_model(photo_folder: Path, tmp_path: Path) -> None:
    result = run("index", photo_folder, "--out", tmp_path / "x.index")
    assert (result.exit_code, "give --model" in result.stderr) == (2, True)
    result = run("encode", "s3://bucket/photos", "--model", "m.onnx", "--out", tmp_path / "x.parquet")
    assert (result.exit_code, "--engine ray" in result.stderr) == (2, True)


def test_a_missing_image_does_not_stop_the_others(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = run("encode", photo(photo_folder), "nowhere.jpg", "--model", tiny_model, "--out", tmp_path / "x.parquet")
    assert (result.exit_code, "no such file" in result.stderr) == (1, True)
    assert '"count": 1' in good("info", tmp_path / "x.parquet", "--json")
