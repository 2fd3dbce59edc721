import numpy as np
import pytest

from ordhash.data.datasets import DATASETS, mirflickr25k, read_mirflickr25k
from ordhash.data.datasets.mirflickr25k import CONCEPTS, RELEVANT_CONCEPTS
from ordhash.errors import DataError

N = 12


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(mirflickr25k, "N_IMAGES", N)


def tree(root, pictures="mirflickr", lists="mirflickr25k_annotations_v080", **changes):
    """Image i (from 1) carries the concept number i mod 24, image 2 also sky; 5 and 12 carry none."""
    for folder in (pictures, lists):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(1, N + 1):
        (root / pictures / f"im{number}.jpg").write_text(str(number))
    texts = dict.fromkeys((*CONCEPTS, *RELEVANT_CONCEPTS), "")
    for number in range(1, N + 1):
        if number not in (5, 12):
            texts[CONCEPTS[number]] += f"{number}\n"
    texts |= {"sky": "2\n", "baby_r1": "1\n", "README": "24 concepts, 9999 images", "doc": "not a concept"} | changes
    for name, text in texts.items():
        (root / lists / f"{name}.txt").write_bytes(text.encode())
    return root


def check(folder):
    parts = read_mirflickr25k(folder)
    assert list(parts) == ["all"]
    images = parts["all"]
    assert images.keys.tolist() == [f"im{number}" for number in range(1, N) if number != 5]
    assert [path.read_text() for path in images.images] == [key[2:] for key in images.keys]
    assert images.class_names == (*CONCEPTS, *RELEVANT_CONCEPTS)
    assert len(images.class_names) == 38
    names = [{images.class_names[i] for i in np.flatnonzero(row)} for row in images.labels]
    assert names[:3] == [{"baby", "baby_r1"}, {"bird", "sky"}, {"car"}]
    assert images.labels.sum() == 12


@pytest.mark.parametrize(
    ("pictures", "lists"),
    [
        ("mirflickr", "mirflickr25k_annotations_v080"),
        ("images", "annotations"),
        ("mirflickr", "mirflickr/annotations"),
        ("mirflickr25k/mirflickr", "mirflickr25k/mirflickr25k_annotations_v080"),
    ],
)
def test_mirflickr25k_as_people_unpack_it(tmp_path, pictures, lists):
    check(tree(tmp_path, pictures, lists))


def test_mirflickr25k_with_windows_lines_and_an_image_named_twice(tmp_path):
    check(tree(tmp_path, sky="2\r\n2\r\n", baby_r1="1\r\n\r\n"))


def test_mirflickr25k_that_is_not_there(tmp_path):
    for attempt in (read_mirflickr25k, DATASETS["mirflickr25k"].get):
        with pytest.raises(
            DataError, match=r"unpack mirflickr25k\.zip and mirflickr25k_annotations_v080\.zip of https"
        ):
            attempt(tmp_path)


def test_mirflickr25k_in_pieces(tmp_path):
    tree(tmp_path)
    (tmp_path / "mirflickr" / "im7.jpg").unlink()
    (tmp_path / "mirflickr" / "im9.jpg").unlink()
    with pytest.raises(DataError, match=r"2 of the 12 images .* \(such as im7\.jpg\); unpack mirflickr25k"):
        read_mirflickr25k(tmp_path)
    tree(tmp_path)
    (tmp_path / "mirflickr25k_annotations_v080" / "tree_r1.txt").unlink()
    with pytest.raises(DataError, match=r"tree_r1\.txt is missing or damaged .*; unpack the annotations again"):
        read_mirflickr25k(tmp_path)


@pytest.mark.parametrize("line", ["0", "13", "-1"])
def test_mirflickr25k_with_an_image_that_there_is_not(tmp_path, line):
    tree(tmp_path, water=f"1\n{line}\n")
    with pytest.raises(DataError, match=rf"water\.txt names image {line}; images count from 1 to 12"):
        read_mirflickr25k(tmp_path)


def test_mirflickr25k_with_a_line_that_is_no_number(tmp_path):
    tree(tmp_path, water="1\nim2\n")
    with pytest.raises(DataError, match=r"water\.txt is missing or damaged \(invalid literal"):
        read_mirflickr25k(tmp_path)
