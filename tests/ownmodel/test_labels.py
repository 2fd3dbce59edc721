"""Labels find their photographs, whatever these are called later."""

import numpy as np
import pytest

from ordhash.data import ImageSet, read_manifest, read_photographs
from ordhash.ownmodel import labels as module
from ordhash.ownmodel.labels import keep_labels, with_kept_labels, with_labels


@pytest.fixture
def folder(tmp_path):
    """Five photographs of as many bytes, as far as labels are concerned."""
    root = tmp_path / "photos"
    (root / "inbox").mkdir(parents=True)
    for number in range(5):
        (root / f"inbox/{number}.jpg").write_bytes(b"photograph %d" % number)
    return root


@pytest.fixture
def collection(folder, tmp_path):
    """Folder of a collection that keeps labels of the first three, and of one that was missing."""
    (tmp_path / "given.csv").write_text(
        "path,labels\n" + "".join(f"inbox/{n}.jpg,{word}\n" for n, word in enumerate("abc")) + "away.jpg,a\n"
    )
    place = tmp_path / "photos.ordhash"
    place.mkdir()
    keep_labels(read_manifest(tmp_path / "given.csv"), read_photographs(folder), place)
    return place


def found(folder, collection):
    """Labels by key, and keys without a photograph."""
    images, lost = with_kept_labels(read_photographs(folder), collection)
    if images.labels is None:
        return {}, lost
    words = {
        str(key): [name for name, on in zip(images.class_names, row, strict=True) if on]
        for key, row in zip(images.keys, images.labels, strict=True)
    }
    return {key: "".join(names) for key, names in words.items() if names}, lost


def test_labels_are_kept(folder, collection):
    assert found(folder, collection) == (
        {"inbox/0.jpg": "a", "inbox/1.jpg": "b", "inbox/2.jpg": "c"},
        ["away.jpg"],
    )
    assert read_manifest(collection / "labels.csv").keys.tolist()[-1] == "away.jpg"


def test_labels_follow_photographs_that_are_renamed_and_moved(folder, collection):
    (folder / "inbox").rename(folder / "2024")
    (folder / "2024/1.jpg").rename(folder / "sea.jpg")
    (folder / "2024/2.jpg").unlink()
    (folder / "2024/3.jpg").write_bytes(b"")
    assert found(folder, collection) == ({"2024/0.jpg": "a", "sea.jpg": "b"}, ["inbox/2.jpg", "away.jpg"])


def test_labels_stay_with_photographs_whose_names_change_places(folder, collection):
    for old, new in ((0, "x"), (1, 0), ("x", 1)):
        (folder / f"inbox/{old}.jpg").rename(folder / f"inbox/{new}.jpg")
    assert found(folder, collection)[0] == {"inbox/0.jpg": "b", "inbox/1.jpg": "a", "inbox/2.jpg": "c"}


def test_an_edited_photograph_keeps_its_label_and_so_does_the_first_of_copies(folder, collection):
    (folder / "inbox/0.jpg").write_bytes(b"edited")
    (folder / "copy.jpg").write_bytes((folder / "inbox/1.jpg").read_bytes())
    assert found(folder, collection)[0] == {"inbox/0.jpg": "a", "inbox/1.jpg": "b", "inbox/2.jpg": "c"}


def test_only_files_as_large_as_one_with_a_label_are_read(folder, collection, monkeypatch):
    (folder / "large.jpg").write_bytes(b"larger than the others")
    read, digest = [], module.content_id
    monkeypatch.setattr(module, "content_id", lambda path: read.append(path.name) or digest(path))
    found(folder, collection)
    assert sorted(read) == [f"{number}.jpg" for number in range(5)]


def test_labels_of_one_class_are_none(folder, collection):
    for number in range(1, 3):
        (folder / f"inbox/{number}.jpg").unlink()
    assert found(folder, collection) == ({}, ["inbox/1.jpg", "inbox/2.jpg", "away.jpg"])
    (collection / "labels.csv").unlink()
    assert found(folder, collection) == ({}, [])


def test_labels_find_photographs_by_paths_of_other_systems():
    keys = np.array(["a/Mo\u0308we.jpg", "b/caf\xe9.jpg", "c.jpg", "odd\\name.jpg"])
    images = ImageSet(np.zeros((4, 8, 8, 3), np.uint8), keys)
    given = ["a\\M\xf6we.jpg", "b/cafe\u0301.jpg", "b\\caf\xe9.jpg", "odd\\name.jpg", "gone.jpg"]
    labels = ImageSet(np.zeros((5, 8, 8, 3), np.uint8), np.array(given), np.eye(5, dtype=bool), tuple("vwxyz"))
    found, unknown = with_labels(images, labels)
    assert unknown == ["gone.jpg"]
    assert [[name for name, on in zip("vwxy", row, strict=True) if on] for row in found.labels] == [
        ["v"],
        ["w", "x"],
        [],
        ["y"],
    ]
