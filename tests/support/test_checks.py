from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from ordhash.errors import ImageError, InputError
from ordhash.support.checks import check_types, integer_at_least, some_usable


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2), np.array(2)])
@pytest.mark.parametrize("least", [-1, 0, 2])
def test_integers_of_every_kind_become_ints(value, least):
    found = integer_at_least(value, least, "k")
    assert (type(found), found) == (int, 2)


@pytest.mark.parametrize(
    ("value", "shown"), [(1.0, "1.0"), ("1", "'1'"), (None, "None"), ([1], r"\[1\]"), (float("nan"), "nan")]
)
def test_what_is_no_integer_is_refused(value, shown):
    with pytest.raises(InputError, match=f"^k is {shown};.* at least 0$"):
        integer_at_least(value, 0, "k")


@pytest.mark.parametrize(("value", "least"), [(0, 1), (-1, 0), (np.int8(-3), -2)])
def test_what_is_too_small_is_refused(value, least):
    with pytest.raises(InputError, match=f"^radius is {value};.* at least {least}$"):
        integer_at_least(value, least, "radius")


def test_one_usable_image_is_enough_and_none_is_refused_with_the_first_reason():
    failures = [ImageError("a.jpg", "the file is empty"), ImageError("b.jpg", "it is a text")]
    some_usable(1, failures)  # raises nothing, and with one image fewer does
    with pytest.raises(InputError, match=r"none of the 2 images .* \(a\.jpg: the file is empty\)") as raised:
        some_usable(0, failures)
    assert "b.jpg" not in str(raised.value)


def test_no_images_at_all_are_refused_without_a_reason():
    with pytest.raises(InputError, match="none of the 0 images can be used;"):
        some_usable(0, [])


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "allowed"),
    [
        (int, [0, -3], [True, 1.0, "1", None], "whole numbers"),
        (float, [0, 0.5, float("nan")], [False, "0.5"], "numbers"),
        (bool, [True, False], [0, "no"], "true and false"),
        (str, ["", "a"], [1, ["a"]], "texts"),
        (int | None, [3, None], [False, "3"], "whole numbers and None"),
        (bool | Literal["spread"], [True, "spread"], [1, "spred"], "true, false and 'spread'"),
        (Literal["pretrained"] | Path | None, ["pretrained", Path("a"), None], ["a"], "'pretrained', Path and None"),
        (list[int], [[], [1, 2]], [1, [1, "2"], (1,)], "lists of whole numbers"),
        (dict[str, Any], [{}, {"a": 1}], [1, ["a"]], "tables"),
        (list[dict[str, Any]], [[{}]], [{}, ["a"]], "lists of tables"),
    ],
)
def test_values_are_of_the_types_they_are_declared_with(kind, right, wrong, allowed):
    for value in right:
        check_types({"given": value, "unknown": object()}, {"given": kind, "missing": int})
    for value in wrong:
        with pytest.raises(InputError, match=f"^given is .*; allowed are {allowed}$"):
            check_types({"given": value}, {"given": kind})
