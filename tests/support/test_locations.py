"""Places: paths and addresses, what is written whole, and what messages may say."""

import os
import pickle

import pytest

from ordhash.errors import DataError, InputError
from ordhash.support.locations import Location, is_address, without_password


@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}"])  # a path, Arrow's file system, and one of fsspec
def test_a_folder_by_path_and_by_address(tmp_path, form):
    pytest.importorskip("fsspec")
    location = Location(form.format(tmp_path / "new" / "folder"))
    assert location.names() is None
    location.make()
    location.make()  # it may be there
    assert location.names() == []
    location.below("a.txt").write(b"one")
    location.below("a.txt").write(b"two")
    (tmp_path / "new" / "folder" / "sub").mkdir()
    location.below("sub/b.txt").write(b"three")
    assert sorted(location.names()) == ["a.txt"]
    assert sorted(location.names(recursive=True)) == ["a.txt", "sub/b.txt"]
    assert location.below("a.txt").read() == b"two"
    assert location.below("a.txt").is_file()
    assert not location.below("sub").is_file()
    assert not location.below("c.txt").is_file()
    location.below("a.txt").remove()
    assert sorted(location.names(recursive=True)) == ["sub/b.txt"]
    with pytest.raises(OSError, match=r"c\.txt|No such file"):
        location.below("c.txt").read()


def test_a_place_travels(tmp_path):
    location = pickle.loads(pickle.dumps(Location(str(tmp_path))))
    location.below("a").write(b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    below = pickle.loads(pickle.dumps(location.below("a")))
    assert below.read() == b"1"


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    location = Location(str(tmp_path / "missing" / "file"))
    with pytest.raises(InputError, match="there is no folder"):
        location.write(b"1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ftp://me:secret@host/photos@home", "ftp://host/photos@home"),
        ("ftp://me:s@cret@host:21", "ftp://host:21"),
        ("s3://key:secret@bucket/a?region=x&secret_key=y", "s3://bucket/a"),
        ("folder/me:secret@a?b", "folder/me:secret@a?b"),
    ],
)
def test_passwords_are_not_said(text, shown):
    assert without_password(text) == shown


def test_the_query_of_an_address_stays_its_own():
    location = Location("s3://key:secret@bucket/photos?region=us-east-1&endpoint_override=localhost:1")
    below = location.below("a b.jpg")
    assert below.path == "bucket/photos/a b.jpg"
    assert str(below) == "s3://bucket/photos/a b.jpg"
    again = pickle.loads(pickle.dumps(below))
    assert again.path == below.path
    assert again.filesystem == location.filesystem


def test_names_that_are_no_unicode_and_spaces(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"1")
    (tmp_path / "a b.jpg").write_bytes(b"2")
    location = Location((tmp_path).as_uri())
    assert sorted(location.names()) == sorted([os.fsdecode(b"\xff.jpg"), "a b.jpg"])
    assert pickle.loads(pickle.dumps(location.below("a b.jpg"))).read() == b"2"


def test_addresses():
    assert is_address("s3://bucket/a")
    assert not is_address("a/b")
    assert Location("a").is_local
    assert Location("file:///a").is_local


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("s4://bucket/photos", InputError, "no installed file system"),
        ("hdfs://", InputError, "cannot be used"),
        ("ftp://me:secret@127.0.0.1:9/photos", DataError, "^ftp://127.0.0.1:9/photos cannot be reached"),
    ],
)
def test_addresses_that_lead_nowhere(text, error, why):
    pytest.importorskip("fsspec")
    with pytest.raises(error, match=why):
        Location(text)
