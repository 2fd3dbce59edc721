"""Photographs that are added one by one keep their names as far as any file system takes them."""

import shutil

import numpy as np
import pytest

from ordhash import Encoder
from ordhash.collection.adding import safe_stem
from ordhash.collection.catalogue import Catalogue
from ordhash.collection.excluding import keep_patterns
from ordhash.errors import DataError, ImageError, InputError
from ordhash.model.encoder import Encoded


@pytest.fixture
def synced(collection, photo_folder, encoder):
    for path in sorted(photo_folder.rglob("*.jpg"))[6:]:
        path.rename(photo_folder.parent / path.name)
    collection.sync(photo_folder, encoder)
    return collection


@pytest.fixture
def photos(photo_folder):
    """Contents of JPEG files that the collection does not hold."""
    return [path.read_bytes() for path in sorted(photo_folder.parent.glob("*.jpg"))]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("IMG_0001.JPG", "IMG_0001.JPG"),
        ("scan.png", "scan.jpeg"),  # it is a JPEG
        ("Dr. Smith", "Dr. Smith.jpeg"),
        ("C:\\Photos\\beach.jpeg", "beach.jpeg"),
        ("../../../etc/cron.d/evil.jpg", "evil.jpg"),
        (".hidden.jpg", "hidden.jpg"),
        ("a\nb\x1b[2J\u202egpj.jpg", "ab[2Jgpj.jpg"),
        ("nul.jpg", "_nul.jpg"),
        ("what? <no>: a|b*.jpg", "what_ _no__ a_b_.jpg"),
        ("e\u0301te\u0301.jpg", "\u00e9t\u00e9.jpg"),
        ("half \ud800.jpg", "half.jpg"),
    ],
)
def test_names(name, key, synced, photos, photo_folder, encoder):
    assert synced.add(photos[0], encoder, name=name) == f"added/{key}"
    assert (photo_folder / "added" / key).read_bytes() == photos[0]
    assert synced.sync(photo_folder, encoder).unchanged == 7


@pytest.mark.parametrize("name", ["", ".", "..", "///", ".jpg", "\n", "   "])
def test_without_a_name_it_is_called_by_its_content(name, synced, photos, encoder):
    key = synced.add(photos[0], encoder, name=name)
    assert len(key.removeprefix("added/").partition(".")[0]) in (32, 3)


def test_long_names_are_cut_between_letters():
    assert safe_stem("\u00e9" * 500 + ".jpg") == "\u00e9" * 90
    assert safe_stem("a/" * 5000 + "b.jpg") == "b"


def test_nothing_is_written_over(synced, photos, photo_folder, encoder):
    keys = [synced.add(photo, encoder, name="a.jpg") for photo in photos[:3]]
    assert keys == ["added/a.jpg", "added/a-2.jpg", "added/a-3.jpg"]
    assert [(photo_folder / key).read_bytes() for key in keys] == photos[:3]
    assert synced.add(photos[1], encoder, name="b.jpg") == "added/a-2.jpg"  # there already
    (photo_folder / "added" / "b.jpg").symlink_to(photo_folder / "nowhere")
    assert synced.add(photos[3], encoder, name="b.jpg") == "added/b-2.jpg"


def test_what_was_deleted_is_restored(synced, photos, photo_folder, encoder):
    key = synced.add(photos[0], encoder, name="a.jpg")
    synced.delete([key])
    (photo_folder / key).rename(photo_folder / "moved.jpg")
    assert synced.sync(photo_folder, encoder).hidden == 1
    assert synced.add(photos[0], encoder, name="b.jpg") == "moved.jpg"
    assert synced.info().hidden == 0
    assert synced.sync(photo_folder, encoder).unchanged == 7


@pytest.mark.parametrize("failing", ["_write_facts", "note_deleted"])
def test_what_cannot_be_committed_leaves_nothing_behind(failing, synced, photos, photo_folder, encoder, monkeypatch):
    key = synced.add(photos[0], encoder, name="a.jpg")
    synced.delete([key])
    (photo_folder / key).unlink()
    before = synced.index().keys.tolist(), synced.info().hidden

    def full(*_, **__):
        raise DataError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, failing, full)
        for _ in range(2):
            with pytest.raises(DataError, match="full"):
                synced.add(photos[0], encoder, name="b.jpg")
    assert list((photo_folder / "added").iterdir()) == []
    assert (synced.index().keys.tolist(), synced.info().hidden) == before
    assert synced.verify() == []
    assert synced.add(photos[0], encoder, name="b.jpg") == "added/b.jpg"
    assert synced.info().hidden == 0


def test_what_cannot_be_encoded_is_no_failure_of_the_collection(synced, photos, photo_folder, encoder, monkeypatch):
    def fail(*_, **__):
        return iter([Encoded(np.zeros(0, np.intp), np.zeros((0, 24, 4)), [], [ImageError("image", "broken")], "x", [])])

    monkeypatch.setattr(Encoder, "stream", fail)
    with pytest.raises(ImageError, match="broken"):
        synced.add(photos[0], encoder)
    assert list((photo_folder / "added").iterdir()) == []
    assert synced.n_failures == 0


@pytest.mark.parametrize("inside", [True, False])
def test_a_link_is_refused(inside, synced, photos, photo_folder, encoder):
    elsewhere = photo_folder / "real" if inside else photo_folder.parent / "elsewhere"
    elsewhere.mkdir()
    (photo_folder / "added").symlink_to(elsewhere)
    with pytest.raises(DataError, match="added is a link"):
        synced.add(photos[0], encoder)
    assert list(elsewhere.iterdir()) == []
    (photo_folder / "added").unlink()
    (photo_folder / "added").write_text("a file")
    with pytest.raises(DataError, match="added is a file"):
        synced.add(photos[0], encoder)
    shutil.rmtree(photo_folder)
    with pytest.raises(DataError, match="disk"):
        synced.add(photos[0], encoder)


def test_what_a_sync_would_leave_out_is_refused(synced, photos, photo_folder, encoder):
    keep_patterns(synced.path, ["*.png", "added/private*"])
    with pytest.raises(InputError, match="left out"):
        synced.add(photos[0], encoder, name="private.jpg")
    assert not (photo_folder / "added").exists()
    assert synced.add(photos[0], encoder, name="public.jpg") == "added/public.jpg"
    (photo_folder / "added" / ".nomedia").touch()
    with pytest.raises(InputError, match="left out"):
        synced.add(photos[1], encoder)
