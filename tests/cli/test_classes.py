"""What a training says of its classes."""

import numpy as np
import pytest

from ordhash.cli.classes import check_classes, say_classes
from ordhash.data import ImageSet
from ordhash.data.folders import folder_set
from ordhash.errors import InputError


def images(*keys, classes="auto"):
    return folder_set(keys, "set", str, classes)


def test_parts_of_a_data_set_are_refused():
    with pytest.raises(InputError, match=r"train, val.*give set/train"):
        check_classes("set", images("train/cat/1.jpg", "val/cat/2.jpg"))


def test_two_ways_to_read_a_folder_are_told(capsys):
    nested = ("fruit/apple/1.jpg", "fruit/pear/2.jpg", "milk/oat/3.jpg")
    check_classes("set", images(*nested))
    assert "--classes top takes 2" in capsys.readouterr().err
    check_classes("set", images(*nested, classes="top"))
    assert "--classes leaf takes 3" in capsys.readouterr().err
    check_classes("set", images("cat/1.jpg", "dog/2.jpg"))
    check_classes("set", images("1.jpg"))
    assert capsys.readouterr().err == ""


def test_classes_are_listed_with_their_images(capsys):
    say_classes(images("cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "4.jpg"))
    said = capsys.readouterr().err
    assert "2 classes: cat 2, dog 1" in said
    assert "1 of 4 images" in said
    names = tuple(f"class {n:03d}" for n in range(100))
    say_classes(ImageSet(["x"] * 100, labels=np.eye(100, dtype=bool), class_names=names))
    said = capsys.readouterr().err
    assert "class 039 1" in said
    assert "and 60 more with 1 to 1 each" in said
    say_classes(images("1.jpg"))
    assert capsys.readouterr().err == ""
