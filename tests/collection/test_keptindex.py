import os
import shutil

import numpy as np
import pytest

from ordhash.codes import CodeFacts, CodeSpec, PartCodes
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.keptindex import index_damages, index_path, kept_index
from ordhash.collection.rows import Entry
from ordhash.errors import DataError
from ordhash.index import OrdinalIndex

FACTS = CodeFacts(CodeSpec(48, 4), "model", None)


def entry(number, parts=b""):
    return Entry(f"{number}.jpg", 1, 2, bytes([number] * 16), bytes([number] * 6), None, None, parts)


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


PART = bytes([7] * 6) + bytes([0, 51, 102, 255])


def test_parts_of_photographs_are_those_of_the_index(catalogue, tmp_path):
    catalogue.update([entry(1, PART), entry(3, PART * 2)])
    parts = kept_index(tmp_path, catalogue).parts
    assert parts.owners.tolist() == [1, 3, 3]
    assert parts.shares[0].tolist() == [0.0, 0.2, 0.4, 1.0]
    assert parts.codes.packed()[0].tobytes() == PART[:6]
    assert index_damages(tmp_path, catalogue) == []
    path = index_path(tmp_path, catalogue)
    index = OrdinalIndex.load(path)
    others = PartCodes(index.parts.codes, np.array([1, 1, 3]), index.parts.boxes)
    OrdinalIndex(index.codes, index.keys, index.metadata, parts=others).save(path)
    assert "differs from the catalogue" in index_damages(tmp_path, catalogue)[0]


def test_a_model_that_sees_the_middle_alone_has_no_parts(catalogue, tmp_path):
    catalogue.update([entry(number, None) for number in range(5)])
    assert kept_index(tmp_path, catalogue).parts is None


def test_parts_of_another_size_are_refused(catalogue, tmp_path):
    catalogue.update([entry(1, PART[:-1])])
    with pytest.raises(DataError, match=r"parts in .* are damaged"):
        kept_index(tmp_path, catalogue)


def test_an_index_that_says_something_else_is_damaged(catalogue, tmp_path):
    index = kept_index(tmp_path, catalogue)
    path = index_path(tmp_path, catalogue)
    codes = index.codes[[1, 0, 2, 3, 4]]
    OrdinalIndex(codes, index.keys, index.metadata).save(path)
    assert "differs from the catalogue" in index_damages(tmp_path, catalogue)[0]


def test_old_indexes_are_removed_and_files_of_the_user_are_not(catalogue, tmp_path):
    old, theirs = tmp_path / f"{'0' * 16}.index", tmp_path / "selection.index"
    for path in (old, theirs):
        path.touch()
    kept_index(tmp_path, catalogue)
    assert not old.exists()
    assert theirs.exists()


@pytest.mark.parametrize("failing", ["save", "unlink"])
def test_what_cannot_be_written_or_removed_is_searched_all_the_same(failing, catalogue, tmp_path, monkeypatch):
    (tmp_path / f"{'0' * 16}.index").touch()

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((OrdinalIndex, "save") if failing == "save" else (os, "unlink")), refuse)
        assert len(kept_index(tmp_path, catalogue)) == 5
