import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ordhash.data.cells import labels_of_column, names_of_column
from ordhash.errors import DataError

LISTS = [["cat", "dog"], [], None, ["cat", None, " x "]]
AS_LISTS = [["cat", "dog"], [], [], ["cat", "x"]]
TEXT = pa.string()


def table_of(values, kind=None):
    return pa.table({"labels": values if isinstance(values, pa.Array) else pa.array(values, kind)})


@pytest.mark.parametrize(
    "values",
    [
        pa.array(LISTS),
        pa.array(LISTS, pa.large_list(pa.large_string())),
        pa.array(LISTS, pa.list_(pa.string_view())),
        pa.array(LISTS, pa.list_view(TEXT)),
        pa.array(LISTS, pa.large_list_view(TEXT)),
        pa.array(LISTS, pa.list_(pa.dictionary(pa.int8(), TEXT))),
        pa.array(LISTS, pa.list_(pa.binary())),
        pa.array([["a"], ["b"], *LISTS]).slice(2),
    ],
    ids=lambda values: str(values.type),
)
def test_lists_are_the_labels_of_an_image(values):
    assert labels_of_column(table_of(values), "labels", "m") == AS_LISTS
    chunked = pa.table({"labels": pa.chunked_array([values[:1], values[1:]])})
    assert labels_of_column(chunked, "labels", "m") == AS_LISTS


def test_lists_of_one_length():
    values = pa.array([["a", "b"], None, ["c", None]], pa.list_(TEXT, 2))
    assert labels_of_column(table_of(values), "labels", "m") == [["a", "b"], [], ["c"]]
    assert labels_of_column(table_of(values.slice(1)), "labels", "m") == [[], ["c"]]


NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "kind", "labels"),
    [
        (["a;b", "", None], TEXT, [["a", "b"], [], []]),
        (["[sic]", "it's (a 'b')", "'quoted'"], TEXT, [["[sic]"], ["it's (a 'b')"], ["'quoted'"]]),
        ([1, -2, None], pa.int8(), [["1"], ["-2"], []]),
        ([[1, None], [2]], pa.list_(pa.uint64()), [["1"], ["2"]]),
        ([1.0, NAN, None, 3.0], pa.float64(), [["1"], [], [], ["3"]]),
        ([2.0, None], pa.float16(), [["2"], []]),
        ([[1.0, NAN]], pa.list_(pa.float32()), [["1"]]),
        ([decimal.Decimal("3.00"), None], pa.decimal128(5, 2), [["3"], []]),
        ([True, None, False], pa.bool_(), [["true"], [], ["false"]]),
        ([datetime.date(2024, 6, 1), None], pa.date32(), [["2024-06-01"], []]),
        (["käse".encode(), None], pa.binary(), [["käse"], []]),
        ([None, None], pa.null(), [[], []]),
        (pc.run_end_encode(pa.array(["a", "a", None])), None, [["a"], ["a"], []]),
        (pa.array(["a", None, "a;b"]).dictionary_encode(), None, [["a"], [], ["a", "b"]]),
    ],
)
def test_values_as_a_person_would_write_them(values, kind, labels):
    assert labels_of_column(table_of(values, kind), "labels", "m") == labels


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([{"a": "cat"}], pa.struct([("a", TEXT)])),
        ([[("a", 1)]], pa.map_(TEXT, pa.int64())),
        ([[["cat"]]], pa.list_(pa.list_(TEXT))),
        ([[{"a": 1}]], None),
        ([0.5], pa.float64()),
        ([float("inf")], pa.float64()),
        ([decimal.Decimal("1.50")], None),
        ([b"\xff"], pa.binary()),
        (["['cat', 'dog']"], TEXT),
        (['["cat"]'], TEXT),
        ([" [] "], TEXT),
        (["{'cat'}"], TEXT),
        (["('cat',)"], TEXT),
        ([datetime.datetime(2024, 6, 1, 12)], pa.timestamp("us")),
        ([datetime.time(12)], pa.time64("us")),
        ([5], pa.duration("s")),
        ([3_000_000_000], pa.date64()),
        ([2_000_000_000], pa.date32()),
    ],
)
def test_what_nobody_writes_as_a_label_is_refused(values, kind):
    if kind == pa.date64():
        values = pa.array([10**15], pa.int64()).cast(pa.date64(), safe=False)
    elif kind == pa.date32():
        values = pa.array(values, pa.int32()).cast(kind)
    with pytest.raises(
        DataError, match=r"column 'labels' of m\.parquet (is|has) .*(convert|write texts|separate labels by ;)"
    ):
        labels_of_column(table_of(values, kind), "labels", "m.parquet")


@pytest.mark.parametrize(
    ("values", "kind", "names"),
    [
        (["a", None, ""], pa.large_string(), ["a", "", ""]),
        ([7, None], pa.int32(), ["7", ""]),
        ([b"a.jpg"], pa.binary(), ["a.jpg"]),
        ([None], pa.null(), [""]),
        (pa.array(["a", "a"]).dictionary_encode(), None, ["a", "a"]),
        (["['a']"], TEXT, ["['a']"]),
    ],
)
def test_names(values, kind, names):
    assert names_of_column(table_of(values, kind), "labels", "m") == names


@pytest.mark.parametrize("values", [[1.0], [True], [["a"]], [datetime.date(2024, 1, 1)], [{"a": 1}], [b"\xff"]])
def test_what_names_nothing_is_refused(values):
    with pytest.raises(DataError, match=r"column 'labels' of m\.parquet"):
        names_of_column(table_of(values), "labels", "m.parquet")


def with_features(table, features):
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


CLASSES = {"names": ["cat", "dog"], "_type": "ClassLabel"}
TWO_IN_ONE = {"names": ["cat;dog", "b\u037ec"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("values", "feature", "labels"),
    [
        ([1, 0, -1, None], CLASSES, [["dog"], ["cat"], [], []]),
        ([[1, 0], []], {"feature": CLASSES, "_type": "Sequence"}, [["dog", "cat"], []]),
        ([[1, -1]], {"feature": CLASSES, "_type": "List"}, [["dog"]]),
        ([[0], None], [CLASSES], [["cat"], []]),
        ([1], {"dtype": "int64", "_type": "Value"}, [["1"]]),
        ([1], {"num_classes": 2, "_type": "ClassLabel"}, [["1"]]),
        (["dog"], CLASSES, [["dog"]]),
        ([1], 5, [["1"]]),
        ([1], [], [["1"]]),
    ],
)
def test_classes_of_hugging_face(values, feature, labels):
    assert labels_of_column(with_features(table_of(values), {"labels": feature}), "labels", "m") == labels


@pytest.mark.parametrize(
    ("values", "feature"),
    [([0], TWO_IN_ONE), ([1], TWO_IN_ONE), ([[0]], [TWO_IN_ONE]), ([["cat;dog"]], None), ([["b\u037ec"]], None)],
)
def test_a_label_that_would_become_two_is_refused(values, feature):
    with pytest.raises(DataError, match=r"column 'labels' of m has the label .*; separates labels"):
        labels_of_column(with_features(table_of(values), {"labels": feature}), "labels", "m")


def test_a_class_without_a_name():
    with pytest.raises(DataError, match="the class 2 in column 'labels', and names for 2"):
        labels_of_column(with_features(table_of([2]), {"labels": CLASSES}), "labels", "m")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"info": null}', "\xff"])
def test_notes_of_others_in_the_schema_are_left_alone(text):
    table = table_of([1]).replace_schema_metadata({b"huggingface": text.encode("latin-1")})
    assert labels_of_column(table, "labels", "m") == [["1"]]
