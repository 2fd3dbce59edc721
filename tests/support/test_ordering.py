"""The order of names with numbers."""

import random

from ordhash.support import natural_order


def test_numbers_count_as_numbers_wherever_they_stand():
    names = [
        "edges soft",
        "share 0.5 %",
        "share 5-10 %",
        "share 10-20 %",
        "share 10-100 %",
        "10",
        "2",
        "",
        "2 b 3",
        "x",
    ]
    wanted = [
        "",
        "2",
        "2 b 3",
        "10",
        "edges soft",
        "share 0.5 %",
        "share 5-10 %",
        "share 10-20 %",
        "share 10-100 %",
        "x",
    ]
    random.Random(0).shuffle(names)
    assert sorted(names, key=natural_order) == wanted
