"""A catalogue that cannot be opened is mended by a sync, which loses no code and no deletion."""

import contextlib
import random
import sqlite3

import pytest

from ordhash.collection.catalogue import Catalogue
from ordhash.errors import DataError, InputError

FIRST_PAGES = 2 * 4096  # header, schema, facts


@pytest.fixture
def synced(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    collection.delete(["apple/apple_0.jpg"])
    collection.close()
    return collection


@pytest.fixture
def file(synced):
    return synced.path / "catalogue.sqlite"


def change(file, statement):
    with sqlite3.connect(file, isolation_level=None) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.executescript(statement)
    database.close()


DAMAGES = (
    "UPDATE facts SET value = '1x' WHERE name = 'generation'",
    "UPDATE facts SET value = '2' WHERE name = 'format'",
    "DELETE FROM facts WHERE name = 'folder'",
    "DROP INDEX images_by_content",
    "UPDATE sqlite_schema SET sql = replace(sql, 'size', 'siZe') WHERE name = 'images'",
    "UPDATE sqlite_schema SET rootpage = 5 WHERE name = 'deleted'",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_next_sync_mends_it_without_the_network(damage, synced, file, photo_folder, encoder):
    change(file, damage)
    with contextlib.suppress(DataError):
        assert synced.verify() != []
    assert synced.model() == synced.path / f"model-{encoder.model_id}.onnx"
    report = synced.sync(photo_folder, encoder)
    assert (report.encoded, report.unchanged, report.hidden) == (0, 17, 1)
    assert synced.verify() == []
    assert synced.info().hidden == 1
    assert sorted(path.name for path in synced.path.iterdir() if path.name.startswith("cat")) == [file.name]


def test_codes_of_an_unknown_model_are_made_again(synced, file, photo_folder, encoder):
    change(file, "UPDATE facts SET value = 'another' WHERE name = 'model_id'")
    report = synced.sync(photo_folder, encoder)
    assert (report.encoded, report.hidden) == (17, 1)


def test_flipped_bits(synced, file, photo_folder, encoder):
    """Whatever cannot be opened is mended; all that is not known to be right is encoded again."""
    whole, chance, mended = file.read_bytes(), random.Random(2), 0
    for flip in range(24):
        place = chance.randrange(FIRST_PAGES) if flip % 4 else chance.randrange(100)
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        try:
            Catalogue(file).close()
        except DataError:
            mended += 1
        report = synced.sync(photo_folder, encoder)
        assert (report.encoded in (0, 17), report.hidden) == (True, 1), place
        assert synced.verify() == []
    assert mended > 4


def test_another_model_or_folder_does_not_take_it_over(synced, file, photo_folder, encoder, other_encoder):
    change(file, DAMAGES[0])
    with pytest.raises(DataError, match="sync without --model"):
        synced.sync(photo_folder, other_encoder, reencode=True)
    (photo_folder.parent / "other").mkdir()
    (photo_folder / "apple/apple_1.jpg").rename(photo_folder.parent / "other/1.jpg")
    with pytest.raises(InputError, match="holds 0 of its 17 images"):
        synced.sync(photo_folder.parent / "other", encoder)
    assert synced.sync(photo_folder, encoder, forget=True).unchanged == 16


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE deleted SET size = 1",
        "DELETE FROM deleted",
        "UPDATE deleted SET size = 1; UPDATE facts SET value = 'x' WHERE name = 'folder'",
    ],
)
def test_a_damaged_list_of_deleted_photographs_is_not_thrown_away(damage, synced, file, photo_folder, encoder):
    change(file, damage)
    with pytest.raises(DataError, match="--undelete"):
        synced.sync(photo_folder, encoder)
    assert synced.sync(photo_folder, encoder, undelete=True).encoded == 1
    assert synced.verify() == []
