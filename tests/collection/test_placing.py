import os
import shutil
from pathlib import Path

import pytest

from ordhash import Encoder
from ordhash.collection import Collection
from ordhash.errors import DataError, InputError


@pytest.mark.parametrize("place", [".", "..", "../.."])
def test_a_collection_is_not_made_where_its_photographs_are(place, photo_folder, encoder):
    photo_folder.chmod(0o700)
    above = photo_folder.parent
    before = {path: path.stat().st_mode for path in (above, *above.rglob("*"))}
    with pytest.raises(InputError, match="would hold the photographs"):
        Collection(photo_folder / place).sync(photo_folder, encoder)
    assert {path: path.stat().st_mode for path in (above, *above.rglob("*"))} == before


def test_a_collection_is_not_made_among_other_files(photo_folder, encoder, tmp_path):
    shared = tmp_path / "shared"
    (shared / "sub").mkdir(parents=True)
    photo_folder.chmod(0o700)
    mode = shared.stat().st_mode
    with pytest.raises(InputError, match="such as sub"):
        Collection(shared).sync(photo_folder, encoder)
    with pytest.raises(InputError, match="such as sub"), Collection(shared).learning(photo_folder):
        pass
    assert ([path.name for path in shared.iterdir()], shared.stat().st_mode) == (["sub"], mode)
    shutil.rmtree(shared / "sub")
    (shared / ".DS_Store").touch()
    assert Collection(shared).sync(photo_folder, encoder).encoded == 18


def test_what_is_left_of_a_collection_is_no_obstacle(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder, exclude=["banana/"])
    collection.index()
    collection.close()
    (collection.path / "catalogue.sqlite").unlink()
    for name in ("sync.json", "reencoding.sqlite-journal", "mine.onnx", "labels.csv"):
        (collection.path / name).touch()
    (collection.path / "@eaDir").mkdir()
    assert collection.sync(photo_folder, encoder).encoded == 12


def test_an_empty_catalogue_is_none(collection, photo_folder, encoder):
    collection.path.mkdir()
    (collection.path / "catalogue.sqlite").touch()
    assert not Collection.is_one(collection.path)
    assert collection.sync(photo_folder, encoder).encoded == 18
    assert Collection.is_one(collection.path)


def test_a_sync_that_is_refused_leaves_the_patterns_as_they_were(
    collection, photo_folder, encoder, other_encoder, tmp_path
):
    collection.sync(photo_folder, encoder, exclude=["apple/"])
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.jpg").write_bytes((photo_folder / "banana/banana_0.jpg").read_bytes() + b" ")
    with pytest.raises(InputError, match="of its 12 images"):
        collection.sync(other, encoder, exclude=["banana/"])
    with pytest.raises(InputError, match="reencode"):
        collection.sync(photo_folder, other_encoder, exclude=["banana/"])
    with pytest.raises(InputError, match="pattern"):
        collection.sync(photo_folder, encoder, exclude=["!"])
    with pytest.raises(InputError, match="of its 12 images"), collection.learning(other, exclude=["banana/"]):
        pass
    with pytest.raises(DataError, match="holds no images but"):
        collection.sync(photo_folder, encoder, exclude=["*"])
    with pytest.raises(DataError, match="holds no images"), collection.learning(photo_folder, exclude=["*"]):
        pass
    assert (collection.path / "exclude").read_text() == "apple/\n"
    assert collection.sync(photo_folder, encoder).unchanged == 12
    with pytest.raises(DataError, match="no image"):
        Collection(tmp_path / "new").sync(other, encoder, exclude=["*.jpg"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("which", ["photographs", "model"])
def test_a_path_that_no_catalogue_could_hold_is_refused_before_anything_is_made(
    which, collection, photo_folder, encoder, tmp_path
):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcnchen"))
    if which == "model":
        odd.mkdir()
        encoder = Encoder(shutil.copy(encoder.path, odd))
    else:
        photo_folder = photo_folder.rename(odd)
        with pytest.raises(InputError, match="Unicode"), collection.learning(photo_folder):
            pass
    with pytest.raises(InputError, match="Unicode") as refused:
        collection.sync(photo_folder, encoder)
    assert str(refused.value).isprintable()
    assert not collection.path.exists()
