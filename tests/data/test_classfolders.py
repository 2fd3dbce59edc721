"""Which folders are classes, for the ways in which people lay out data sets."""

import pytest

from ordhash.data.classfolders import class_folders, parts_of_a_set

AUTO = {
    "classes": (["cat/1.jpg", "dog/2.jpg"], ["cat", "dog"]),
    "no folders": (["1.jpg", "2.jpg"], ["", ""]),
    "beside classes": (["0.jpg", "cat/1.jpg"], ["", "cat"]),
    "years below classes": (["cat/2020/1.jpg", "cat/2021-05/2.jpg", "dog/2020/3.jpg"], ["cat", "cat", "dog"]),
    "some deeper": (["cat/2020/05/1.jpg", "cat/2.jpg", "dog/x/3.jpg"], ["cat", "cat", "dog"]),
    "groups": (["fruit/apple/1.jpg", "fruit/pear/2.jpg", "milk/oat/3.jpg"], ["fruit/apple", "fruit/pear", "milk/oat"]),
    "groups of uneven depth": (["fruit/apple/red/1.jpg", "fruit/pear/2.jpg"], ["fruit/apple/red", "fruit/pear"]),
    "a class with sub-folders in a group": (["fruit/pear/2.jpg", "fruit/pear/old/1.jpg"], ["fruit/pear"] * 2),
    "parts": (["train/cat/1.jpg", "val/cat/2.jpg", "Test/dog/3.jpg"], ["cat", "cat", "dog"]),
    "one part": (["train/cat/1.jpg", "train/dog/2.jpg"], ["cat", "dog"]),
    "parts and groups": (["train/fruit/apple/1.jpg", "val/fruit/pear/2.jpg"], ["fruit/apple", "fruit/pear"]),
    "parts without classes": (["train/1.jpg", "test/2.jpg"], ["", ""]),
    "parts below classes": (["cat/train/1.jpg", "dog/test/2.jpg"], ["cat", "dog"]),
    "trains": (["train/1.jpg", "car/2.jpg"], ["train", "car"]),
}


@pytest.mark.parametrize(("keys", "expected"), AUTO.values(), ids=AUTO.keys())
def test_what_looks_right(keys, expected):
    assert class_folders(keys) == expected


def test_top_and_leaf_as_asked():
    keys = ["fruit/apple/1.jpg", "fruit/2.jpg", "cat/2020/3.jpg", "4.jpg"]
    assert class_folders(keys, "top") == ["fruit", "fruit", "cat", ""]
    assert class_folders(keys, "leaf") == ["fruit", "fruit", "cat/2020", ""]


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train", "val"), ["train", "val"]),
        (("training_set", "test2017", "annotations"), ["test2017", "training_set"]),
        (("train",), ["train"]),
        (("train", "car", "ship"), []),
        (("trainers", "valves"), []),
        ((), []),
    ],
)
def test_parts_of_a_data_set(names, parts):
    assert parts_of_a_set([f"{name}/x/1.jpg" for name in names]) == parts
