"""A damaged catalogue never answers wrongly in silence, and no two states of catalogues are taken for each other."""

import hashlib
import os
import random
import shutil
import sqlite3

import pytest

from ordhash.codes import CodeFacts, CodeSpec
from ordhash.collection import Collection
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.rows import DeletedFile, Entry, Failure
from ordhash.errors import DataError

FACTS = CodeFacts(CodeSpec(48, 4), "model", None)
NAME = "catalogue.sqlite"


def made_entry(number):
    chance = random.Random(number)
    content = hashlib.blake2b(bytes([number // 2]), digest_size=16).digest()  # every photograph is there twice
    print_ = None if number % 5 == 0 else chance.randbytes(32)
    return Entry(
        f"d{number % 3}/{number:03d}.jpg",
        1000 + number,
        10**18 + number,
        content,
        chance.randbytes(6),
        print_,
        (None, 0, 1)[number // 2 % 3],
        (None, b"", chance.randbytes(20))[number // 2 % 3],
    )


ENTRIES = sorted(map(made_entry, range(30)), key=lambda entry: entry.key)
GONE = ENTRIES[4]
HELD = [entry for entry in ENTRIES if entry is not GONE]
FAILURES = [Failure(f"f{number}.jpg", 1, number, "the file is empty") for number in range(4)]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "collection"
    folder.mkdir()
    with Catalogue(folder / NAME, FACTS, tmp_path) as catalogue:
        catalogue.update(ENTRIES, FAILURES)
        catalogue.hide([GONE.key])
    return folder


def answer(ask):
    """What is asked for, or None where the answer is a sentence."""
    try:
        return ask()
    except DataError:
        return None


def indexed(collection):
    index = collection.index()
    return index.keys.tolist(), index.codes.symbols.tobytes(), index.metadata.to_pydict()


def answers(folder):
    """All that a collection says."""

    def of_catalogue(ask):
        with Catalogue(folder / NAME) as catalogue:
            return ask(catalogue)

    with Collection(folder) as collection:
        return {
            "index": answer(lambda: indexed(collection)),
            "rows": answer(lambda: collection.entries([entry.key for entry in ENTRIES])),
            "info": answer(collection.info),
            "failures": answer(lambda: [str(failure) for failure in collection.failures()]),
            "duplicates": answer(collection.duplicates),
            "deleted": answer(lambda: of_catalogue(Catalogue.deleted)),
            "damages": answer(collection.verify) != [],
        }


def test_every_flipped_bit_is_noticed_or_harmless_and_is_mended(folder, tmp_path):
    """ORDHASH_TEST_FLIPS=1000 flips more of them."""
    flips, chance = int(os.environ.get("ORDHASH_TEST_FLIPS", "32")), random.Random(1)
    shutil.copytree(folder, tmp_path / "whole")
    right, whole = answers(tmp_path / "whole"), (folder / NAME).read_bytes()
    assert None not in right.values()
    assert not right.pop("damages")
    noticed = 0
    for flip in range(flips):
        place = chance.randrange(len(whole)) if flip % 4 else chance.randrange(100)  # of the header
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        shutil.rmtree(folder)
        # With the index that a search has left, and without.
        shutil.copytree(tmp_path / "whole", folder, ignore=shutil.ignore_patterns("*.index") if flip % 2 else None)
        (folder / NAME).write_bytes(damaged)
        found = answers(folder)
        damages = found.pop("damages")
        wrong = [name for name in right if found[name] not in (right[name], None)]
        silent = [name for name in right if found[name] is None and not damages]
        assert (wrong, silent) == ([], []), place
        noticed += damages
        try:
            with Catalogue(folder / NAME) as catalogue:
                assert set(catalogue.mend()) <= set(HELD)
        except DataError:
            continue  # the facts, the schema, or the list of what was deleted
        assert Collection(folder).verify() == []
    assert noticed > flips // 10


def change(folder, statement):
    with sqlite3.connect(folder / NAME, isolation_level=None) as database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("UPDATE images SET code = zeroblob(6) WHERE key = 'd0/003.jpg'", "d0/003.jpg: its row"),
        ("UPDATE images SET fingerprint = zeroblob(32) WHERE key = 'd0/003.jpg'", "d0/003.jpg"),
        ("UPDATE images SET size = 9223372036854775807 WHERE key = 'd0/003.jpg'", "d0/003.jpg"),
        ("UPDATE images SET content = 'text' WHERE key = 'd0/003.jpg'", "d0/003.jpg"),
        ("DELETE FROM images WHERE key = 'd0/003.jpg'", "missing"),
        ("UPDATE failures SET reason = 'none' WHERE key = 'f1.jpg'", "f1.jpg: the row that says why"),
        ("DELETE FROM failures", "missing"),
    ],
)
def test_what_can_be_made_anew_is_mended(statement, word, folder):
    change(folder, statement)
    (folder / f"{NAME}.mended").write_bytes(b"left by a process that was killed")
    with Catalogue(folder / NAME) as catalogue:
        assert word in catalogue.damages()[0]
        with pytest.raises(DataError, match=r"sync again"):
            catalogue.entries() if "images" in statement else catalogue.failures()
        left = catalogue.mend()
        assert catalogue.damages() == []
        assert left == catalogue.entries()
        missing = {entry.key for entry in HELD} - {entry.key for entry in left}
        assert missing == ({"d0/003.jpg"} if "images" in statement else set())
        assert [file.key for file in catalogue.deleted()] == [GONE.key]
    assert [path.name for path in folder.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("UPDATE facts SET value = '1x' WHERE name = 'generation'", "facts"),
        ("UPDATE facts SET value = x'31' WHERE name = 'code_bits'", "facts"),
        ("DELETE FROM facts WHERE name = 'model_id'", "facts"),
        ("UPDATE facts SET value = '/other' WHERE name = 'folder'", "facts"),
        ("DROP INDEX images_by_content", "schema"),
        ("ALTER TABLE images ADD COLUMN more", "schema"),
        ("UPDATE facts SET value = '2' WHERE name IN ('format', 'folder')", r"format 2.*older.*delete it and sync"),
        ("UPDATE facts SET value = '99' WHERE name IN ('format', 'folder')", r"format 99.*upgrade ordhash"),
        ("UPDATE facts SET value = '2' WHERE name = 'format'", "facts"),
        ("DROP TABLE facts", "schema"),
    ],
)
def test_what_all_depends_on_is_refused(statement, word, folder):
    change(folder, statement)
    with pytest.raises(DataError, match=word):
        Catalogue(folder / NAME)
    with pytest.raises(DataError, match=word):
        Collection(folder).verify()


def test_a_damaged_list_of_deleted_photographs_is_not_thrown_away(folder):
    change(folder, "UPDATE deleted SET size = 1")
    with Catalogue(folder / NAME) as catalogue:
        assert catalogue.damages() == [
            f"{GONE.key}: the row that says that it was deleted is damaged; sync with --undelete, then delete again "
            "what was deleted"
        ]
        with pytest.raises(DataError, match="--undelete"):
            catalogue.mend()
        catalogue.undelete()
        assert catalogue.mend() == HELD
        assert (catalogue.damages(), catalogue.deleted()) == ([], [])


def test_a_damaged_row_is_not_used_for_the_same_content(folder):
    one, copy = made_entry(6), made_entry(7)
    with Catalogue(folder / NAME) as catalogue:
        assert catalogue.with_content(one.content) == one
        change(folder, f"UPDATE images SET code = zeroblob(6) WHERE key = '{one.key}'")
        assert catalogue.with_content(one.content) == copy
        change(folder, f"UPDATE images SET code = zeroblob(6) WHERE key = '{copy.key}'")
        assert catalogue.with_content(one.content) is None
        with pytest.raises(DataError, match=one.key):
            catalogue.entries_of([one.key])
        with pytest.raises(DataError, match=one.key):
            catalogue.hide([one.key])


def test_no_two_states_have_the_same_generation(folder, tmp_path):
    with Catalogue(folder / NAME) as catalogue:
        first = catalogue.generation
    shutil.copy(folder / NAME, tmp_path / "backup")

    def changed(entry):
        with Catalogue(folder / NAME) as catalogue:
            catalogue.update([entry])
            return catalogue.generation, catalogue.state

    live = changed(made_entry(100))
    shutil.copy(tmp_path / "backup", folder / NAME)
    restored = changed(made_entry(101))
    (folder / NAME).unlink()
    with Catalogue(folder / NAME, FACTS, tmp_path) as catalogue:
        anew = catalogue.generation, catalogue.state
    assert len({first, live[0], restored[0], anew[0]}) == 4
    assert len({live[1], restored[1], anew[1]}) == 3


def test_the_state_is_that_of_the_images(folder, tmp_path):
    with Catalogue(folder / NAME) as catalogue:
        before, generation = catalogue.state, catalogue.generation
        catalogue.update([made_entry(100)])
        assert catalogue.state != before
        catalogue.update(gone=[made_entry(100).key], failures=[Failure("new.jpg", 1, 1, "it is empty")])
        assert catalogue.state == before
        assert catalogue.generation > generation
        catalogue.replace_by(catalogue, CodeFacts(CodeSpec(48, 4), "another", None))
        assert catalogue.state != before
        catalogue.move_to(tmp_path / "elsewhere")
        assert catalogue.folder == tmp_path / "elsewhere"
        assert catalogue.damages() == []
        found = DeletedFile(GONE.content, "moved.jpg", 1, 2)
        catalogue.note_deleted([found], [DeletedFile(GONE.content, GONE.key, GONE.size, GONE.modified)])
        assert catalogue.deleted() == [found]
        assert catalogue.info().hidden == 1


def test_another_database_is_left_alone(tmp_path):
    database = sqlite3.connect(tmp_path / NAME)
    database.execute("CREATE TABLE mine (value)")
    database.close()
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(DataError, match="not the catalogue"):
        Catalogue(tmp_path / NAME, FACTS, tmp_path)
    assert (tmp_path / NAME).read_bytes() == before
