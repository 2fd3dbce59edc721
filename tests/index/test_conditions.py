import datetime

import numpy as np
import pyarrow as pa
import pytest

from ordhash.codes.codes import OrdinalCodes
from ordhash.errors import InputError
from ordhash.index import OrdinalIndex
from ordhash.index.conditions import Condition, rows_that_meet


@pytest.fixture
def index():
    times = [datetime.datetime(2024, month, 1, tzinfo=datetime.UTC) for month in (1, 5, 9)]
    metadata = pa.table(
        {
            "labels": pa.array(["cat", "dog;Cat", None]),
            "size": pa.array([10, 200, 3000]),
            "score": pa.array([0.5, -1.0, None]),
            "sharp": pa.array([True, False, None]),
            "taken": pa.array(times, pa.timestamp("us", "UTC")),
            "day": pa.array([time.date() for time in times]),
            "colour": pa.array(["red", "blue", "red"]).dictionary_encode(),
            "parts": pa.array([[1], [2], [3]]),
        }
    )
    return OrdinalIndex(OrdinalCodes.from_symbols(np.zeros((3, 2), np.uint8), arity=4), ["a", "b", "c"], metadata)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("labels=cat", "100"),
        ("labels!=cat", "010"),
        ("labels~CAT", "110"),
        ("labels~.", "000"),  # a text, not a pattern
        ("size>=200", "011"),
        ("size<200", "100"),
        ("size<=10", "100"),
        ("size>10", "011"),
        ("score>-2", "110"),
        ("sharp=true", "100"),
        ("taken>=2024-05-01", "011"),
        ("taken<2024-05-01 00:00:01", "110"),
        ("day=2024-09-01", "001"),
        ("colour=red", "101"),
        ("labels=", "000"),
    ],
)
def test_rows_that_meet_a_condition(text, expected, index):
    assert "".join(str(int(one)) for one in rows_that_meet(index, [Condition.parse(text)])) == expected


def test_all_conditions_must_hold(index):
    conditions = [Condition.parse(text) for text in ("size>=200", "labels~cat")]
    assert rows_that_meet(index, conditions).tolist() == [False, True, False]
    assert rows_that_meet(index, []) is None


def test_a_value_may_hold_signs():
    assert Condition.parse("name=a=b") == Condition("name", "=", "a=b")
    assert Condition.parse("name~<x>\n") == Condition("name", "~", "<x>\n")
    assert Condition.parse("size >= 100") == Condition("size", ">=", "100")


@pytest.mark.parametrize("text", ["labels", "", "=cat", "~"])
def test_texts_that_say_no_condition(text):
    with pytest.raises(InputError, match="give COLUMN, one of = != < <= > >= ~, and a value, as in labels=cat"):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("label=cat", "there is no column 'label'; the index has labels, size, .*; did you mean labels?"),
        ("size=two", "column 'size' cannot be compared by = with 'two'; its values are int64"),
        ("size~2", "column 'size' cannot be compared by ~ with '2'; its values are int64"),
        ("taken>noon", "column 'taken' cannot be compared by > with 'noon'"),
        ("parts=1", "column 'parts' cannot be compared by = with '1'"),
    ],
)
def test_conditions_that_do_not_go_with_the_metadata(text, sentence, index):
    with pytest.raises(InputError, match=sentence):
        rows_that_meet(index, [Condition.parse(text)])


def test_an_index_without_metadata():
    index = OrdinalIndex(OrdinalCodes.from_symbols([[0, 1]], arity=4))
    with pytest.raises(InputError, match="there is no column 'x'; the index has no columns"):
        rows_that_meet(index, [Condition.parse("x=1")])
