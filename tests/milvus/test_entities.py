"""Rows as Milvus keeps them: what goes in comes out, and expressions say what conditions mean."""

import datetime as dt
import json
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.codes import OrdinalCodes
from ordhash.errors import InputError
from ordhash.index import OrdinalIndex
from ordhash.index.conditions import Condition, rows_that_meet
from ordhash.milvus.entities import DIGESTS, Columns, any_of, digest_of, literal

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)

METADATA = pa.table(
    {
        "size": pa.array([1, -2, 3], pa.int32()),
        "share": pa.array([0.5, 1.5, -2.0], pa.float32()),
        "labels": pa.array(["cat;dog", None, ""], pa.string()),
        "kept": pa.array([True, False, True]),
        "modified": pa.array([NOON, NOON, NOON], pa.timestamp("us", "UTC")),
        "day": pa.array([dt.date(2024, 5, 1)] * 3, pa.date32()),
        "at": pa.array([dt.time(1, 2, 3)] * 3, pa.time64("us")),
        "with space": pa.array([1, 2, 3]),
        "in": pa.array([1, 2, 3]),
        "noise": pa.array([1.0, float("nan"), 2.0]),
        "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
        "nothing": pa.nulls(3),
    }
)


def test_columns_without_gaps_and_with_plain_names_are_scalar_fields():
    assert Columns.of(METADATA).scalars == {"size", "share", "kept", "modified", "day", "at", "kind"}


def test_values_come_back_with_their_types():
    columns = Columns.of(METADATA)
    rows = columns.rows(METADATA, 3)
    json.dumps(rows)  # nothing that a server could not be sent
    back = columns.metadata(rows)
    expected = METADATA.set_column(9, "noise", pa.array([1.0, None, 2.0]))
    expected = expected.set_column(10, "kind", pa.array(["a", "b", "a"]))
    expected = expected.set_column(11, "nothing", pa.nulls(3, pa.string()))
    assert back.to_pylist() == expected.to_pylist()
    assert back.schema.equals(expected.schema)


def test_labels_are_kept_one_by_one_and_texts_composed():
    metadata = pa.table({"labels": ["sea; Mo\u0308we", "", None, " ; "], "folder": ["Mo\u0308we"] * 4})
    columns = Columns.of(metadata)
    rows = columns.rows(metadata, 4)
    assert [row.get("labels") for row in rows] == [["sea", "M\xf6we"], [""], None, [""]]
    back = columns.metadata(rows).to_pydict()
    assert back == {"labels": ["sea;M\xf6we", "", None, ""], "folder": ["M\xf6we"] * 4}


def test_a_gap_in_a_scalar_field_is_refused():
    with pytest.raises(InputError, match=r"'size' has rows without a value.*--replace"):
        Columns.of(METADATA).rows(METADATA.set_column(0, "size", pa.array([1, None, 3], pa.int32())), 3)


def test_columns_that_milvus_has_no_type_for_are_refused():
    with pytest.raises(InputError, match=r"column 'tags' is list<.*leave the column out"):
        Columns.of(pa.table({"tags": [["a"], ["b"]]}))


@pytest.mark.parametrize(
    ("condition", "expression"),
    [
        ("size>=2", "(size >= 2)"),
        ("size!=2", "(size != 2)"),
        ("kept=true", "(kept == true)"),
        ('kind=say "ah"', '(kind == "say \\"ah\\"")'),
        ("noise=2.5", '($meta["noise"] == 2.5)'),
        ("noise!=2.5", '((exists $meta["noise"]) and ($meta["noise"] != 2.5))'),
        ("labels=cat", '(json_contains($meta["labels"], "cat"))'),
        ("labels!=cat", '((exists $meta["labels"]) and (not (json_contains($meta["labels"], "cat"))))'),
        (
            'labels=cat; say "ah"',
            '(json_contains($meta["labels"], "cat") and json_contains($meta["labels"], "say \\"ah\\""))',
        ),
        ("labels=", '(json_contains($meta["labels"], ""))'),
        ("modified=2024-05-01T14:00:00+02:00", "(modified == 1714564800000000)"),
        ("kind=e\N{COMBINING ACUTE ACCENT}", '(kind == "\xe9")'),
        ("with space<3", '($meta["with space"] < 3)'),
        ("modified<2024-05-01", "(modified < 1714521600000000)"),
        ("day=2024-05-01", "(day == 19844)"),
        ("share>0.25", "(share > 0.25)"),
    ],
)
def test_expressions(condition, expression):
    assert Columns.of(METADATA).expression([Condition.parse(condition)]) == expression


def test_all_conditions_hold_together():
    columns = Columns.of(METADATA)
    assert columns.expression([]) == ""
    assert columns.expression([Condition.parse("size>1"), Condition.parse("size<3")]) == "(size > 1) and (size < 3)"


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("sise>1", "no column 'sise'.*did you mean size"),
        ("labels~cat", "cannot tell whether 'labels' contains 'cat'"),
        ("size>big", "'size' cannot be compared by > with 'big'; its values are int32"),
        ("share>nan", "'share' cannot be compared by > with 'nan'"),
        ("share>inf", "'share' cannot be compared by > with 'inf'"),
        ("labels>cat", "labels cannot be compared by >"),
    ],
)
def test_conditions_that_cannot_be_asked(condition, why):
    with pytest.raises(InputError, match=why):
        Columns.of(METADATA).expression([Condition.parse(condition)])


def test_without_columns():
    columns = Columns.of(None)
    assert columns.rows(None, 2) == [{}, {}]
    assert columns.metadata([{}, {}]) is None
    with pytest.raises(InputError, match="the index has no columns"):
        columns.expression([Condition.parse("size=1")])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_literals_are_read_back(text):
    assert json.loads(literal(text)) == text
    assert any_of([text]) == f"key in [{literal(text)}]"


def test_digests_tell_rows_apart():
    rows = [{"key": str(n), "code": bytes([n % 3]), **({"a": n} if n % 2 else {})} for n in range(1000)]
    digests = [digest_of(row) for row in rows]
    assert len(set(digests)) == 1000
    assert all(0 <= digest < DIGESTS for digest in digests)
    # Spread evenly, as reading by ranges of digests needs it.
    counts, _ = np.histogram([digest / DIGESTS for digest in digests], bins=10, range=(0, 1))
    assert counts.min() > 60
    assert digest_of({"key": "a", "size": 1}) != digest_of({"key": "a", "size": "1"})


class Value:
    """A value of a row as Milvus compares it: one that is missing equals nothing, and differs from everything."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value is not None and self.value == other

    def __ne__(self, other):
        return self.value is None or self.value != other

    def __lt__(self, other):
        return self.value is not None and self.value < other

    def __le__(self, other):
        return self.value is not None and self.value <= other

    def __gt__(self, other):
        return self.value is not None and self.value > other

    def __ge__(self, other):
        return self.value is not None and self.value >= other

    __hash__ = None


def evaluated(expression, row):
    """What an expression says of a row."""
    words = {"$meta": "meta", "exists": "EXISTS -", "true": "True", "false": "False"}
    python = re.sub(r'"(?:\\.|[^"\\])*"|\$?[a-z]\w*', lambda found: words.get(found[0], found[0]), expression).replace(
        "EXISTS -", "exists @ "
    )

    class Exists:
        def __matmul__(self, value):
            return value.value is not None

    class Meta:
        def __getitem__(self, name):
            return Value(row.get(name))

    names = {name: Value(value) for name, value in row.items()}
    contains = lambda value, label: value.value is not None and label in value.value  # noqa: E731
    return bool(eval(python, {"meta": Meta(), "exists": Exists(), "json_contains": contains, **names}))


WORDS = st.text(st.sampled_from('aAé\u0301; "\\%'), max_size=5)
NUMBERS = st.sampled_from(["-1", "0", "1.5", "2", "nan", "x"])
SIGNS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])


ROWS = st.tuples(
    st.none() | WORDS,
    st.none() | WORDS,
    WORDS,
    st.none() | st.sampled_from([-1.0, 0.0, 2.0, float("nan")]),
    st.integers(-1, 2),
)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(ROWS, min_size=1, max_size=6),
    st.one_of(
        st.builds(Condition, st.sampled_from(["labels", "place", "full"]), SIGNS, WORDS),
        st.builds(Condition, st.sampled_from(["score", "size"]), SIGNS, NUMBERS),
    ),
)
def test_expressions_mean_what_conditions_mean(rows, condition):
    kinds = {
        "labels": pa.string(),
        "place": pa.string(),
        "full": pa.string(),
        "score": pa.float64(),
        "size": pa.int64(),
    }
    columns = zip(kinds.items(), zip(*rows, strict=True), strict=True)
    metadata = pa.table({name: pa.array(values, kind) for (name, kind), values in columns})
    index = OrdinalIndex(OrdinalCodes.from_symbols(np.zeros((len(rows), 1), np.uint8), arity=2), metadata=metadata)
    kept = Columns.of(metadata)
    try:
        expected = rows_that_meet(index, [condition]).tolist()
    except InputError as error:
        with pytest.raises(InputError, match=re.escape(str(error))):
            kept.expression([condition])
        return
    expression = kept.expression([condition])
    assert [evaluated(expression, row) for row in kept.rows(metadata, len(rows))] == expected
