import shutil
import tarfile

import pytest

from ordhash.data.datasets import DATASETS, read_corel5k
from ordhash.errors import DataError

COREL = {
    "labels/words": "sky\nsea\ntiger\n",
    "labels/training_label": "1000 1 2\n1001 3\n",
    "labels/test_label": "161092 1\n2000 2\n161092 3\n",
    "images/1000/1000.jpeg": "a",
    "images/1000/1001.jpeg": "b",
    "images/161000/161092.jpeg": "c",
    "images/2000/2000.jpeg": "d",
}


def corel_tree(root, **changes):
    for name, content in (COREL | changes).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def corel_archive(root, folder):
    corel_tree(root / "corel5k")
    folder.mkdir()
    with tarfile.open(folder / "corel5k.tar", "w") as archive:
        archive.add(root / "corel5k", "corel5k")
    return folder


def check_corel(folder):
    parts = read_corel5k(folder)
    train, test = parts["train"], parts["test"]
    assert train.keys.tolist() == [1000, 1001]
    assert train.labels.tolist() == [[True, True, False], [False, False, True]]
    assert test.keys.tolist() == [2000, 161092]
    assert test.labels.tolist() == [[False, True, False], [True, False, True]]
    assert train.class_names == test.class_names == ("sky", "sea", "tiger")
    assert [path.read_text() for path in (*train.images, *test.images)] == ["a", "b", "d", "c"]


def test_corel5k_from_its_folders(tmp_path):
    check_corel(corel_tree(tmp_path))


def test_corel5k_from_its_archive_unpacked_once(tmp_path):
    folder = corel_archive(tmp_path, tmp_path / "data")
    check_corel(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["corel5k.tar", "images", "labels"]
    (folder / "corel5k.tar").write_bytes(b"not looked at again")
    check_corel(folder)


def test_corel5k_after_an_interrupted_unpacking(tmp_path):
    folder = corel_archive(tmp_path, tmp_path / "data")
    shutil.copytree(tmp_path / "corel5k" / "images", folder / "images")
    (folder / "unpacked.partial" / "corel5k" / "labels").mkdir(parents=True)
    check_corel(folder)


@pytest.mark.parametrize("name", ["../outside", "corel5k/../../outside", "/outside"])
def test_corel5k_archive_cannot_write_outside_its_folder(tmp_path, name):
    folder = corel_archive(tmp_path, tmp_path / "data")
    with tarfile.open(folder / "corel5k.tar", "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(DataError, match=r"cannot be unpacked .*leads out of"):
        read_corel5k(folder)
    assert not (tmp_path / "outside").exists()


def test_corel5k_that_is_not_there_or_in_pieces(tmp_path):
    with pytest.raises(DataError, match=r"may not be redistributed.*put your copy into"):
        read_corel5k(tmp_path)
    for content in (b"", b"not a tar" * 100):
        (tmp_path / "corel5k.tar").write_bytes(content)
        with pytest.raises(DataError, match=r"corel5k\.tar cannot be unpacked"):
            read_corel5k(tmp_path)
    (tmp_path / "corel5k.tar").unlink()
    corel_tree(tmp_path)
    (tmp_path / "labels" / "words").unlink()
    with pytest.raises(DataError, match="labels is incomplete or damaged"):
        read_corel5k(tmp_path)


@pytest.mark.parametrize("line", ["1000 4", "1000 0", "1000 -1", "1000 x", "a"])
def test_corel5k_with_a_word_that_there_is_not(tmp_path, line):
    corel_tree(tmp_path, **{"labels/training_label": f"1001 1\n{line}\n"})
    with pytest.raises(DataError, match="labels is incomplete or damaged"):
        read_corel5k(tmp_path)


def test_corel5k_without_words_and_with_blank_lines(tmp_path):
    corel_tree(tmp_path, **{"labels/training_label": "1000\n \n1001 2\n\n"})
    assert read_corel5k(tmp_path)["train"].labels.tolist() == [[False] * 3, [False, True, False]]


def test_corel5k_is_never_fetched(tmp_path):
    with pytest.raises(DataError, match="may not be redistributed"):
        DATASETS["corel5k"].get(tmp_path)
    assert list(tmp_path.iterdir()) == []
