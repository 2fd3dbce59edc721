"""Whole states for every reader, whatever a writer does or did; and errors as sentences."""

import sqlite3
import subprocess
import sys
import threading

import pytest
from permissions import forbid_writing, unprivileged

from ordhash.collection.database import Database
from ordhash.errors import DataError

ROWS = 400

# A writer that is killed in the middle of a change, when half of it is in the file already.
KILLED = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2].split(";"):
    db.execute(statement).fetchall()
db.execute("UPDATE numbers SET value = 2, filling = randomblob(500)")
if sys.argv[3] == "committed":
    db.execute("COMMIT")
os._exit(0)
"""


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "collection"
    folder.mkdir()
    database = Database(folder / "numbers.sqlite")
    with database.transaction():
        database.execute("CREATE TABLE numbers (value INTEGER, filling BLOB)")
        database.executemany("INSERT INTO numbers VALUES (?, randomblob(500))", [(1,)] * ROWS)
    database.close()
    yield database.path
    folder.chmod(0o755)


def values(database):
    with database.reading():
        return [value for (value,) in database.execute("SELECT value FROM numbers")]


def killed(path, *statements, committed=False):
    how = "committed" if committed else "open"
    subprocess.run([sys.executable, "-c", KILLED, path, ";".join(statements), how], check=True)
    for file in path.parent.iterdir():
        file.chmod(0o644)


def test_a_half_written_change_is_undone_by_a_reader_who_may_not_write_in_a_copy(path):
    before = path.read_bytes()
    killed(path, "PRAGMA cache_size = 5", "BEGIN")
    after = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert after[path.name] != before  # pages of the change are in the file
    assert set(after) == {path.name, f"{path.name}-journal"}
    forbid_writing(path.parent)
    with unprivileged(path.parent):
        database = Database(path)
        assert (database.read_only, database.frozen) == (True, True)
        assert values(database) == [1] * ROWS
        with pytest.raises(DataError, match="readonly"), database.transaction():
            database.execute("DELETE FROM numbers")
        database.close()
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == after
    path.parent.chmod(0o755)
    path.chmod(0o644)
    database = Database(path)
    assert (database.frozen, values(database)) == (False, [1] * ROWS)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    database.close()


def test_a_write_ahead_log_that_is_not_merged_is_read_completely(path):
    killed(path, "PRAGMA journal_mode = WAL", "BEGIN", committed=True)
    assert path.with_name(f"{path.name}-wal").stat().st_size > 0
    forbid_writing(path.parent)
    with unprivileged(path.parent):
        database = Database(path)
        assert values(database) == [2] * ROWS
        database.close()
    path.parent.chmod(0o755)
    path.chmod(0o644)
    database = Database(path)
    assert values(database) == [2] * ROWS
    database.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # a reader needs no more than this


def test_who_may_only_read_sees_whole_states_while_somebody_writes(path):
    path.chmod(0o644)
    path.parent.chmod(0o755)
    enough, seen = threading.Event(), set()

    def write():
        writer, value = Database(path), 1
        while not enough.is_set():
            value += 1
            with writer.transaction():
                writer.execute("UPDATE numbers SET value = ?, filling = randomblob(500)", (value,))
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(seen) < 10:
            reader = Database(path)
            seen.add(frozenset(values(reader)))
            reader.close()
    finally:
        enough.set()
        thread.join()
    assert {len(state) for state in seen} == {1}


def test_questions_inside_reading_are_answered_of_one_state(path):
    reader, writer = Database(path), Database(path)
    with reader.reading():
        before = values(reader)
        writer.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(DataError, match=r"in use by another process.*try again"), writer.transaction():
            writer.execute("UPDATE numbers SET value = 2")
        assert values(reader) == before
    with writer.transaction():
        writer.execute("UPDATE numbers SET value = 2")
    assert values(reader) == [2] * ROWS
    for database in (reader, writer):
        database.close()


def test_a_change_that_fails_is_undone(path):
    reader, writer = Database(path), Database(path)

    def fail():
        with writer.transaction():
            writer.execute("DELETE FROM numbers")
            writer.execute("DELETE FROM letters")

    with pytest.raises(DataError, match="no such table"):
        fail()
    assert values(reader) == [1] * ROWS
    for database in (reader, writer):
        database.close()


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "damaged"),
        (OverflowError("too large"), "64 bits"),
        (sqlite3.DatabaseError("malformed\n  page"), r"damaged \(malformed page\).*untouched"),
    ],
)
def test_every_error_is_one_sentence(error, word, path):
    database = Database(path)
    with pytest.raises(DataError, match=word), database.reading():
        raise error
    database.close()


def test_what_is_no_database_is_a_sentence(tmp_path):
    path = tmp_path / "numbers.sqlite"
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(DataError, match=r"damaged.*sync again"):
        Database(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"cannot be used.*disk"):
        Database(path)
