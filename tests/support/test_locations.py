"""Places: paths and addresses, what is written whole, and what messages may say."""

import os
import pickle

import pytest

from ordhash.errors import DataError, InputError
from ordhash.support.locations import Place, is_address, without_password


@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}"])  # a path, Arrow's file system, and one of fsspec
def test_a_folder_by_path_and_by_address(tmp_path, form):
    pytest.importorskip("fsspec")
    place = Place(form.format(tmp_path / "new" / "folder"))
    assert place.names() is None
    place.make()
    place.make()  # it may be there
    assert place.names() == []
    place.below("a.txt").write(b"one")
    place.below("a.txt").write(b"two")
    (tmp_path / "new" / "folder" / "sub").mkdir()
    place.below("sub/b.txt").write(b"three")
    assert sorted(place.names()) == ["a.txt"]
    assert sorted(place.names(recursive=True)) == ["a.txt", "sub/b.txt"]
    assert place.below("a.txt").read() == b"two"
    assert place.below("a.txt").is_file()
    assert not place.below("sub").is_file()
    assert not place.below("c.txt").is_file()
    place.below("a.txt").remove()
    assert sorted(place.names(recursive=True)) == ["sub/b.txt"]
    with pytest.raises(OSError, match=r"c\.txt|No such file"):
        place.below("c.txt").read()


def test_a_place_travels(tmp_path):
    place = pickle.loads(pickle.dumps(Place(str(tmp_path))))
    place.below("a").write(b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    below = pickle.loads(pickle.dumps(place.below("a")))
    assert below.read() == b"1"


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    place = Place(str(tmp_path / "missing" / "file"))
    with pytest.raises(InputError, match="there is no folder"):
        place.write(b"1")
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
    place = Place("s3://key:secret@bucket/photos?region=us-east-1&endpoint_override=localhost:1")
    below = place.below("a b.jpg")
    assert below.path == "bucket/photos/a b.jpg"
    assert str(below) == "s3://bucket/photos/a b.jpg"
    again = pickle.loads(pickle.dumps(below))
    assert again.path == below.path
    assert again.filesystem == place.filesystem


def test_names_that_are_no_unicode_and_spaces(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"1")
    (tmp_path / "a b.jpg").write_bytes(b"2")
    place = Place((tmp_path).as_uri())
    assert sorted(place.names()) == sorted([os.fsdecode(b"\xff.jpg"), "a b.jpg"])
    assert pickle.loads(pickle.dumps(place.below("a b.jpg"))).read() == b"2"


def test_addresses():
    assert is_address("s3://bucket/a")
    assert not is_address("a/b")
    assert Place("a").is_local
    assert Place("file:///a").is_local


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("s4://bucket/photos", InputError, "of no file system that is installed"),
        ("hdfs://", InputError, "cannot be used"),
        ("ftp://me:secret@127.0.0.1:9/photos", DataError, "^ftp://127.0.0.1:9/photos cannot be reached"),
    ],
)
def test_addresses_that_lead_nowhere(text, error, why):
    pytest.importorskip("fsspec")
    with pytest.raises(error, match=why):
        Place(text)
