"""Groups of images that show the same picture."""

import os

import numpy as np
import pytest
import skimage.data
from PIL import Image

from ordhash.collection import duplicates
from ordhash.collection.duplicates import Duplicates, duplicate_groups, duplicates_in, without_links
from ordhash.collection.fingerprints import NEAR_DUPLICATE, fingerprint, fingerprint_distance
from ordhash.collection.listing import state_of
from ordhash.collection.rows import Entry
from ordhash.data import prepare
from ordhash.errors import InputError


def entries_of(pictures):
    return [
        Entry(f"{n:03}.png", 1, 1, bytes([n, n >> 8]) * 8, b"", fingerprint(prepare(picture, 160, "squash")))
        for n, picture in enumerate(pictures)
    ]


def photograph(name):
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def test_a_chain_of_small_steps_is_no_group():
    sky = photograph("hubble_deep_field")
    entries = entries_of([sky.crop((3 * step, 100, 3 * step + 500, 500)) for step in range(12)])
    by_key = {entry.key: entry for entry in entries}
    groups = duplicate_groups(entries, NEAR_DUPLICATE)
    assert groups
    assert not any({"000.png", "011.png"} <= set(keys) for keys in groups)
    for first, *others in groups:
        for other in others:
            assert fingerprint_distance(by_key[first].fingerprint, by_key[other].fingerprint) <= NEAR_DUPLICATE


def test_turned_and_mirrored_copies_are_in_the_group():
    cat, coffee = photograph("chelsea"), photograph("coffee")
    turned = [cat.transpose(way) for way in Image.Transpose]
    entries = entries_of([coffee, cat, *turned, coffee.resize((200, 133))])
    assert duplicate_groups(entries, NEAR_DUPLICATE) == [["000.png", "009.png"], [f"{n:03}.png" for n in range(1, 9)]]
    assert duplicate_groups(entries, None) == []


def test_equal_files_are_in_the_group_of_their_picture():
    small = photograph("coffee").resize((200, 133))
    one, other, third, fourth = entries_of([photograph("coffee"), small, Image.new("RGB", (50, 50)), small])
    again = [
        Entry("004.png", 1, 1, other.content, b"", other.fingerprint),
        Entry("005.png", 1, 1, third.content, b"", None),
    ]
    entries = [one, other, third, fourth, *again]
    assert duplicate_groups(entries, NEAR_DUPLICATE) == [
        ["000.png", "001.png", "003.png", "004.png"],
        ["002.png", "005.png"],
    ]
    assert duplicate_groups(entries, None) == [["001.png", "004.png"], ["002.png", "005.png"]]


def test_only_the_nearest_of_many_with_the_same_hash_are_compared(monkeypatch):
    """Flags of one layout: thousands of them must not be compared in pairs, and copies are still found."""
    rng, compared = np.random.default_rng(0), []
    flags = rng.integers(20, 235, (16, 3, 3), dtype=np.uint8)
    pictures = [Image.fromarray(np.repeat(flag, 60, axis=0)[None].repeat(120, axis=0)) for flag in flags]
    entries = entries_of([*pictures, pictures[7].resize((90, 60))])
    count = duplicates.distances_to
    monkeypatch.setattr(duplicates, "distances_to", lambda one, some: compared.append(len(some)) or count(one, some))
    monkeypatch.setattr(duplicates, "_COMPARED", 8)
    assert duplicate_groups(entries, NEAR_DUPLICATE) == [["007.png", "016.png"]]
    assert max(compared) <= 8


@pytest.mark.parametrize("distance", [-1, NEAR_DUPLICATE + 1])
def test_a_distance_that_is_not_compared(distance):
    with pytest.raises(InputError, match="distance"):
        duplicate_groups([], distance)


def test_nothing_to_compare():
    assert duplicate_groups([], NEAR_DUPLICATE) == []
    assert duplicate_groups(entries_of([Image.new("RGB", (50, 50)), Image.new("RGB", (40, 40), "red")]), 0) == []


@pytest.mark.parametrize("distance", [None, NEAR_DUPLICATE])
def test_what_is_no_longer_a_copy_is_left_out(distance, tmp_path):
    picture = photograph("coffee").resize((120, 80))
    for name in ("changed.png", "copy.png", "first.png", "gone.png", "touched.png"):
        picture.save(tmp_path / name)
    entries = [
        Entry(path.name, *state_of(path.stat()), bytes(16), b"", fingerprint(prepare(picture, 160, "squash")))
        for path in sorted(tmp_path.iterdir())
    ]
    assert len(duplicates_in(tmp_path, entries, distance).groups[0]) == 5
    (tmp_path / "gone.png").unlink()
    (tmp_path / "changed.png").write_bytes(b"another")
    os.utime(tmp_path / "touched.png", (1, 1))
    assert duplicates_in(tmp_path, entries, distance) == Duplicates([["copy.png", "first.png"]], 3)
    (tmp_path / "copy.png").unlink()
    assert duplicates_in(tmp_path, entries, distance) == Duplicates([], 4)


def test_links_are_no_copies(tmp_path):
    (tmp_path / "real").mkdir()
    for name in ("real/one.jpg", "copy.jpg"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "a-link.jpg").symlink_to("real/one.jpg")
    (tmp_path / "b-folder").symlink_to("real")
    (tmp_path / "hard.jpg").hardlink_to(tmp_path / "copy.jpg")
    keys = ["a-link.jpg", "b-folder/one.jpg", "copy.jpg", "gone.jpg", "hard.jpg", "real/one.jpg"]
    assert without_links([keys], tmp_path) == [["copy.jpg", "real/one.jpg"]]
    assert without_links([["a-link.jpg", "real/one.jpg"], ["copy.jpg", "hard.jpg"]], tmp_path) == []
    assert without_links([["a-link.jpg", "copy.jpg"]], tmp_path) == [["a-link.jpg", "copy.jpg"]]
