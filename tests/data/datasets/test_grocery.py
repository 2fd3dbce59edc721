import tarfile

import pytest

from ordhash.data.datasets import DATASETS, read_grocery
from ordhash.errors import DataError

CLASSES = """Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int)
Royal-Gala,0,Apple,0
Leek,2,Leek,1
Pink-Lady,1,Apple,0
"""
LISTS = {
    "train.txt": "train/Fruit/Apple/Royal-Gala/Royal-Gala_001.jpg, 0, 0\ntrain/Vegetables/Leek/Leek_001.jpg, 2, 1\n",
    "val.txt": "val/Fruit/Apple/Pink-Lady/Pink-Lady_001.jpg, 1, 0\n",
    "test.txt": "test/Vegetables/Leek/Leek_001.jpg, 2, 1\ntest/Fruit/Apple/Royal-Gala/Royal-Gala_002.jpg, 0, 0\n",
}


def tree(root, **changes):
    root.mkdir(parents=True, exist_ok=True)
    for name, content in ({"classes.csv": CLASSES} | LISTS | changes).items():
        (root / name).write_bytes(content.encode())
    for content in LISTS.values():
        for line in content.splitlines():
            path = root / line.split(",")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(path.name)
    return root


def check(folder):
    parts = read_grocery(folder)
    assert list(parts) == ["train", "val", "test"]
    assert parts["test"].keys.tolist() == ["test/Vegetables/Leek/Leek_001.jpg", LISTS["test.txt"].split("\n")[1][:-6]]
    assert parts["train"].labels.tolist() == [[True, False, False], [False, False, True]]
    assert parts["val"].labels.tolist() == [[False, True, False]]
    for part in parts.values():
        assert part.class_names == ("Royal-Gala", "Pink-Lady", "Leek")
        assert [path.read_text() for path in part.images] == [key.rsplit("/")[-1] for key in part.keys]
    assert parts["test"].metadata["coarse"].to_pylist() == ["Leek", "Apple"]


@pytest.mark.parametrize("place", ["", "grocery", "dataset", "GroceryStoreDataset/dataset"])
def test_grocery_from_its_folder_and_as_the_official_repository_has_it(tmp_path, place):
    tree(tmp_path / place)
    check(tmp_path)


def test_grocery_with_windows_lines_official_columns_and_leading_slashes(tmp_path):
    header, *rows = CLASSES.splitlines()
    classes = "\r\n".join([f"{header},Iconic Image Path (str)", *(f"{row},/iconic.jpg" for row in rows), ""])
    lists = {name: "".join(f"/{line}\r\n" for line in text.splitlines()) + "\r\n" for name, text in LISTS.items()}
    tree(tmp_path, **{"classes.csv": classes}, **lists)
    check(tmp_path)


def test_grocery_from_its_archive_unpacked_once(tmp_path):
    tree(tmp_path / "made" / "grocery")
    folder = tmp_path / "data"
    folder.mkdir()
    with tarfile.open(folder / "grocery.tar", "w") as archive:
        archive.add(tmp_path / "made" / "grocery", "grocery")
    check(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["grocery", "grocery.tar"]
    (folder / "grocery.tar").write_bytes(b"not looked at again")
    check(folder)


def test_grocery_that_is_not_there(tmp_path):
    for attempt in (read_grocery, DATASETS["grocery"].get):
        with pytest.raises(DataError, match=r"your copy of grocery\.tar .*marcusklasson/GroceryStoreDataset"):
            attempt(tmp_path)
    (tmp_path / "grocery.tar").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"grocery\.tar cannot be unpacked .*"):
        read_grocery(tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"val.txt": "val/a.jpg, 3, 0\n"}, "'val/a.jpg, 3, 0', not a path and the numbers of two classes"),
        ({"val.txt": "val/a.jpg, -1, 0\n"}, "not a path and the numbers of two classes"),
        ({"val.txt": "val/a.jpg, 1\n"}, "not a path and the numbers of two classes"),
        ({"val.txt": "val/a.jpg, x, 0\n"}, "invalid literal"),
        ({"val.txt": LISTS["val.txt"] * 2}, r"val\.txt names a photograph twice"),
        ({"classes.csv": "Name,Number\na,0\n"}, "Class ID"),
        ({"classes.csv": CLASSES.replace("Leek,2", "Leek,3")}, r"does not number its classes from 0"),
        ({"classes.csv": CLASSES.replace("Leek,2", "Leek,two")}, "invalid literal"),
    ],
)
def test_grocery_with_damaged_lists(tmp_path, changes, reason):
    tree(tmp_path, **changes)
    with pytest.raises(DataError, match=rf"lists in .* are incomplete or damaged \(.*{reason}.*"):
        read_grocery(tmp_path)


def test_grocery_in_pieces(tmp_path):
    tree(tmp_path)
    (tmp_path / "train/Vegetables/Leek/Leek_001.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 2 photographs of train\.txt .* \(such as .*Leek_001\.jpg\)"):
        read_grocery(tmp_path)
    tree(tmp_path)
    (tmp_path / "val.txt").unlink()
    with pytest.raises(DataError, match="incomplete or damaged"):
        read_grocery(tmp_path)
