import os
import sys

import numpy as np
import pytest

from ordhash.data import read_folder, read_photographs
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError, InputError

ROOT_READS_ALL = hasattr(os, "geteuid") and os.geteuid() == 0


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def labels_of(images):
    return [sorted(np.array(images.class_names)[row].tolist()) for row in images.labels]


def test_a_folder_of_class_folders(photo_folder):
    images = read_folder(photo_folder)
    assert isinstance(images, ImageSet)
    assert len(images) == 18
    assert images.class_names == ("apple", "banana", "carrot")
    assert images.keys.tolist() == sorted(f"{c}/{c}_{i}.jpg" for c in ("apple", "banana", "carrot") for i in range(6))
    assert labels_of(images) == [[key.split("/")[0]] for key in images.keys]
    assert images.images == [photo_folder / key for key in images.keys]
    assert images.metadata is None


def test_a_flat_folder_has_no_labels(photo_folder):
    images = read_folder(photo_folder / "apple")
    assert (len(images), images.labels, images.class_names) == (6, None, ())
    assert images.keys.tolist() == [f"apple_{i}.jpg" for i in range(6)]


def test_deeper_folders_belong_to_the_class_of_the_first_level(tmp_path):
    images = read_folder(fill(tmp_path, "cat/2020/05/a.jpg", "cat/b.jpg", "dog/x/c.png"))
    assert images.keys.tolist() == ["cat/2020/05/a.jpg", "cat/b.jpg", "dog/x/c.png"]
    assert labels_of(images) == [["cat"], ["cat"], ["dog"]]


def test_images_beside_class_folders_have_no_label(tmp_path):
    images = read_folder(fill(tmp_path, "loose.jpg", "cat/a.jpg"))
    assert images.keys.tolist() == ["cat/a.jpg", "loose.jpg"]
    assert labels_of(images) == [["cat"], []]


def test_nested_class_folders_are_not_merged(tmp_path):
    fill(tmp_path, "fruit/apple/a.jpg", "fruit/pear/b.jpg", "milk/oat/c.jpg")
    assert read_folder(tmp_path).class_names == ("fruit/apple", "fruit/pear", "milk/oat")
    assert read_folder(tmp_path, classes="top").class_names == ("fruit", "milk")
    assert read_folder(tmp_path, exclude=["fruit/"]).class_names == ("milk/oat",)


def test_a_class_folder_that_would_become_two_labels_is_refused(tmp_path):
    fill(tmp_path, "cat;dog/a.jpg", "bird/b.jpg")
    with pytest.raises(InputError, match="'cat;dog', and ; separates labels"):
        read_folder(tmp_path)
    assert read_folder(tmp_path, exclude=["cat;dog"]).class_names == ("bird",)
    assert len(read_photographs(tmp_path)) == 2


def test_folders_without_images_do_not_make_a_flat_folder_a_classified_one(tmp_path):
    (tmp_path / "empty").mkdir()
    images = read_folder(fill(tmp_path, "a.jpg", "notes/readme.txt"))
    assert (images.keys.tolist(), images.labels) == (["a.jpg"], None)


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    fill(
        tmp_path,
        "a.jpg",
        "._a.jpg",
        ".hidden.png",
        ".thumbs/b.jpg",
        "c.txt",
        "d.JPEG",
        "e",
        "f.jpg.part",
        "g.WebP",
        "jpg",
    )
    assert read_folder(tmp_path).keys.tolist() == ["a.jpg", "d.JPEG", "g.WebP"]


def test_a_folder_that_is_hidden_itself_is_read(tmp_path):
    assert len(read_folder(fill(tmp_path / ".cache", "a.jpg"))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_to_folders_are_not_followed_and_links_to_files_are(tmp_path):
    fill(tmp_path, "cat/a.jpg")
    (tmp_path / "cat" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dog").symlink_to(tmp_path / "cat", target_is_directory=True)
    (tmp_path / "cat" / "b.jpg").symlink_to(tmp_path / "cat" / "a.jpg")
    assert read_folder(tmp_path).keys.tolist() == ["cat/a.jpg", "cat/b.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_a_name_that_is_not_unicode_is_reported_and_the_others_are_read(tmp_path):
    images = read_folder(fill(tmp_path, os.fsdecode(b"caf\xe9.jpg"), "b.jpg"))
    assert images.keys.tolist() == ["b.jpg"]
    assert "caf" in images.passed_over.failures[0].source


@pytest.mark.skipif(ROOT_READS_ALL, reason="root reads every folder, whatever its permissions")
@pytest.mark.parametrize("mode", [0, 0o400, 0o100])
def test_a_sub_folder_that_cannot_be_read_is_reported_and_the_others_are_read(tmp_path, mode):
    fill(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / "dog").chmod(mode)
    try:
        images = read_folder(tmp_path)
    finally:
        (tmp_path / "dog").chmod(0o700)
    assert "cat/a.jpg" in images.keys
    if mode != 0o400:  # that one can be listed; its files fail when they are read
        assert images.passed_over.failures[0].source == str(tmp_path / "dog")


def test_a_folder_of_which_nothing_can_be_read_says_why(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        read_folder(tmp_path)


def test_a_folder_of_unread_formats_says_so(tmp_path):
    with pytest.raises(DataError, match=r"no image.*2 CR3"):
        read_folder(fill(tmp_path, "a.cr3", "b.CR3"))


def test_a_folder_without_images_explains_itself(tmp_path):
    fill(tmp_path, "notes.txt", "sub/more.txt")
    with pytest.raises(DataError, match=r"no image.*jpg"):
        read_folder(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="missing does not exist"):
        read_folder(tmp_path / "missing")
    with pytest.raises(DataError, match="is not a folder"):
        read_folder(fill(tmp_path, "a.jpg") / "a.jpg")
