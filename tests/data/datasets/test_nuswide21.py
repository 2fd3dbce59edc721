import numpy as np
import pytest

from ordhash.data.datasets import DATASETS, read_nuswide21
from ordhash.errors import DataError

CONCEPTS = [f"concept{number:02d}" for number in range(81)]
N = 200
WORDS = ("actor", "zoo")
NAMES = [f"{WORDS[row % 2]}\\{row // 2:04d}_{7000 + row}.jpg" for row in range(N)]


def labels():
    """bool (N, 81): concept c is carried by the first c images of those from 20 on; 0 and 80 by none and by 80."""
    return (np.arange(N)[:, None] >= 20) & (np.arange(N)[:, None] - 20 < np.arange(81))


def tree(root, end="\n", place="Flickr", absent=(), lists="ImageList/Imagelist.txt", **changes):
    for folder in ("ImageList", "Groundtruth/AllLabels", place):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / lists).write_bytes("".join(name + end for name in NAMES).encode())
    (root / "ImageList" / "TrainImagelist.txt").write_bytes(b"not read")
    (root / "Concepts81.txt").write_bytes(b"not read")
    for name, column in zip(CONCEPTS, labels().T, strict=True):
        text = changes.get(name, "".join(f"{int(value)}{end}" for value in column))
        if text is not None:
            (root / "Groundtruth" / "AllLabels" / f"Labels_{name}.txt").write_bytes(text.encode())
    for row, name in enumerate(NAMES):
        if row not in absent:
            path = root / place / name.replace("\\", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(str(row))
    return root


def check(folder, absent=()):
    parts = read_nuswide21(folder)
    # The 21 most frequent are concepts 60 to 80; images 20 to 99 carry one.
    for part, rows in (
        ("all", [row for row in range(20, 100) if row not in absent]),
        ("missing", [row for row in range(20, 100) if row in absent]),
    ):
        images = parts[part]
        assert images.class_names == tuple(CONCEPTS[60:])
        assert images.keys.tolist() == [NAMES[row].replace("\\", "/") for row in rows]
        np.testing.assert_array_equal(images.labels, labels()[rows, 60:])
        if part == "all":
            assert [int(path.read_text()) for path in images.images] == rows


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_nuswide21_with_line_ends_of_either_kind(tmp_path, end):
    check(tree(tmp_path, end))


@pytest.mark.parametrize("lists", ["ImageList/Imagelist.txt", "ImageList/ImageList.txt"])
@pytest.mark.parametrize("place", ["Flickr", "images"])
def test_nuswide21_as_people_have_it(tmp_path, place, lists):
    check(tree(tmp_path, place=place, lists=lists))


def test_nuswide21_with_all_images_in_one_folder(tmp_path):
    tree(tmp_path, place="images")
    for path in list((tmp_path / "images").glob("*/*.jpg")):
        path.rename(tmp_path / "images" / path.name)
    check(tmp_path)


def test_nuswide21_leaves_out_and_counts_images_that_are_not_there(tmp_path):
    absent = {0, 25, 26, 99, 150}
    check(tree(tmp_path, absent=absent), absent)
    assert len(read_nuswide21(tmp_path)["missing"]) == 3


def test_nuswide21_concepts_do_not_depend_on_the_copy(tmp_path):
    absent = set(range(30, 100))
    check(tree(tmp_path, absent=absent), absent)


def test_nuswide21_equal_counts_go_by_name(tmp_path):
    same = "".join(f"{int(row >= 20 and row < 80)}\n" for row in range(N))
    tree(tmp_path, concept10=same)  # as frequent as concept60, and before it
    names = read_nuswide21(tmp_path)["all"].class_names
    assert names == ("concept10", *CONCEPTS[61:])


def test_nuswide21_that_is_not_there(tmp_path):
    for attempt in (read_nuswide21, DATASETS["nuswide21"].get):
        with pytest.raises(DataError, match=r"NUS-WIDE .*ImageList/Imagelist\.txt"):
            attempt(tmp_path)
    tree(tmp_path, absent=set(range(N)))
    with pytest.raises(DataError, match=r"none of the 80 images with one of the 21 concepts .*\(such as .*\.jpg\)"):
        read_nuswide21(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"concept07": None}, r"AllLabels holds 80 files Labels_\*\.txt, not 81; unpack it again"),
        ({"concept07": "0\n" * (N - 1)}, r"Labels_concept07\.txt holds 199 values for the 200 images of the list"),
        ({"concept07": "0\n" * (N + 1)}, r"holds 201 values for the 200 images"),
        ({"concept07": "2\n" * N}, r"Labels_concept07\.txt holds other values than 0 and 1"),
        ({"concept07": "-1\n" * N}, r"holds other values than 0 and 1"),
        ({"concept07": "10\n" * N}, r"holds 400 values for the 200 images"),
    ],
)
def test_nuswide21_lists_that_do_not_fit(tmp_path, changes, sentence):
    tree(tmp_path, **changes)
    with pytest.raises(DataError, match=sentence):
        read_nuswide21(tmp_path)


def test_nuswide21_list_damaged(tmp_path):
    tree(tmp_path)
    path = tmp_path / "ImageList" / "Imagelist.txt"
    path.write_text("\n".join([*NAMES[:-1], NAMES[0]]))
    with pytest.raises(DataError, match=r"Imagelist\.txt names an image twice"):
        read_nuswide21(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"Imagelist\.txt cannot be read"):
        read_nuswide21(tmp_path)
