"""`ordhash evaluate`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from commands import good, lines, run

from ordhash.data import Protocol


def test_evaluate_a_folder(photo_folder: Path, tiny_model: Path, cache: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    text = good("evaluate", tiny_model, photo_folder, "--out", report, "--cache", cache)
    assert "20% of each class" in text
    assert "(3)" in text
    assert "(15)" in text
    assert "learned from" in text
    assert "mAP, worst tie order" in text
    assert "precision@10" in text
    values = json.loads(report.read_text())
    assert (values["n_queries"], values["n_database"], values["left_out"]) == (3, 15, [])
    worst, expected, best = (values["ordinal"][name] for name in ("map_worst", "map", "map_best"))
    assert worst - 1e-12 <= expected <= best + 1e-12  # an expected precision is a sum, and 1 only up to rounding
    assert "20% of each class" in values["split"]
    assert run("evaluate", tiny_model, photo_folder, "--out", report).exit_code == 2


def test_what_is_read_is_not_replaced(photo_folder: Path, tiny_model: Path) -> None:
    table = photo_folder.parent / "list.csv"
    table.write_text("path,labels\n" + "".join(f"{path},{path.parent.name}\n" for path in photo_folder.rglob("*.jpg")))
    for source, out in ((photo_folder, tiny_model), (table, table)):
        before = out.read_bytes()
        result = run("evaluate", tiny_model, source, "--out", out, "--force")
        assert (result.exit_code, out.read_bytes()) == (2, before)
        assert "is read by this command" in result.stderr


@pytest.mark.usefixtures("many_parts")
def test_evaluate_with_parts(photo_folder: Path, tiny_model: Path, cache: Path) -> None:
    (plain,) = lines(good("evaluate", tiny_model, photo_folder, "--json"))
    (values,) = lines(good("evaluate", tiny_model, photo_folder, "--json", "--parts"))
    assert plain["parts"] is None
    assert 0 < values["parts"] <= 8
    assert "parts an image" in good("evaluate", tiny_model, photo_folder, "--parts")


def test_evaluate_a_protocol_with_a_broken_file(tiny_model: Path, tiny_protocol: Protocol) -> None:
    broken = Path(str(tiny_protocol.database.images[0]))
    broken.write_bytes(b"")
    result = run("evaluate", tiny_model, "cifar10", "--json")
    assert result.exit_code == 1
    (values,) = lines(result.stdout)
    assert values["split"] == "as published"
    assert values["n_database"] == len(tiny_protocol.database) - 1
    assert str(broken) in result.stderr


def test_evaluate_by_the_conventions_of_others(
    tiny_model: Path, tiny_protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded = dataclasses.replace(tiny_protocol, coarse=("fruit", "fruit", "vegetable"), cutoff=2, note="a small copy")
    monkeypatch.setattr("ordhash.cli.sources.load_protocol", lambda name, root: graded)
    text = good("evaluate", tiny_model, "cifar10", "--ap", "hits-in-top-k", "--ties", "row")
    for words in ("a small copy", "found within the cutoff", "mAP, ties in row order", "NDCG, mean over tie"):
        assert words in text
    (values,) = lines(good("evaluate", tiny_model, "cifar10", "--ap", "all-relevant", "--ties", "worst", "--json"))
    assert (values["convention"], values["ties"], values["note"]) == ("all-relevant", "worst", "a small copy")
    assert values["ordinal"]["map"] == values["ordinal"]["map_worst"]
    assert 0 < values["ordinal"]["ndcg"] <= 1
    text = good("evaluate", tiny_model, "cifar10")
    assert "mAP, mean over tie orders" in text
    assert "average precision" not in text
    assert run("evaluate", tiny_model, "cifar10", "--ap", "mine").exit_code == 2


def test_evaluate_refuses_what_nothing_can_be_found_in(photo_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = run("evaluate", tiny_model, photo_folder / "apple")
    assert result.exit_code == 2
    assert "labels" in result.stderr
    (photo_folder / "m.csv").write_text("path,labels\napple/apple_0.jpg,a\nbanana/banana_0.jpg,b\n")
    result = run("evaluate", tiny_model, photo_folder / "m.csv")
    assert result.exit_code == 1
    assert "3 images" in result.stderr
