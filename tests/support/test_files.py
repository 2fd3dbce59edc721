import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from ordhash.errors import InputError
from ordhash.support.files import remove_leftovers, replace_file, write_csv


def writing(content):
    return lambda file: file.write(content)


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "file"
    for content in (b"one", b"", b"another" * 100_000):
        replace_file(path, writing(content))
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]
    replace_file(str(path), writing(b"by name"))
    assert path.read_bytes() == b"by name"


def test_the_file_is_not_seen_before_it_is_whole(tmp_path):
    path, seen = tmp_path / "file", []

    def write(file):
        file.write(b"half")
        file.flush()
        seen.append(path.exists())
        file.write(b" and half")

    replace_file(path, write)
    assert seen == [False]
    assert path.read_bytes() == b"half and half"


@pytest.mark.parametrize("error", [OSError("no space left"), ValueError("a bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("place", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, place, there, error):
    path = tmp_path / "file"
    if there:
        path.write_bytes(b"before")

    def fail(*_):
        raise error

    def write(file):
        file.write(b"half of it")
        if place == "write":
            fail()

    with monkeypatch.context() as patch:
        if place != "write":
            patch.setattr(os, place, fail)
        with pytest.raises(type(error)):
            replace_file(path, write)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == ([("file", b"before")] * there)
    replace_file(path, writing(b"after"))
    assert path.read_bytes() == b"after"


def test_places_that_cannot_hold_a_file_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*nowhere.file: .*no folder .*nowhere"):
        replace_file(tmp_path / "nowhere" / "file", writing(b""))
    with pytest.raises(InputError, match="it is a folder; give the name of a file"):
        replace_file(tmp_path, writing(b""))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_file_has_the_usual_permissions(tmp_path):
    replace_file(tmp_path / "file", writing(b"x"))
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "plain")]
    assert modes[0] == modes[1]


def test_two_may_write_one_file_at_the_same_time(tmp_path):
    path, inside = tmp_path / "file", threading.Barrier(2)

    def work(letter):
        def write(file):
            file.write(letter * 1000)
            inside.wait(30)  # neither goes on before both have written
            file.write(letter * 1000)

        replace_file(path, write)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert path.read_bytes() in (b"a" * 2000, b"b" * 2000)
    assert list(tmp_path.iterdir()) == [path]


PROGRAM = """
import sys
from ordhash.support.files import replace_file
for round in range(40):
    replace_file(sys.argv[1], lambda file: file.write(sys.argv[2].encode() * 100_000))
"""


def test_several_processes_may_write_one_file_at_the_same_time(tmp_path):
    path = tmp_path / "file"
    replace_file(path, writing(b"z" * 100_000))
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(path), letter]) for letter in "abc"]
    while any(process.poll() is None for process in running):
        content = path.read_bytes()
        assert len(content) == 100_000
        assert len(set(content)) == 1
    assert [process.returncode for process in running] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
from ordhash.support.files import replace_file

def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

replace_file(sys.argv[1], write)
"""


def left_by_a_killed_writer(path):
    before = set(path.parent.iterdir())
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL
    (left,) = set(path.parent.iterdir()) - before
    return left


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "file"
    replace_file(path, writing(b"whole"))
    left, of_another = left_by_a_killed_writer(path), left_by_a_killed_writer(tmp_path / "other")
    not_ours = [tmp_path / name for name in (".file.tmp", ".file.00.tmp", "file.01234567.tmp", ".file.0123456z.tmp")]
    for one in not_ours:
        one.touch()
    assert path.read_bytes() == b"whole"
    replace_file(path, writing(b"again"))
    assert not left.exists()
    assert of_another.exists()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, *not_ours])
    remove_leftovers(tmp_path / "nowhere")


def test_the_file_of_a_running_writer_is_no_leftover(tmp_path):
    path = tmp_path / "file"

    def write(file):
        file.write(b"x")
        remove_leftovers(tmp_path)
        replace_file(path, writing(b"of another"))

    replace_file(path, write)
    assert path.read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_taken_for_a_leftover_before_it_is_locked_is_begun_again(tmp_path, monkeypatch):
    lock, path = fcntl.flock, tmp_path / "file"

    def cleaned_just_before(file, how):
        if how == fcntl.LOCK_EX:
            monkeypatch.undo()
            remove_leftovers(tmp_path)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", cleaned_just_before)
    replace_file(path, writing(b"x"))
    assert path.read_bytes() == b"x"


def test_a_table_keeps_commas_and_names_that_are_no_text(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, [("image", "label"), ("a, b.jpg", 'the "cat"'), ("\udce4.jpg", "")])
    assert path.read_bytes() == b'image,label\r\n"a, b.jpg","the ""cat"""\r\n\xe4.jpg,\r\n'
