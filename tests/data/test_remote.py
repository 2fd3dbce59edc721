"""Readers of other file systems: what the readers of this one say, by an address."""

import errno
import shutil

import numpy as np
import pytest

from ordhash.data import read_images
from ordhash.data.remote import holds_images, read_location
from ordhash.errors import DataError
from ordhash.support.locations import Location

fsspec = pytest.importorskip("fsspec")
LocalFileSystem = pytest.importorskip("fsspec.implementations.local").LocalFileSystem


def same(found, expected):
    assert found.keys.tolist() == expected.keys.tolist()
    assert found.class_names == expected.class_names
    if expected.labels is None:
        assert found.labels is None
    else:
        np.testing.assert_array_equal(found.labels, expected.labels)
    assert [str(image) for image in found.images] == [str(image) for image in expected.images]
    assert (found.metadata is None) == (expected.metadata is None)
    assert found.metadata is None or found.metadata.equals(expected.metadata)


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_folders_are_read_as_those_here(photo_folder, scheme):
    shutil.copy(photo_folder / "apple" / "apple_0.jpg", photo_folder / "loose.JPG")
    (photo_folder / "apple" / ".hidden.jpg").write_bytes(b"")
    (photo_folder / "apple" / "notes.txt").write_text("x")
    (photo_folder / ".secret").mkdir()
    (photo_folder / ".secret" / "a.jpg").write_bytes(b"")
    (photo_folder / "banana" / "kept").mkdir()
    (photo_folder / "banana" / "kept" / "catalogue.sqlite").write_bytes(b"")
    (photo_folder / "banana" / "kept" / "thumbnail.jpg").write_bytes(b"")
    (photo_folder / "banana" / "deep").mkdir()
    shutil.copy(photo_folder / "apple" / "apple_0.jpg", photo_folder / "banana" / "deep" / "x.jpg")
    expected = read_images(photo_folder)
    assert len(expected) == 20
    same(read_location(Location(f"{scheme}://{photo_folder}")), expected)


class Server(LocalFileSystem):
    """A server of files, one of whose folders its user may not read."""

    protocol = "server"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("server://"))

    def ls(self, path, **options):
        if path.endswith("/banana"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return super().ls(path, **options)


def test_a_sub_folder_that_cannot_be_read_is_reported(photo_folder):
    fsspec.register_implementation("server", Server, clobber=True)
    (photo_folder / "apple" / ".ordhashignore").write_text("apple_0.jpg\n")
    found = read_location(Location(f"server://{photo_folder}"))
    same(found, read_images(photo_folder, exclude=["banana", "apple_0.jpg"]))
    (failure,) = found.passed_over.failures
    assert str(failure).startswith(f"server://{photo_folder}/banana: the folder cannot be read (Permission denied)")
    assert found.passed_over.closed == ["banana/"]
    assert holds_images(Location(f"server://{photo_folder}"))
    with pytest.raises(DataError, match="banana: the folder cannot be read"):
        read_location(Location(f"server://{photo_folder}/banana"))


def test_what_an_ftp_server_does_not_list_is_reported(photo_folder, monkeypatch):
    """Fsspec takes it for empty, and keeps only what was listed."""

    def ls(self, path, **options):
        if path.endswith("/banana"):
            return []
        self.dircache[path] = LocalFileSystem.ls(self, path, **options)
        return self.dircache[path]

    fsspec.register_implementation("server", Server, clobber=True)
    monkeypatch.setattr(Server, "ls", ls)
    monkeypatch.setattr(Server, "protocol", "ftp")
    (photo_folder / "empty").mkdir()
    found = read_location(Location(f"server://{photo_folder}"))
    assert found.keys.tolist() == read_images(photo_folder, exclude=["banana"]).keys.tolist()
    (failure,) = found.passed_over.failures
    assert str(failure).startswith(f"server://{photo_folder}/banana: the folder cannot be read")


def test_manifests_are_read_as_those_here(photo_folder):
    manifest = photo_folder / "list.csv"
    manifest.write_text(
        f"path,key,labels,size\napple/apple_0.jpg,a,x;y,1\n{photo_folder}/banana/banana_1.jpg,b,,2\n", encoding="utf-8"
    )
    same(read_location(Location(f"local://{manifest}")), read_images(manifest))


def test_paths_of_a_manifest_find_what_they_find_here(photo_folder):
    (photo_folder / "lists").mkdir()
    manifest = photo_folder / "lists" / "list.csv"
    manifest.write_text("path\n./own.jpg\n../apple/apple_0.jpg\n..\\banana\\banana_1.jpg\nnone/../own2.jpg\n")
    for name in ("own.jpg", "own2.jpg"):
        shutil.copy(photo_folder / "apple" / "apple_1.jpg", photo_folder / "lists" / name)
    (photo_folder / "lists" / "none").mkdir()
    here = read_images(manifest)
    files = fsspec.filesystem("memory")
    files.put(str(photo_folder), "/beside", recursive=True)
    elsewhere = Location("memory://beside/lists/list.csv")
    found = read_location(elsewhere)
    assert found.keys.tolist() == here.keys.tolist()
    for path, image in zip(found.images, here.images, strict=True):
        assert elsewhere.read_inside(path) == image.read_bytes()
    files.rm("/beside", recursive=True)
    same(read_location(Location(f"local://{manifest}")), here)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere", "is neither a folder nor a manifest"),
        ("nowhere.csv", "is neither a folder nor a manifest"),
        ("empty", "holds no image"),
        ("broken.parquet", "cannot be read as a Parquet table"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, why):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=why):
        read_location(Location(f"local://{tmp_path}/{name}"))
