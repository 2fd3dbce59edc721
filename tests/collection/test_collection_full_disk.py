"""A collection on a disk without a free byte: nothing has to be written to search, check or export it."""

import contextlib
import resource
import shutil
import subprocess

import pytest

from ordhash import Encoder
from ordhash.codes import read_codes
from ordhash.collection import Collection
from ordhash.search import Target, search_by_images

_ROOM = 4096


@pytest.fixture
def limited():
    """Files cannot grow, which stands for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextlib.contextmanager
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def full_disk(tmp_path):
    """Mounts a file system that holds a folder and not a byte more; only root may do that."""
    place = tmp_path / "disk"
    place.mkdir()

    def fill(folder):
        size = sum(path.stat().st_size + _ROOM for path in folder.rglob("*")) + 10 * _ROOM
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("may not mount a file system")
        shutil.copytree(folder, place / "collection")
        with contextlib.suppress(OSError), (place / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(_ROOM))
        return place / "collection"

    yield fill
    subprocess.run(["umount", "-l", place], capture_output=True, check=False)


def found(collection, encoder, query):
    (answers,), failures = search_by_images([query], Target(encoder, collection.index(), collection), top_k=3)
    assert failures == []
    return [(answer.key, answer.distance, answer.near_duplicate) for answer in answers.found]


@pytest.mark.parametrize("index", ["with its index", "without"])
def test_it_is_searched_and_checked(index, collection, photo_folder, encoder, limited):
    collection.sync(photo_folder, encoder)
    query = photo_folder / "apple/apple_0.jpg"
    expected = found(collection, encoder, query)
    info = collection.info()
    if index == "without":
        next(collection.path.glob("*.index")).unlink()
    collection.close()
    with limited():
        assert found(collection, encoder, query) == expected
        assert collection.verify() == []
        assert collection.info() == info
        with pytest.raises(OSError, match="too large"):
            collection.export(photo_folder / "codes.parquet")
    assert expected[0] == ("apple/apple_0.jpg", 0, True)


def test_it_is_searched_checked_and_exported_elsewhere(collection, photo_folder, tiny_model, tmp_path, full_disk):
    collection.sync(photo_folder, Encoder(tiny_model))
    next(collection.path.glob("*.index")).unlink()
    full = Collection(full_disk(collection.path))
    with pytest.raises(OSError, match="No space"):
        (full.path / "x").write_bytes(bytes(1))
    encoder, query = Encoder(full.model()), photo_folder / "apple/apple_0.jpg"
    assert found(full, encoder, query) == found(collection, encoder, query)
    assert full.verify() == []
    assert len(full.entries(["apple/apple_0.jpg"])) == 1
    assert full.export(tmp_path / "codes.parquet") == len(read_codes(tmp_path / "codes.parquet")) == 18
    assert not [path for path in full.path.iterdir() if path.suffix in (".index", ".tmp")]
    full.close()
