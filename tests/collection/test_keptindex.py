import os
import shutil

import pytest

from ordhash.codes import CodeFacts, CodeSpec
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.keptindex import index_damages, index_path, kept_index
from ordhash.collection.rows import Entry
from ordhash.index import OrdinalIndex

FACTS = CodeFacts(CodeSpec(48, 4), "model", None)


def entry(number):
    return Entry(f"{number}.jpg", 1, 2, bytes([number] * 16), bytes([number] * 6), None)


@pytest.fixture
def catalogue(tmp_path):
    with Catalogue(tmp_path / "catalogue.sqlite", FACTS, tmp_path) as catalogue:
        catalogue.update(map(entry, range(5)))
        yield catalogue


def test_an_index_is_kept_for_one_state_of_the_catalogue(catalogue, tmp_path):
    assert kept_index(tmp_path, catalogue).keys.tolist() == [f"{number}.jpg" for number in range(5)]
    (path,) = tmp_path.glob("*.index")
    assert path == index_path(tmp_path, catalogue)
    assert index_damages(tmp_path, catalogue) == []
    catalogue.update(gone=["0.jpg"])
    assert len(kept_index(tmp_path, catalogue)) == 4
    (now,) = tmp_path.glob("*.index")
    assert now != path


def test_an_index_of_another_state_is_not_used_whatever_its_name(catalogue, tmp_path):
    kept_index(tmp_path, catalogue)
    (old,) = tmp_path.glob("*.index")
    shutil.copy(old, tmp_path / "kept")
    catalogue.update([entry(9)], gone=["0.jpg"])  # as many as before
    shutil.move(tmp_path / "kept", index_path(tmp_path, catalogue))
    assert "another collection" in index_damages(tmp_path, catalogue)[0]
    assert kept_index(tmp_path, catalogue).keys.tolist() == ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "9.jpg"]
    assert index_damages(tmp_path, catalogue) == []


def test_an_index_that_says_something_else_is_damaged(catalogue, tmp_path):
    index = kept_index(tmp_path, catalogue)
    path = index_path(tmp_path, catalogue)
    codes = index.codes[[1, 0, 2, 3, 4]]
    OrdinalIndex(codes, index.keys, index.metadata).save(path)
    assert "differs from the catalogue" in index_damages(tmp_path, catalogue)[0]


@pytest.mark.parametrize("failing", ["save", "unlink"])
def test_what_cannot_be_written_or_removed_is_searched_all_the_same(failing, catalogue, tmp_path, monkeypatch):
    (tmp_path / "old.index").touch()

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((OrdinalIndex, "save") if failing == "save" else (os, "unlink")), refuse)
        assert len(kept_index(tmp_path, catalogue)) == 5
