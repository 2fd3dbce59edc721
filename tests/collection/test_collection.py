"""A collection stays in step with its folder, whatever happens to either."""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from permissions import forbid_writing, unprivileged
from PIL import Image

from ordhash import Encoder, OrdinalIndex
from ordhash.codes.file import read_codes
from ordhash.collection import Collection, sync
from ordhash.collection import collection as module
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.fingerprints import NEAR_DUPLICATE
from ordhash.errors import DataError, ImageError, InputError, SyncRunningError
from ordhash.search import Target, search_by_images


def contents(collection):
    """What the catalogue says, but for the times of the files."""
    with Catalogue(collection.path / "catalogue.sqlite") as catalogue:
        return [(entry.key, entry.content, entry.code, entry.fingerprint, entry.parts) for entry in catalogue.entries()]


def counts(report):
    return report.encoded, report.reused, report.forgotten, report.unchanged, len(report.failures)


def test_a_sync_encodes_what_is_new_and_forgets_what_is_gone(collection, photo_folder, encoder):
    assert counts(collection.sync(photo_folder, encoder)) == (18, 0, 0, 0, 0)
    assert counts(collection.sync(photo_folder, encoder)) == (0, 0, 0, 18, 0)
    index = collection.index()
    assert index.keys.tolist() == sorted(f"{c}/{c}_{i}.jpg" for c in ("apple", "banana", "carrot") for i in range(6))
    assert index.metadata["folder"].unique().to_pylist() == ["apple", "banana", "carrot"]
    paths = [photo_folder / key for key in index.keys]
    np.testing.assert_array_equal(index.codes.symbols, encoder.encode(paths).symbols)

    (photo_folder / "apple/apple_0.jpg").unlink()
    shutil.copy(photo_folder / "apple/apple_1.jpg", photo_folder / "new.jpg")
    (photo_folder / "carrot").rename(photo_folder / "vegetables")
    shutil.copyfile(photo_folder / "banana/banana_0.jpg", photo_folder / "banana/banana_1.jpg")
    os.utime(photo_folder / "banana/banana_2.jpg")
    report = collection.sync(photo_folder, encoder)
    assert counts(report) == (0, 8, 1, 10, 0)  # six moved and two copied files are known by their content
    assert collection.duplicates().groups == [
        ["apple/apple_1.jpg", "new.jpg"],
        ["banana/banana_0.jpg", "banana/banana_1.jpg"],
    ]
    assert len(collection.index()) == 18
    assert collection.verify() == []
    assert len(list(collection.path.glob("*.index"))) == 1


def test_images_that_cannot_be_used_are_tried_again_when_they_change(collection, photo_folder, encoder, bad_files):
    for path in bad_files.values():
        shutil.copy(path, photo_folder / path.name)
    report = collection.sync(photo_folder, encoder)
    assert counts(report) == (18, 0, 0, 0, 4)
    assert sorted(Path(failure.source).name for failure in report.failures) == sorted(
        p.name for p in bad_files.values()
    )
    again = collection.sync(photo_folder, encoder)
    assert (counts(again), again.remembered) == ((0, 0, 0, 18, 0), 4)  # nothing new
    shutil.copyfile(photo_folder / "apple/apple_0.jpg", photo_folder / "text.jpg")
    (photo_folder / "empty.jpg").unlink()
    again = collection.sync(photo_folder, encoder)
    assert (counts(again), again.remembered) == ((0, 1, 0, 18, 0), 2)
    assert collection.info().unusable == 2


def test_odd_files_and_folders(collection, photo_folder, encoder):
    (photo_folder / ".hidden.jpg").write_bytes(b"x")
    (photo_folder / "notes.txt").write_text("no picture")
    (photo_folder / "loop").symlink_to(photo_folder)
    (photo_folder / "gone.jpg").symlink_to(photo_folder / "nowhere.jpg")
    Path(os.fsdecode(os.fsencode(photo_folder) + b"/\xff.jpg")).write_bytes(b"x")
    report = collection.sync(photo_folder, encoder)
    assert counts(report) == (18, 0, 0, 0, 1)
    assert "not valid Unicode" in report.failures[0].reason


def test_a_folder_that_cannot_be_read_now_loses_nothing(collection, photo_folder, encoder, monkeypatch):
    collection.sync(photo_folder, encoder)
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "apple":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        report = collection.sync(photo_folder, encoder)
    assert counts(report) == (0, 0, 0, 12, 1)
    assert "Permission denied" in report.failures[0].reason
    assert len(collection.index()) == 18
    shutil.rmtree(photo_folder)
    for _ in range(2):  # a disk that is not there, then an empty mount point
        with pytest.raises(DataError, match=r"folder|disk"):
            collection.sync(photo_folder, encoder)
        assert len(collection.index()) == 18
        photo_folder.mkdir(exist_ok=True)


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_sync(collection, photo_folder, encoder, monkeypatch):
    changed, read = photo_folder / "apple/apple_0.jpg", sync.read_listed

    def change_and_read(file):
        if file.path == changed:
            changed.write_bytes(changed.read_bytes() + b"\0")
        return read(file)

    with monkeypatch.context() as patch:
        patch.setattr(sync, "read_listed", change_and_read)
        report = collection.sync(photo_folder, encoder)
    assert counts(report) == (17, 0, 0, 0, 1)
    assert "changed while it was read" in report.failures[0].reason
    assert collection.sync(photo_folder, encoder).encoded == 1


def test_another_model_or_folder_is_refused(collection, photo_folder, tiny_model, cache, tmp_path):
    collection.sync(photo_folder, Encoder(tiny_model))
    from ordhash.data import read_folder
    from ordhash.learn import DOHConfig, TrainConfig, train

    config = DOHConfig(weights=None, image_size=64, hidden=8, local_hidden=8)
    settings = TrainConfig(epochs=1, accelerator="cpu")
    other = train(read_folder(photo_folder), config, settings, out=tmp_path / "run", cache=cache).model
    with pytest.raises(InputError, match="--reencode"):
        collection.sync(photo_folder, Encoder(other))
    assert len(collection.index()) == 18
    assert collection.sync(photo_folder, Encoder(other), reencode=True).encoded == 18
    assert collection.index().model_id == Encoder(other).model_id
    with pytest.raises(InputError, match="is a collection of"):
        collection.sync(photo_folder / "apple", Encoder(other))


def test_one_writer_at_a_time(collection, photo_folder, encoder):
    collection.path.mkdir()
    with (collection.path / "lock").open("a+") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"process 4711.*--wait"):
            collection.sync(photo_folder, encoder)
    assert collection.sync(photo_folder, encoder, wait=True).encoded == 18


def test_a_damaged_index_is_made_anew(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    (path,) = collection.path.glob("*.index")
    for content in (b"", b"hello", path.read_bytes()[:-300]):
        path.write_bytes(content)
        assert "the next search rebuilds it" in collection.verify()[0]
        assert len(collection.index()) == 18
        assert collection.verify() == []
    OrdinalIndex(collection.index().codes[:3]).save(path)
    assert "the next search rebuilds it" in collection.verify()[0]
    assert len(collection.index()) == 18


def test_a_damaged_catalogue_is_reported(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    path = collection.path / "catalogue.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("UPDATE images SET code = zeroblob(6) WHERE key = 'apple/apple_3.jpg'")
    assert collection.verify() == ["apple/apple_3.jpg: its row is damaged; sync again"]
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes(len(whole) - 100))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"catalogue\.sqlite: its list of deleted photographs is damaged.*--undelete"):
        collection.sync(photo_folder, encoder)
    assert collection.sync(photo_folder, encoder, undelete=True).encoded == 18
    assert collection.verify() == []
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(DataError, match=r"catalogue\.sqlite is damaged.*untouched"):
        collection.index()
    with pytest.raises(DataError, match="is not a collection"):
        Collection(photo_folder).index()


@pytest.mark.parametrize("change", ["touch", "rename", "copy", "nothing"])
def test_a_damaged_code_is_never_taken_over(change, collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    wanted = dict(zip(collection.index().keys.tolist(), collection.index().codes.symbols.tolist(), strict=True))
    with sqlite3.connect(collection.path / "catalogue.sqlite", isolation_level=None) as database:
        database.execute("UPDATE images SET code = zeroblob(12), fingerprint = NULL WHERE key = 'apple/apple_3.jpg'")
    first, new = photo_folder / "apple/apple_3.jpg", photo_folder / "new.jpg"
    if change == "touch":
        os.utime(first)
    elif change == "rename":
        first.rename(new)
    elif change == "copy":
        shutil.copy(first, new)
    assert collection.sync(photo_folder, encoder).encoded == 1
    assert collection.verify(photographs=True) == []
    index = collection.index()
    for key, symbols in zip(index.keys.tolist(), index.codes.symbols.tolist(), strict=True):
        assert symbols == wanted["apple/apple_3.jpg" if key == "new.jpg" else key]


def test_an_index_that_cannot_be_written_is_searched_all_the_same(collection, photo_folder, encoder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(OrdinalIndex, "save", full)
        collection.sync(photo_folder, encoder)
        assert len(collection.index()) == 18
    assert list(collection.path.glob("*.index")) == []
    assert len(collection.index()) == 18
    assert len(list(collection.path.glob("*.index"))) == 1


def test_codes_of_a_collection_as_a_file(collection, photo_folder, encoder, tmp_path):
    collection.sync(photo_folder, encoder)
    assert collection.export(tmp_path / "codes.parquet") == 18
    table = read_codes(tmp_path / "codes.parquet")
    assert table.keys.tolist() == collection.index().keys.tolist()
    assert table.metadata.column_names == ["folder", "size", "modified"]


@pytest.mark.slow  # encodes large pictures
@pytest.mark.usefixtures("many_parts")
def test_parts_of_photographs_are_kept(collection, photo_folder, encoder, tmp_path):
    collection.sync(photo_folder, encoder)
    paths = sorted(photo_folder.rglob("*.jpg"))
    wanted = encoder.run(paths, parts=True).parts
    assert len(wanted) > 0

    def check():
        collection.export(tmp_path / "codes.parquet")
        for parts in (collection.index().parts, read_codes(tmp_path / "codes.parquet").parts):
            np.testing.assert_array_equal(parts.owners, wanted.owners)
            np.testing.assert_array_equal(parts.codes.symbols, wanted.codes.symbols)
            np.testing.assert_array_equal(parts.boxes, wanted.boxes)

    check()
    for path in paths:  # moved: their parts are taken over, not encoded again
        path.rename(path.with_name(f"moved_{path.name}"))
    assert counts(collection.sync(photo_folder, encoder)) == (0, 18, 0, 0, 0)
    check()


def test_near_duplicates_are_told_apart_from_what_looks_alike(collection, photo_folder, encoder):
    coffee = Image.fromarray(skimage.data.coffee())
    coffee.save(photo_folder / "coffee.png")
    coffee.resize((150, 100)).save(photo_folder / "small.jpg", quality=50)
    coffee.crop((200, 0, 600, 300)).save(photo_folder / "part.png")
    shutil.copy(photo_folder / "coffee.png", photo_folder / "copy.png")
    for number, grey in enumerate((200, 10)):
        Image.new("RGB", (64, 64), (grey,) * 3).save(photo_folder / f"plain_{number}.png")
    collection.sync(photo_folder, encoder)
    assert collection.duplicates().groups == [["coffee.png", "copy.png"]]
    assert collection.duplicates(distance=NEAR_DUPLICATE).groups == [["coffee.png", "copy.png", "small.jpg"]]
    assert collection.duplicates(distance=0).groups == [["coffee.png", "copy.png"]]
    with pytest.raises(InputError, match="distance"):
        collection.duplicates(distance=NEAR_DUPLICATE + 1)

    target = Target(encoder, collection.index(), collection)
    for query, same in (("copy.png", {"coffee.png", "copy.png", "small.jpg"}), ("plain_0.png", set())):
        answers, _ = search_by_images([photo_folder / query], target, top_k=24)
        assert {answer.key for answer in answers[0].found if answer.near_duplicate} == same


def test_photographs_are_read_again(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    assert collection.verify(photographs=True) == []
    damaged, changed, gone = (photo_folder / "apple" / f"apple_{n}.jpg" for n in range(3))
    status = damaged.stat()
    damaged.write_bytes(bytes([damaged.read_bytes()[0] ^ 1]) + damaged.read_bytes()[1:])
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    changed.write_bytes(b"other")
    gone.unlink()
    assert collection.verify() == []
    sentences = collection.verify(photographs=True)
    assert [sentence.partition(": ")[0] for sentence in sentences] == [str(damaged), str(changed), str(gone)]
    assert "content" in sentences[0]
    assert "sync again" in sentences[1]
    assert "gone" in sentences[2]


def test_a_catalogue_of_an_older_format_is_refused(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    with sqlite3.connect(collection.path / "catalogue.sqlite") as database:
        database.execute("UPDATE facts SET value = '1' WHERE name IN ('format', 'generation')")
    with pytest.raises(DataError, match=r"format 1.*older.*sync again"):
        collection.index()


def test_a_collection_that_may_only_be_read(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    (path,) = collection.path.glob("*.index")
    forbid_writing(collection.path)
    with unprivileged(collection.path):
        with pytest.raises(OSError, match="Permission denied"):
            path.write_bytes(b"")
        assert len(collection.index()) == 18
        assert collection.info().count == 18
        assert collection.verify(photographs=True) == []
        with pytest.raises((DataError, OSError), match=r"Permission denied|readonly"):
            collection.sync(photo_folder, encoder)
    collection.path.chmod(0o755)
    path.unlink()
    collection.path.chmod(0o555)
    with unprivileged(collection.path):
        assert len(collection.index()) == 18  # made in memory
    collection.path.chmod(0o755)
    assert list(collection.path.glob("*.index")) == []


def test_a_collection_that_may_only_be_read_while_somebody_writes(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    for path in collection.path.iterdir():
        path.chmod(0o644)
    collection.path.chmod(0o755)
    with unprivileged(collection.path):
        reader = Collection(collection.path)
        assert len(reader.index()) == 18
    shutil.copy(photo_folder / "apple/apple_0.jpg", photo_folder / "new.jpg")
    collection.sync(photo_folder, encoder)
    with unprivileged(collection.path):
        assert len(reader.index()) == 19  # it has the catalogue open
        assert reader.verify() == []
        reader.close()


def test_a_photograph_that_may_not_be_read_is_tried_again(photo_folder, encoder, tmp_path):
    secret, place = photo_folder / "apple/apple_0.jpg", tmp_path / "anybody's"
    place.mkdir()
    place.chmod(0o777)
    secret.chmod(0o000)
    with unprivileged(place):
        report = Collection(place / "collection").sync(photo_folder, encoder)
    secret.chmod(0o644)
    assert counts(report) == (17, 0, 0, 0, 1)
    assert "permission to read the file is denied" in str(report.failures[0])
    with unprivileged(place):
        assert counts(Collection(place / "collection").sync(photo_folder, encoder)) == (1, 0, 0, 17, 0)


FULL_DISK = """
import resource, signal, sys
from ordhash import Encoder
from ordhash.collection import Collection
from ordhash.errors import DataError
encoder = Encoder(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    Collection(sys.argv[1]).sync(sys.argv[2], encoder)
except (DataError, OSError) as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("room", "sentence"), [(0, "File too large"), (5_000, "cannot be used"), (20_000, "cannot be used")]
)
def test_a_full_disk_loses_nothing(room, sentence, collection, photo_folder, tiny_model):
    """A limit of the size of files stands for the disk."""
    command = [sys.executable, "-c", FULL_DISK, collection.path, photo_folder, tiny_model, str(room)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sentence in shown
    collection.sync(photo_folder, Encoder(tiny_model))
    assert len(collection.index()) == 18
    assert collection.verify() == []


def test_what_is_deleted_stays_away_and_its_file_stays_there(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    before = collection.generation
    collection.delete(["apple/apple_0.jpg", "carrot/carrot_5.jpg"])
    assert collection.generation > before
    assert (photo_folder / "apple/apple_0.jpg").exists()
    assert len(collection.index()) == 16
    report = collection.sync(photo_folder, encoder)
    assert (*counts(report), report.hidden) == (0, 0, 0, 16, 0, 2)
    assert collection.info().hidden == 2
    with pytest.raises(InputError, match=r"apple/apple_0\.jpg"):
        collection.delete(["apple/apple_1.jpg", "apple/apple_0.jpg"])
    assert len(collection.index()) == 16
    # Its folder away for a while, as that of a disk that is not there.
    (photo_folder / "apple").rename(photo_folder.parent / "away")
    assert collection.sync(photo_folder, encoder).hidden == 1
    (photo_folder.parent / "away").rename(photo_folder / "apple")
    report = collection.sync(photo_folder, encoder)
    assert (report.encoded, report.hidden) == (5, 2)
    # Its file gone, and another one of that name: that is a new photograph.
    (photo_folder / "apple/apple_0.jpg").unlink()
    assert collection.sync(photo_folder, encoder).hidden == 1
    shutil.copy(photo_folder / "banana/banana_0.jpg", photo_folder / "apple/apple_0.jpg")
    assert counts(collection.sync(photo_folder, encoder)) == (0, 1, 0, 16, 0)
    report = collection.sync(photo_folder, encoder, undelete=True)
    assert (*counts(report), report.hidden) == (1, 0, 0, 17, 0, 0)


def test_one_photograph_is_added(collection, photo_folder, encoder, bad_files, tmp_path):
    collection.sync(photo_folder, encoder)
    buffer = tmp_path / "new.png"
    Image.fromarray(skimage.data.astronaut()).resize((64, 64)).save(buffer)
    key = collection.add(buffer.read_bytes(), encoder)
    assert key == f"added/{sync.content_id(buffer.read_bytes()).hex()}.png"
    assert (photo_folder / key).read_bytes() == buffer.read_bytes()
    index = collection.index()
    row = index.keys.tolist().index(key)
    np.testing.assert_array_equal(index.codes.symbols[row], encoder.encode([buffer]).symbols[0])
    assert counts(collection.sync(photo_folder, encoder)) == (0, 0, 0, 19, 0)
    # The same content again, and that of another photograph: nothing is written.
    assert collection.add(buffer.read_bytes(), encoder) == key
    assert collection.add((photo_folder / "apple/apple_1.jpg").read_bytes(), encoder) == "apple/apple_1.jpg"
    assert len(list((photo_folder / "added").iterdir())) == 1
    for name in ("text", "empty", "truncated"):
        with pytest.raises(ImageError):
            collection.add(bad_files[name].read_bytes(), encoder)
    assert len(list((photo_folder / "added").iterdir())) == 1
    # Deleted, and added again.
    collection.delete([key])
    assert collection.add(buffer.read_bytes(), encoder) == key
    assert counts(collection.sync(photo_folder, encoder)) == (0, 0, 0, 19, 0)
    # Known, and its file is gone: what is added is kept all the same.
    content = (photo_folder / "apple/apple_1.jpg").read_bytes()
    (photo_folder / "apple/apple_1.jpg").unlink()
    again = collection.add(content, encoder)
    assert (photo_folder / again).read_bytes() == content
    assert counts(collection.sync(photo_folder, encoder)) == (0, 0, 1, 19, 0)


def test_the_index_follows_what_is_added_and_deleted(collection, photo_folder, encoder, monkeypatch):
    apart = (photo_folder / "apple/apple_0.jpg").rename(photo_folder.parent / "apart.jpg")
    collection.sync(photo_folder, encoder)
    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "entries", lambda catalogue: pytest.fail("all rows are read"))
        key = collection.add(apart.read_bytes(), encoder)
        assert key in collection.index().keys
        collection.delete(["banana/banana_1.jpg", "carrot/carrot_0.jpg"])
        assert len(collection.index()) == 16
    assert collection.verify() == []


def test_a_collection_inside_its_folder_holds_no_photographs(photo_folder, encoder):
    collection = Collection(photo_folder / "photos.collection")
    collection.sync(photo_folder, encoder)
    shutil.copytree(photo_folder / "apple", collection.path / "thumbnails")
    assert counts(collection.sync(photo_folder, encoder)) == (0, 0, 0, 18, 0)


def test_a_photograph_of_another_model_is_not_added(collection, photo_folder, encoder, calibrated_model):
    collection.sync(photo_folder, encoder)
    with pytest.raises(InputError, match="model"):
        collection.add((photo_folder / "apple/apple_1.jpg").read_bytes(), Encoder(calibrated_model))
    shutil.rmtree(photo_folder)
    with pytest.raises(DataError, match="disk"):
        collection.add(b"...", encoder)


def test_how_far_a_sync_is(collection, photo_folder, encoder, monkeypatch):
    assert collection.progress() is None
    seen = []
    take = sync.take_files

    def watched(*arguments):
        seen.append(collection.progress())
        take(*arguments)
        seen.append(collection.progress())

    monkeypatch.setattr(sync, "take_files", watched)
    monkeypatch.setattr(sync, "_CHUNK_FILES", 10)
    collection.sync(photo_folder, encoder)
    assert [(one.done, one.total) for one in seen] == [(0, 18), (0, 18), (10, 18), (10, 18)]
    assert 0 <= seen[0].seconds <= seen[-1].seconds < 60
    assert collection.progress() is None
    (collection.path / "sync.json").write_bytes(b"{")  # of a sync that was killed
    assert collection.progress() is None
    with collection._locked(wait=False):  # held, and not by a sync; a change in between must wait
        assert collection.progress() is None
        with pytest.raises(SyncRunningError, match="process"):
            collection.delete(["apple/apple_1.jpg"])
        (collection.path / "sync.json").write_bytes(b"{")
        assert (collection.progress().done, collection.progress().total) == (0, 0)
    assert not (collection.path / "sync.json").exists()


def test_looking_at_the_progress_gets_in_nobodys_way(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    over = threading.Event()

    def look():
        while not over.is_set():
            collection.progress()

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for key in collection.index().keys.tolist()[:10]:
            collection.delete([key])
    finally:
        over.set()
    assert len(collection.index()) == 8


def test_rows_are_of_the_model_that_was_checked(collection, photo_folder, encoder, monkeypatch):
    """Between the check and the rows, nobody can commit codes of another model."""
    collection.sync(photo_folder, encoder)
    check, tried = module.check_same_model, []

    def change(*models, **names):
        database = sqlite3.connect(collection.path / "catalogue.sqlite", isolation_level=None, timeout=0)
        with contextlib.closing(database), pytest.raises(sqlite3.OperationalError, match="locked"):
            database.execute("UPDATE images SET code = zeroblob(12)")
        tried.append(models)
        check(*models, **names)

    monkeypatch.setattr(module, "check_same_model", change)
    (entry,) = collection.entries(["apple/apple_0.jpg"], model_id=encoder.model_id)
    assert entry.code != bytes(12)
    assert len(tried) == 1
