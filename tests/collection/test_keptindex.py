import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import CodeFacts, CodeSpec, PartCodes
from ordhash.collection import database, keptindex
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.keptindex import followed_by_index, index_damages, index_path, kept_index
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


def some_parts(n):
    return [bytes([box] * 6) + bytes([0, 0, 9, box + 1]) for box in range(n)]


# Letters whose order in UTF-8 is not that of UTF-16, and folders.
changes = st.lists(
    st.tuples(
        st.dictionaries(st.text("aB/\xe9\uffff\U00010000", min_size=1, max_size=3), st.integers(0, 3), max_size=4),
        st.lists(st.integers(0, 20), max_size=3),
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def quick_disk():
    """Nothing waits until the disk has written what it was given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_PRAGMAS", ("synchronous = OFF",))
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.mark.usefixtures("quick_disk")
@settings(max_examples=20, deadline=None)
@given(changes, st.booleans())
def test_an_index_that_follows_changes_is_that_which_would_be_built(changes, with_parts):
    with tempfile.TemporaryDirectory() as place, Catalogue(Path(place, "c.sqlite"), FACTS, Path(place)) as catalogue:
        catalogue.update([entry(5, b"" if with_parts else None)])
        kept_index(Path(place), catalogue)
        for number, (new, old) in enumerate(changes, start=1):
            there = [one.key for one in catalogue.entries()]
            gone = {there[row] for row in old if row < len(there)} - new.keys()
            entries = [
                Entry(key, n, 1000 * number, b"%016d" % n, bytes([n] * 6), None, None,
                      b"".join(some_parts(n)) if with_parts else None)
                for key, n in new.items()
            ]  # fmt: skip
            with followed_by_index(catalogue, [*new, *gone]):
                catalogue.update(entries, gone=gone)
            path = index_path(Path(place), catalogue)
            if set(there) - gone - new.keys() or not (new or gone):  # else it is built when it is needed
                assert list(Path(place).glob("*.index")) == [path]
            assert index_damages(Path(place), catalogue) == []
            kept_index(Path(place), catalogue)


def test_whoever_searches_meanwhile_finds_an_index(catalogue, tmp_path, monkeypatch):
    kept_index(tmp_path, catalogue)
    monkeypatch.setattr(keptindex, "everything_in", lambda *_: pytest.fail("all rows are read"))
    save, seen = OrdinalIndex.save, []

    def look():
        with Catalogue(catalogue.path) as other:
            seen.append(len(kept_index(tmp_path, other)))

    def save_and_look(index, path):
        save(index, path)
        look()

    monkeypatch.setattr(OrdinalIndex, "save", save_and_look)
    with followed_by_index(catalogue, ["0.jpg"]):
        catalogue.update(gone=["0.jpg"])
    look()
    assert seen == [5, 4]


def test_a_change_that_fails_changes_no_index(catalogue, tmp_path):
    kept_index(tmp_path, catalogue)
    before = list(tmp_path.glob("*.index"))

    def delete():
        with followed_by_index(catalogue, ["0.jpg", "1.jpg"]):
            catalogue.update(gone=["0.jpg"])
            catalogue.update(gone=["1.jpg"])
            raise DataError("the disk is full")

    with pytest.raises(DataError, match="full"):
        delete()
    assert list(tmp_path.glob("*.index")) == before
    assert len(kept_index(tmp_path, catalogue)) == catalogue.n_images == 5


@pytest.mark.parametrize("index", [None, b"damaged"])
def test_without_an_index_a_change_makes_none(index, catalogue, tmp_path):
    kept_index(tmp_path, catalogue)
    path = index_path(tmp_path, catalogue)
    path.unlink() if index is None else path.write_bytes(index)
    with followed_by_index(catalogue, ["0.jpg", "9.jpg"]):
        catalogue.update([entry(9)], gone=["0.jpg"])
    assert not index_path(tmp_path, catalogue).exists()
    assert kept_index(tmp_path, catalogue).keys.tolist() == ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "9.jpg"]
