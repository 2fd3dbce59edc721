import datetime
import time

import pyarrow as pa
import pytest

from ordhash.index.values import typed_value


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(*parts):
    return datetime.datetime(*parts, tzinfo=datetime.UTC)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-06-01", utc(2024, 5, 31, 22)),
        ("2024-01-01 12:00", utc(2024, 1, 1, 11)),
        ("2024-06-01T00:00:00+02:00", utc(2024, 5, 31, 22)),
        ("2024-06-01T00:00:00-0530", utc(2024, 6, 1, 5, 30)),
        ("2024-06-01T00:00:00+02", utc(2024, 5, 31, 22)),
        ("2024-06-01T00:00:00Z", utc(2024, 6, 1)),
    ],
)
def test_times_without_an_offset_are_local(in_berlin, text, moment, unit):
    assert typed_value(text, pa.timestamp(unit, "UTC")).cast(pa.timestamp("us", "UTC")).as_py() == moment
    assert typed_value(text, pa.timestamp(unit, "America/New_York")).as_py() == moment


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("2024-06-01", datetime.datetime(2024, 6, 1)),
        ("2024-06-01T00:00:00.25", datetime.datetime(2024, 6, 1, 0, 0, 0, 250_000)),
        ("2024-06-01T00:00:00Z", datetime.datetime(2024, 6, 1, 2)),
        ("2024-01-01T00:00:00+05:00", datetime.datetime(2023, 12, 31, 20)),
    ],
)
def test_a_column_without_a_zone_holds_local_times(in_berlin, text, wall):
    assert typed_value(text, pa.timestamp("us")).as_py() == wall


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31 23:59:59"])
def test_years_beyond_the_clock_of_the_system(in_berlin, text):
    assert abs(typed_value(text, pa.timestamp("us", "UTC")).as_py().year - int(text[:4])) <= 1


@pytest.mark.parametrize("text", ["noon", "", "2024-13-01", "2024-06-01T00:00:00+2", "2024"])
def test_what_is_no_time(text):
    with pytest.raises(pa.ArrowException):
        typed_value(text, pa.timestamp("us", "UTC"))


def test_texts_get_composed_accents():
    assert typed_value("e\N{COMBINING ACUTE ACCENT}", pa.large_string()) == pa.scalar("\xe9", pa.large_string())


def test_not_a_number():
    assert typed_value("1.5", pa.float32()).as_py() == 1.5
    with pytest.raises(ValueError, match="nan is not a number"):
        typed_value("nan", pa.float64())
