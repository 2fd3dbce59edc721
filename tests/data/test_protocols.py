import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from ordhash.data import DATASETS, PROTOCOLS, Protocol, load_protocol
from ordhash.data.imageset import ImageSet
from ordhash.data.protocols import split_by_class
from ordhash.errors import DataError, InputError

CLASSES = ("cat", "dog", "eel")
DATA = Path(__file__).parents[2] / "data"


def images_of(keys, labels, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (len(keys), 2, 2, 3), dtype=np.uint8)
    return ImageSet(pixels, np.array(keys), np.array(labels, dtype=bool).reshape(len(keys), 3), CLASSES)


# --- splits -----------------------------------------------------------------------------------------------------------


def thirty():
    return images_of([f"{i:02d}" for i in range(30)], np.eye(3)[np.arange(30) % 3])


def test_a_split_is_a_partition_in_the_order_of_the_images():
    parts = split_by_class(thirty(), {"query": 2, "train": 0.5}, salt="s")
    assert list(parts) == ["query", "train", "rest"]
    assert sorted(key for part in parts.values() for key in part.keys) == thirty().keys.tolist()
    for part in parts.values():
        assert part.keys.tolist() == sorted(part.keys)
        for position, key in enumerate(part.keys):  # picture and label stay with their key
            np.testing.assert_array_equal(part.images[position], thirty().images[int(key)])
            np.testing.assert_array_equal(part.labels[position], thirty().labels[int(key)])


def test_counts_and_shares_are_of_every_class():
    parts = split_by_class(thirty(), {"query": 2, "train": 0.5}, salt="s")
    assert {name: part.labels.sum(axis=0).tolist() for name, part in parts.items()} == {
        "query": [2, 2, 2],
        "train": [5, 5, 5],
        "rest": [3, 3, 3],
    }
    uneven = images_of([str(i) for i in range(13)], np.eye(3)[[0] * 10 + [1] * 3])
    parts = split_by_class(uneven, {"query": 0.15, "train": 0.4}, salt="s")
    assert parts["query"].labels.sum(axis=0).tolist() == [2, 0, 0]
    assert parts["train"].labels.sum(axis=0).tolist() == [4, 1, 0]


def test_a_split_is_the_same_for_ever():
    parts = split_by_class(thirty(), {"query": 1, "train": 2}, salt="cifar10")
    assert parts["query"].keys.tolist() == ["02", "13", "21"]
    assert parts["train"].keys.tolist() == ["05", "09", "19", "23", "24", "28"]


def test_a_split_is_what_a_plain_loop_says():
    images = thirty()
    parts = split_by_class(images, {"query": 3}, salt="salt")
    expected = []
    for label in range(3):
        keys = [key for key, row in zip(images.keys, images.labels, strict=True) if row[label]]
        keys.sort(key=lambda key: hashlib.blake2b(f"salt/{key}".encode(), digest_size=8).digest())
        expected += keys[:3]
    assert parts["query"].keys.tolist() == sorted(expected)


def test_a_split_depends_on_keys_and_salt_alone():
    counts = {"query": 3}
    order = np.random.default_rng(1).permutation(30)
    first = split_by_class(thirty(), counts, salt="a")["query"]
    assert set(first.keys) == set(split_by_class(thirty().subset(order), counts, salt="a")["query"].keys)
    assert set(first.keys) != set(split_by_class(thirty(), counts, salt="b")["query"].keys)


def test_images_without_labels_cannot_be_split():
    with pytest.raises(InputError, match="images without labels cannot be divided by class"):
        split_by_class(ImageSet(thirty().images), {"query": 1}, salt="s")
    some = images_of(["a", "b", "c"], [[1, 0, 0], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(InputError, match=r"image b carries no label \(2 such images\); leave them out"):
        split_by_class(some, {"query": 1}, salt="s")


# --- protocols --------------------------------------------------------------------------------------------------------


def parts(**changes):
    """Parts of a small protocol with many labels; `changes` replace some."""
    good = {
        "train": images_of(["t1", "d1"], [[1, 0, 0], [0, 1, 0]], 1),
        "query": images_of(["q1", "q2", "q3"], [[1, 0, 0], [0, 1, 1], [1, 1, 0]], 2),
        "database": images_of(["d1", "d2", "d3", "d4"], [[0, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0]], 3),
    }
    return good | changes


def make(**changes):
    return Protocol("small", **parts(**changes))


def test_relevance_is_a_shared_label():
    protocol = make()
    expected = np.zeros((3, 4), dtype=bool)
    for i, query in enumerate(protocol.query.labels):
        for j, other in enumerate(protocol.database.labels):
            expected[i, j] = bool(set(np.flatnonzero(query)) & set(np.flatnonzero(other)))
    found = protocol.relevance()
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(protocol.relevance(slice(1, 3)), expected[1:3])
    assert not expected[:, 3].any()
    assert 0 < expected.sum() < 9


def test_training_images_may_be_in_the_database():
    assert repr(make()) == "Protocol(small: 2 train, 3 queries, 4 database)"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": images_of(["q2"], [[1, 0, 0]])}, r"1 queries are also in the training set \(such as q2\)"),
        ({"validation": images_of(["q3", "v"], [[1, 0, 0]] * 2)}, r"also in the validation set \(such as q3\)"),
        (
            {"database": images_of(["d", "q1", "q2"], [[1, 1, 1]] * 3)},
            r"2 queries are also in the database \(such as q1\)",
        ),
        ({"query": images_of(["q1", "q2"], [[1, 0, 0], [0, 0, 0]])}, "query q2 can find nothing, it carries no label"),
        (
            {"database": images_of(["d1"], [[1, 0, 0]])},
            "query q2 can find nothing, no database image shares a label with it; take it out",
        ),
        ({"query": images_of([], [])}, "its query set has no labelled image"),
        ({"database": images_of([], [])}, "its database set has no labelled image"),
        ({"query": ImageSet(np.zeros((1, 2, 2, 3), np.uint8), ["q"])}, "its query set has no labelled image"),
        ({"database": ImageSet(np.zeros((1, 2, 2, 3), np.uint8), ["q"])}, "its database set has no labelled image"),
        (
            {"database": ImageSet(np.zeros((1, 2, 2, 3), np.uint8), ["d"], np.ones((1, 3)), ("a", "b", "c"))},
            "queries and database have different class names",
        ),
    ],
)
def test_protocols_that_prove_nothing_are_refused(changes, sentence):
    with pytest.raises(DataError, match=f"protocol small: .*{sentence}"):
        make(**changes)


@pytest.mark.parametrize("cutoff", [0, -1])
def test_a_cutoff_below_one_is_refused(cutoff):
    with pytest.raises(InputError, match=f"cutoff is {cutoff}; allowed are 1 and more, or None"):
        dataclasses.replace(make(), cutoff=cutoff)


def test_the_hash_is_of_the_content_and_of_nothing_else():
    first = make()
    assert first.hash() == make().hash()
    assert len(first.hash()) == 16
    assert dataclasses.replace(first, name="other", citation="elsewhere").hash() == first.hash()
    listed = {name: dataclasses.replace(part, images=list(part.images)) for name, part in parts().items()}
    assert make(**listed).hash() == first.hash()


def changed(part, what):
    images = parts()[part]
    if what == "key":
        keys = images.keys.copy()
        keys[-1] = "zz"
        return dataclasses.replace(images, keys=keys)
    if what == "label":
        labels = images.labels.copy()
        labels[-1, 0] ^= True
        labels[-1, 1] |= part == "query"  # so that a query still carries a label
        return dataclasses.replace(images, labels=labels)
    if what == "picture":
        pixels = images.images.copy()
        pixels[-1, 0, 0, 0] ^= 1
        return dataclasses.replace(images, images=pixels)
    return images.subset(np.arange(len(images))[::-1])


@pytest.mark.parametrize("what", ["key", "label", "picture", "order"])
@pytest.mark.parametrize("part", ["train", "query", "database"])
def test_the_hash_changes_with_every_part(part, what):
    assert make(**{part: changed(part, what)}).hash() != make().hash()


def test_the_hash_changes_with_cutoff_and_validation():
    first = make()
    hashes = {
        first.hash(),
        dataclasses.replace(first, cutoff=10).hash(),
        dataclasses.replace(first, cutoff=100).hash(),
        make(validation=images_of(["v"], [[1, 0, 0]])).hash(),
    }
    assert len(hashes) == 4


def test_the_hash_takes_names_of_files_that_are_not_unicode():
    named = {name: dataclasses.replace(part, keys=np.char.add(part.keys, "\udcff")) for name, part in parts().items()}
    assert make(**named).hash() != make().hash()
    assert len(split_by_class(named["query"], {"a": 1}, salt="s")["a"]) == 2


# --- published protocols ----------------------------------------------------------------------------------------------


def test_an_unknown_protocol_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match=r"no protocol 'cifar-10'; allowed are cifar10, .*; did you mean cifar10\?"):
        load_protocol("cifar-10")
    with pytest.raises(InputError, match=r"no protocol 'xyz'; allowed are .*corel5k$"):
        load_protocol("xyz")


def test_a_data_set_that_is_not_there_is_named(tmp_path):
    for name, info in PROTOCOLS.items():
        with pytest.raises(DataError, match=info.dataset):
            load_protocol(name, tmp_path)


def test_data_that_are_not_the_published_data_are_refused(tmp_path):
    files = {
        "labels/words": "sky sea",
        "labels/training_label": "1000 1\n1001 2\n",
        "labels/test_label": "2000 1\n",
        "images/1000/1000.jpeg": "a",
        "images/1000/1001.jpeg": "b",
        "images/2000/2000.jpeg": "c",
    }
    for name, content in files.items():
        path = tmp_path / "corel5k" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    pinned = PROTOCOLS["corel5k"].pinned
    with pytest.raises(
        DataError, match=rf"corel5k has the hash [0-9a-f]{{16}} and not {pinned}: the data in .* is not"
    ):
        load_protocol("corel5k", tmp_path)


def test_every_protocol_has_a_data_set_and_a_hash_of_its_own():
    assert all(info.dataset in DATASETS and info.summary for info in PROTOCOLS.values())
    assert len({info.pinned for info in PROTOCOLS.values()}) == len(PROTOCOLS)


SIZES = {  # train, query, database, validation
    "cifar10": (5000, 1000, 59_000, None),
    "cifar10-54k": (5000, 1000, 54_000, None),
    "cifar10-50k": (50_000, 10_000, 50_000, None),
    "grocery-photos": (557, 207, 490, 139),
    "fashion-mnist": (5000, 1000, 69_000, None),
    "corel5k": (4500, 499, 4500, None),
}


def published(name):
    dataset = PROTOCOLS[name].dataset
    if not (DATA / dataset).is_dir():
        pytest.skip(f"needs {DATA / dataset}: run `ordhash data get {dataset}`")
    return load_protocol(name, DATA)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_published_protocols_are_the_pinned_ones(name):
    protocol = published(name)
    validation = None if protocol.validation is None else len(protocol.validation)
    assert (len(protocol.train), len(protocol.query), len(protocol.database), validation) == SIZES[name]
    assert protocol.name == name
    assert protocol.citation
    if name in ("cifar10", "cifar10-54k", "fashion-mnist"):
        assert (protocol.query.labels.sum(axis=0) == 100).all()
        assert (protocol.train.labels.sum(axis=0) == 500).all()
        assert np.isin(protocol.train.keys, protocol.database.keys).mean() == (name != "cifar10-54k")


@pytest.mark.slow
def test_no_grocery_photograph_is_in_two_parts():
    protocol = published("grocery-photos")
    ids = [set(part.content_ids()) for part in (protocol.train, protocol.query, protocol.database, protocol.validation)]
    assert len(set.union(*ids)) == sum(map(len, ids)) == 557 + 207 + 490 + 139
