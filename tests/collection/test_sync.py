"""What a sync forgets and what it keeps."""

import shutil

import pytest

from ordhash import Encoder
from ordhash.collection import Collection
from ordhash.collection.absences import Absences
from ordhash.collection.tables import Table
from ordhash.errors import DataError


@pytest.fixture
def sync(photo_folder, tiny_model, tmp_path):
    """Syncs the folder of 18 photographs in three sub-folders; done once already."""
    encoder = Encoder(tiny_model)

    def run(encoder=encoder, **options):
        report = Collection(tmp_path / "c").sync(photo_folder, encoder, **options)
        return report.encoded, report.reused, report.forgotten, report.kept, report.unchanged, len(report.failures)

    assert run() == (18, 0, 0, 0, 0, 0)
    return run


def test_an_emptied_sub_folder_is_kept_until_asked(sync, photo_folder):
    (photo_folder / "apple").rename(photo_folder.parent / "away")
    (photo_folder / "apple").mkdir()
    assert sync() == (0, 0, 0, 6, 12, 1)
    (photo_folder / "apple").rmdir()
    (photo_folder.parent / "away").rename(photo_folder / "apple")
    assert sync() == (0, 0, 0, 0, 18, 0)
    for path in (photo_folder / "apple").iterdir():
        path.unlink()
    assert sync(forget=True) == (0, 0, 6, 0, 12, 0)


def test_a_sorted_inbox_has_lost_nothing(sync, photo_folder):
    (photo_folder / "sorted").mkdir()
    for path in (photo_folder / "apple").iterdir():
        path.rename(photo_folder / "sorted" / path.name)
    assert sync() == (0, 6, 0, 0, 12, 0)


def interrupted_at_the_end(sync, **options):
    """A sync that has taken all files and forgets none."""

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Absences, "note_moves", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sync(**options)


def move(folder, to):
    to.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.rename(to / path.name)


def test_a_sorted_inbox_leaves_no_ghosts_after_an_interrupted_sync(sync, photo_folder):
    move(photo_folder / "apple", photo_folder / "sorted")
    interrupted_at_the_end(sync)
    assert sync() == (0, 0, 6, 0, 18, 0)
    assert sync() == (0, 0, 0, 0, 18, 0)


def test_a_sorted_inbox_leaves_no_ghosts_when_its_copies_are_known(sync, photo_folder):
    shutil.copytree(photo_folder / "apple", photo_folder / "sorted")
    assert sync() == (0, 6, 0, 0, 18, 0)
    for path in (photo_folder / "apple").iterdir():
        path.unlink()
    assert sync() == (0, 0, 6, 0, 18, 0)


def test_a_sorted_inbox_leaves_no_ghosts_where_other_photographs_were(sync, photo_folder):
    for number in range(6):
        (photo_folder / f"apple/apple_{number}.jpg").rename(photo_folder / f"banana/banana_{number}.jpg")
    assert sync() == (0, 6, 6, 0, 6, 0)
    assert sync() == (0, 0, 0, 0, 12, 0)


def test_a_sorted_inbox_leaves_no_ghosts_after_an_interrupted_encoding(sync, photo_folder, other_encoder, tmp_path):
    move(photo_folder / "apple", photo_folder / "sorted")
    again = {"encoder": other_encoder, "reencode": True}
    interrupted_at_the_end(sync, **again)
    assert sync(**again) == (0, 0, 0, 0, 18, 0)
    assert len(Collection(tmp_path / "c").index()) == 18


def test_an_emptied_folder_is_refused_until_asked(sync, photo_folder):
    shutil.rmtree(photo_folder)
    photo_folder.mkdir()
    with pytest.raises(DataError, match="--forget"):
        sync()
    assert sync(forget=True) == (0, 0, 18, 0, 0, 0)


def test_links_to_a_disk_that_is_not_there_are_kept(sync, photo_folder):
    disk = photo_folder.parent / "disk"
    disk.mkdir()
    (photo_folder / "apple/apple_0.jpg").rename(disk / "a.jpg")
    (photo_folder / "apple/apple_0.jpg").symlink_to(disk / "a.jpg")
    assert sync() == (0, 0, 0, 0, 18, 0)
    disk.rename(photo_folder.parent / "unplugged")
    assert sync() == (0, 0, 0, 0, 17, 1)
    (photo_folder / "apple/apple_0.jpg").unlink()
    assert sync() == (0, 0, 1, 0, 17, 0)


def test_the_catalogue_is_read_once_and_again_if_it_has_changed(sync, photo_folder, monkeypatch):
    scan, scans = Table.scan, []

    def counted(self, total):
        scans.append(self.name)
        return scan(self, total)

    monkeypatch.setattr(Table, "scan", counted)
    assert sync() == (0, 0, 0, 0, 18, 0)
    assert scans.count("images") == 1
    scans.clear()
    (photo_folder / "apple/apple_0.jpg").rename(photo_folder / "moved.jpg")
    assert sync() == (0, 1, 0, 0, 17, 0)
    assert scans.count("images") == 2


@pytest.mark.parametrize("where", ["ordhash.data.decoding.check_memory", "ordhash.model.inference.prepare"])
def test_a_shortage_of_memory_passes(where, sync, photo_folder, monkeypatch):
    changed = photo_folder / "apple/apple_0.jpg"
    shutil.copyfile(photo_folder / "banana/banana_0.jpg", changed)
    changed.write_bytes(changed.read_bytes() + b"\0")

    def fail(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(where, fail)
        assert sync() == (0, 0, 0, 0, 17, 1)
        assert sync() == (0, 0, 0, 0, 17, 1)  # tried again
    assert sync() == (1, 0, 0, 0, 17, 0)


def test_what_lacks_memory_keeps_its_code(sync, photo_folder, tmp_path, monkeypatch):
    (photo_folder / "apple/apple_0.jpg").write_bytes((photo_folder / "apple/apple_1.jpg").read_bytes() + b"\0")

    def fail(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("ordhash.model.inference.prepare", fail)
        sync()
    with Collection(tmp_path / "c") as collection:
        assert "apple/apple_0.jpg" in collection.index().keys
        assert collection.n_failures == 0
