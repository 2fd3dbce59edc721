"""What a collection no longer needs is removed."""

import os
import shutil

from ordhash import Encoder
from ordhash.data import content_id


def thumbnail(collection, photo, side=320):
    content = content_id(photo).hex()
    path = collection.thumbnails / content[:2] / f"{content}-{side}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"small")
    return path


def test_small_pictures_go_with_their_photographs(collection, photo_folder, encoder):
    shutil.copy(photo_folder / "carrot/carrot_0.jpg", photo_folder / "copy.jpg")
    collection.sync(photo_folder, encoder)
    names = (
        "apple/apple_0.jpg",
        "apple/apple_1.jpg",
        "banana/banana_0.jpg",
        "carrot/carrot_0.jpg",
        "carrot/carrot_1.jpg",
    )
    deleted, _forgotten, _changed, copied, kept = (thumbnail(collection, photo_folder / name) for name in names)
    large = thumbnail(collection, photo_folder / names[0], side=640)
    collection.delete([names[0], names[3]])
    assert not deleted.exists()
    assert not large.exists()
    assert copied.exists()
    (photo_folder / names[1]).unlink()
    (photo_folder / names[2]).write_bytes((photo_folder / names[4]).read_bytes() + b"\0")
    not_ours = collection.thumbnails / kept.parent.name / "notes.txt"
    not_ours.touch()
    collection.sync(photo_folder, encoder)
    assert sorted(path for path in collection.thumbnails.rglob("*") if path.is_file()) == sorted(
        [copied, kept, not_ours]
    )
    collection.sync(photo_folder, encoder)
    assert kept.exists()


def test_what_killed_saves_left_is_removed(collection, photo_folder, encoder):
    collection.sync(photo_folder, encoder)
    picture = thumbnail(collection, photo_folder / "apple/apple_0.jpg")
    (photo_folder / "added").mkdir()
    left = [
        collection.path / ".7.index.0123abcd.tmp",
        picture.with_name(f".{picture.name}.0123abcd.tmp"),
        photo_folder / "added" / ".photo.jpg.0123abcd.tmp",
    ]
    not_ours = collection.path / ".something.tmp"
    for path in (*left, not_ours):
        path.touch()
    collection.sync(photo_folder, encoder)
    assert not any(path.exists() for path in left)
    assert not_ours.exists()


def test_the_model_is_kept_in_the_collection_and_old_ones_are_not(
    collection, photo_folder, tiny_model, calibrated_model, tmp_path
):
    given = tmp_path / "given.onnx"
    shutil.copy(tiny_model, given)
    collection.sync(photo_folder, Encoder(given))
    given.unlink()
    kept = collection.model()
    assert kept.read_bytes() == tiny_model.read_bytes()
    assert kept.parent == collection.path
    assert not collection.has_own_model
    assert collection.sync(photo_folder, Encoder(collection.model())).unchanged == 18
    assert not collection.has_own_model
    theirs = collection.path / "model-mine.onnx"
    theirs.write_bytes(b"of the user")
    collection.sync(photo_folder, Encoder(calibrated_model), reencode=True)
    own = collection.path / f"model-{collection.model_id}.onnx"
    assert sorted(collection.path.glob("*.onnx")) == sorted([own, theirs])
    os.truncate(collection.model(), 1000)  # a damaged copy is mended by the next sync that is given the model
    assert collection.sync(photo_folder, Encoder(calibrated_model)).unchanged == 18
    assert collection.model().read_bytes() == calibrated_model.read_bytes()
