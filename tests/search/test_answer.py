import pyarrow as pa
import pytest

from ordhash.search.answer import values_of


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([2_000_000_000, None], pa.int32()).cast(pa.date32()), "2000000000"),
        (pa.array([2**62, None], pa.timestamp("us")), "4611686018427387904"),
        (pa.array([2**62, None], pa.timestamp("s", "UTC")), ""),
        (pa.array([2**62 + 1, None], pa.duration("s")), "4611686018427387905"),
        (pa.array([[2**62], None], pa.list_(pa.timestamp("us"))), "out of range"),
    ],
)
def test_values_that_python_does_not_have_are_texts(column, said):
    values = [row["x"] for row in values_of(pa.table({"x": column}))]
    assert isinstance(values[0], str)
    assert said in values[0]
    assert values[1] is None
