from dataclasses import dataclass

import pytest

from ordhash.collection.database import Database
from ordhash.collection.tables import Table, Total
from ordhash.errors import DataError


@dataclass(frozen=True)
class Fruit:
    key: str
    weight: int | None


APPLE, PEAR, PLUM = Fruit("apple", 150), Fruit("pear", None), Fruit("plum", -3)


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "fruits.sqlite")
    with database.transaction():
        database.execute("CREATE TABLE fruits (key TEXT PRIMARY KEY, weight INTEGER, digest BLOB) WITHOUT ROWID")
    yield database
    database.close()


@pytest.fixture
def table(database):
    table = Table(database, "fruits", Fruit)
    with database.transaction():
        table.add([PLUM, APPLE, PEAR])
    return table


def test_rows_are_written_found_and_removed(database, table):
    assert table.rows(table.total) == [APPLE, PEAR, PLUM]
    assert [table.get("pear"), table.get("fig")] == [PEAR, None]
    assert list(table.where("weight < ?", (0,))) == [PLUM]
    with database.transaction():
        table.put([Fruit("apple", 7), Fruit("fig", 1)])
        table.remove([("pear",), ("melon",)])
    assert table.rows(table.total) == [Fruit("apple", 7), Fruit("fig", 1), PLUM]
    assert Total.of(str(table.total)) == table.total
    with database.transaction():
        table.clear()
    assert (table.rows(table.total), table.total) == ([], Total())


@pytest.mark.parametrize(
    "change",
    [
        "SET weight = 151 WHERE key = 'apple'",
        "SET weight = '150' || 'g' WHERE key = 'apple'",
        "SET weight = 9223372036854775807 WHERE key = 'apple'",
        "SET key = CAST(x'ff70' AS TEXT) WHERE key = 'apple'",
        "SET key = x'6170706c65' WHERE key = 'apple'",
        "SET digest = NULL WHERE key = 'apple'",
        "SET digest = 'text' WHERE key = 'apple'",
    ],
)
def test_a_damaged_row_is_never_taken_for_a_right_one(change, database, table):
    with database.transaction():
        database.execute(f"UPDATE fruits {change}")
    rows, damages = table.scan(table.total)
    assert rows == [PEAR, PLUM]
    assert len(damages) == 1
    assert "its row is damaged" in damages[0]
    with pytest.raises(DataError, match="damaged"):
        table.rows(table.total)
    assert APPLE not in table.where("1", ())


def test_a_row_that_is_missing_is_noticed(database, table):
    with database.transaction():
        database.execute("DELETE FROM fruits WHERE key = 'pear'")
    rows, damages = table.scan(table.total)
    assert rows == [APPLE, PLUM]
    assert "missing: it has 2 of 3" in damages[0]
    with database.transaction():
        table.total = Total.of(str(table.total))
        table.add([Fruit("fig", 1)])  # as many as there were
    assert "missing" in table.scan(table.total)[1][0]
