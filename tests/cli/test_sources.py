"""What a user may name as the source of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import photo, run


def test_sources_that_are_none(photo_folder: Path, tmp_path: Path) -> None:
    result = run("train", "cifar1-54k", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "cifar10-54k?" in result.stderr
    assert "grocery-photos" in result.stderr
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


def test_a_name_that_is_no_unicode_is_met_before_the_work(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    photo(photo_folder).rename(photo_folder / "apple" / "caf\udce9.jpg")
    result = run("encode", photo_folder, "--model", tiny_model, "--out", tmp_path / "codes.parquet")
    assert result.exit_code == 2
    assert r"caf\udce9.jpg'" in result.stderr
