import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ordhash.data import DATASETS, PROTOCOLS, ImageSet, load_protocol
from ordhash.data.datasets.mirflickr25k import CONCEPTS, RELEVANT_CONCEPTS
from ordhash.errors import DataError, InputError

DATA = Path(__file__).parents[3] / "data"


def test_an_unknown_protocol_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match=r"no protocol 'cifar-10'; allowed are cifar10, .*; did you mean cifar10\?"):
        load_protocol("cifar-10")
    with pytest.raises(InputError, match=r"no protocol 'xyz'; allowed are .*nuswide-21$"):
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
    with pytest.raises(DataError, match=rf"corel5k .* hash [0-9a-f]{{16}}.* {pinned}"):
        load_protocol("corel5k", tmp_path)


def test_every_protocol_has_a_data_set_and_a_hash_of_its_own():
    assert all(set(info.datasets) <= set(DATASETS) and info.summary for info in PROTOCOLS.values())
    pinned = [info.pinned for info in PROTOCOLS.values() if info.pinned is not None]
    assert len(set(pinned)) == len(pinned)
    assert {name for name, info in PROTOCOLS.items() if info.pinned is None} == UNPINNED


# Whose official files nobody has had here.
UNPINNED = {"mirflickr25k-38-all", "mirflickr25k-38-1000", "mirflickr25k-24-1000", "nuswide-21"}


SIZES = {  # train, query, database, validation
    "cifar10": (5000, 1000, 59_000, None),
    "cifar10-54k": (5000, 1000, 54_000, None),
    "cifar10-50k": (50_000, 10_000, 50_000, None),
    "grocery-photos": (557, 207, 490, 139),
    "fashion-mnist": (5000, 1000, 69_000, None),
    "corel5k": (4500, 499, 4500, None),
    "corel5k-21": (3947, 443, 3947, None),
    "grocery": (2640, 2485, 2640, 296),
    "grocery-unseen": (1938, 663, 771, 227),
    "cifar10-unseen": (3500, 300, 17_700, None),
    "cifar10-unseen@all": (3500, 300, 59_000, None),
    "cifar10-seen@all": (3500, 700, 59_000, None),
    "grocery-unseen@all": (1938, 663, 2709, 227),
    "grocery-seen@all": (1938, 1822, 2709, 227),
    "grocery-in-scenes": (2640, 497, 1988, 296),
    "grocery-in-scenes@cut": (2640, 497, 1988, 296),
    "grocery-in-scenes@plain": (2640, 497, 1988, 296),
    "grocery-in-scenes-3": (2640, 497, 662, 296),
    "grocery-by-scenes": (2640, 497, 1988, 296),
    "grocery-parts": (2640, 497, 2485, 296),
    "grocery-by-scenes@cut": (2640, 497, 1988, 296),
    "objects-in-scenes": (557, 207, 490, 139),
    "objects-in-scenes@cut": (557, 207, 490, 139),
    "objects-in-scenes@plain": (557, 207, 490, 139),
    "objects-in-scenes-3": (557, 207, 163, 139),
    "objects-by-scenes": (557, 207, 490, 139),
    "objects-by-scenes@cut": (557, 207, 490, 139),
    "corel5k-unseen": (2408, 171, 1539, None),
    "corel5k-unseen@all": (2408, 171, 3947, None),
    "corel5k-seen@all": (2408, 407, 3947, None),
    "cifar10-noise20": (5000, 1000, 59_000, None),
    "cifar10-noise40": (5000, 1000, 59_000, None),
}


def published(name):
    for dataset in PROTOCOLS[name].datasets:
        if not (DATA / dataset).is_dir():
            pytest.skip(f"needs {DATA / dataset}: run `ordhash data get {dataset}`")
    return load_protocol(name, DATA)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROTOCOLS.keys() - UNPINNED))
def test_published_protocols_are_the_pinned_ones(name):
    protocol = published(name)
    validation = None if protocol.validation is None else len(protocol.validation)
    assert (len(protocol.train), len(protocol.query), len(protocol.database), validation) == SIZES[name]
    assert protocol.name == name
    assert protocol.citation
    assert protocol.note == ""
    if name in ("cifar10", "cifar10-54k", "fashion-mnist"):
        assert (protocol.query.labels.sum(axis=0) == 100).all()
        assert (protocol.train.labels.sum(axis=0) == 500).all()
        assert np.isin(protocol.train.keys, protocol.database.keys).mean() == (name != "cifar10-54k")


@pytest.mark.slow
def test_no_grocery_photograph_is_in_two_parts():
    protocol = published("grocery-photos")
    ids = [set(part.content_ids()) for part in (protocol.train, protocol.query, protocol.database, protocol.validation)]
    assert len(set.union(*ids)) == sum(map(len, ids)) == 557 + 207 + 490 + 139


@pytest.mark.slow
@pytest.mark.parametrize(("name", "plain"), [("grocery", "grocery"), ("objects", "grocery-photos")])
def test_scenes_show_searched_images_that_are_not_on_the_other_side(name, plain):
    scenes, plain = published(f"{name}-in-scenes"), published(plain)
    shown = {key.split(" in ")[0] for key in scenes.database.keys}
    assert len(shown) == len(scenes.database)
    unlearned = {*plain.query.keys.tolist(), *plain.database.keys.tolist()} - set(plain.train.keys.tolist())
    assert shown | set(scenes.query.keys.tolist()) == unlearned
    assert not shown & set(scenes.query.keys.tolist())
    behind = {key.split(" in ")[1] for key in scenes.database.keys}
    assert {key.split(" in ")[1] for key in published(f"{name}-by-scenes").query.keys} <= behind
    cut = published(f"{name}-in-scenes@cut")
    assert cut.database.keys.tolist() == scenes.database.keys.tolist()
    assert cut.training_hash() == scenes.training_hash() != plain.training_hash()
    as_they_were = published(f"{name}-in-scenes@plain")
    assert set(as_they_were.database.keys.tolist()) == shown
    assert as_they_were.training_hash() == scenes.training_hash()
    assert len(scenes.backgrounds) > 40
    assert behind.isdisjoint(scenes.backgrounds.keys.tolist())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "unseen"), [("cifar10-unseen", 3), ("grocery-unseen", 21)])
def test_unseen_classes_are_in_no_training_or_validation_image(name, unseen):
    protocol = published(name)
    searched = protocol.query.labels.any(axis=0)
    np.testing.assert_array_equal(searched, protocol.database.labels.any(axis=0))
    learned = protocol.train.labels.any(axis=0)
    assert (searched.sum(), (~learned).sum(), (searched & learned).any()) == (unseen, unseen, False)
    if protocol.validation is not None:
        assert not (searched & protocol.validation.labels.any(axis=0)).any()


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["cifar10", "grocery", "corel5k"])
def test_searches_among_all_images_are_of_the_same_training(dataset):
    unseen, unseen_all, seen_all = (published(f"{dataset}-{name}") for name in ("unseen", "unseen@all", "seen@all"))
    assert unseen.training_hash() == unseen_all.training_hash() == seen_all.training_hash()
    np.testing.assert_array_equal(unseen.query.keys, unseen_all.query.keys)
    np.testing.assert_array_equal(unseen_all.database.keys, seen_all.database.keys)
    assert np.isin(unseen.database.keys, unseen_all.database.keys).all()
    searched, others = unseen.query.labels.any(axis=0), seen_all.query.labels.any(axis=0)
    assert not (searched & others).any()
    assert not (searched & unseen.train.labels.any(axis=0)).any()
    # Whatever is relevant among the unseen is relevant among all, and nothing else is.
    assert unseen.relevance().sum() == unseen_all.relevance().sum()


@pytest.mark.slow
@pytest.mark.parametrize("percent", [20, 40])
def test_noise_is_in_the_training_labels_alone(percent):
    clean, noisy = published("cifar10"), published(f"cifar10-noise{percent}")
    for part in ("query", "database"):
        np.testing.assert_array_equal(getattr(clean, part).labels, getattr(noisy, part).labels)
    np.testing.assert_array_equal(clean.train.keys, noisy.train.keys)
    assert (clean.train.labels != noisy.train.labels).any(axis=1).sum() == 50 * percent


@pytest.mark.slow
def test_images_of_corel5k_21_have_one_of_its_words():
    protocol, whole = published("corel5k-21"), published("corel5k")
    assert len(protocol.query.class_names) == 21
    assert protocol.train.labels.any(axis=1).all()
    columns = [whole.train.class_names.index(word) for word in protocol.train.class_names]
    counts = whole.train.labels.sum(axis=0)
    assert min(counts[columns]) > max(np.delete(counts, columns))
    np.testing.assert_array_equal(protocol.train.labels.sum(axis=0), counts[columns])


# --- what no hash vouches for -----------------------------------------------------------------------------------------


@pytest.fixture
def tiny_grocery(tmp_path, monkeypatch):
    """A grocery data set of two classes, under a protocol that a test pins with `pin`; returns its root and `pin`."""
    place = tmp_path / "grocery"
    header = "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int)\n"
    place.mkdir()
    (place / "classes.csv").write_text(header + "Royal-Gala,0,Apple,0\nLeek,1,Leek,1\n")
    for part in ("train", "val", "test"):
        (place / part).mkdir()
        (place / f"{part}.txt").write_text(f"{part}/a.jpg, 0, 0\n{part}/l.jpg, 1, 1\n")
        for name in "al":
            (place / part / f"{name}.jpg").write_bytes(f"{part} {name}".encode())

    def pin(pinned, split):
        info = dataclasses.replace(PROTOCOLS["grocery"], pinned=pinned, pinned_split=split)
        monkeypatch.setitem(PROTOCOLS, "grocery", info)

    return tmp_path, pin


def test_a_protocol_that_is_not_pinned_says_so(tiny_grocery):
    root, pin = tiny_grocery
    pin(None, None)
    protocol = load_protocol("grocery", root)
    assert "no hash of this protocol is published yet" in protocol.note
    pin(protocol.hash(), None)
    assert load_protocol("grocery", root).note == ""


def test_other_pictures_of_the_published_split_are_accepted_and_said(tiny_grocery):
    root, pin = tiny_grocery
    pin(None, None)
    protocol = load_protocol("grocery", root)
    pinned = protocol.hash()
    pin(pinned, protocol.hash(contents=False))
    assert load_protocol("grocery", root).note == ""
    (root / "grocery" / "train" / "a.jpg").write_bytes(b"the same at another size")
    again = load_protocol("grocery", root)
    assert "the published split, on other files of its images" in again.note
    assert again.hash() != pinned
    (root / "grocery" / "train.txt").write_text("train/a.jpg, 1, 1\ntrain/l.jpg, 0, 0\n")
    with pytest.raises(DataError, match="is not the published data"):
        load_protocol("grocery", root)
    (root / "grocery" / "train.txt").write_text("train/a.jpg, 0, 0\ntrain/l.jpg, 1, 1\n")
    pin(pinned, None)
    with pytest.raises(DataError, match="is not the published data"):
        load_protocol("grocery", root)


# --- protocols on data that nobody has had here, on made parts of the same form -------------------------------------


def made(n, class_names, share, seed):
    labels = np.random.default_rng(seed).random((n, len(class_names))) < share
    return ImageSet([f"{i}.jpg" for i in range(n)], np.array([f"im{i}" for i in range(n)]), labels, tuple(class_names))


def test_mirflickr25k_protocols_in_three_conventions():
    images = made(9000, (*CONCEPTS, *RELEVANT_CONCEPTS), 0.1, 1)
    images = images.subset(images.labels.any(axis=1))
    every, first, of_24 = (
        PROTOCOLS[f"mirflickr25k-{name}"].build({"all": images}) for name in ("38-all", "38-1000", "24-1000")
    )
    assert [len(part) for part in (every.train, every.query, every.database)] == [4000, 1000, len(images) - 5000]
    assert (every.cutoff, first.cutoff, of_24.cutoff) == (None, 1000, 1000)
    assert every.hash() != first.hash()
    assert dataclasses.replace(first, cutoff=None).hash() == every.hash()
    keys = [set(part.keys) for part in (every.train, every.query, every.database)]
    assert len(set.union(*keys)) == len(images)
    kept = int(images.labels[:, :24].any(axis=1).sum())
    assert kept < len(images)
    assert [len(part) for part in (of_24.train, of_24.query, of_24.database)] == [5000, 2000, kept - 2000]
    assert of_24.query.class_names == CONCEPTS
    assert np.isin(of_24.train.keys, of_24.database.keys).all()


def test_nuswide_21_protocol():
    images = made(25_000, [f"c{i:02d}" for i in range(21)], np.linspace(0.05, 0.3, 21), 2)
    images = images.subset(images.labels.any(axis=1))
    build = PROTOCOLS["nuswide-21"].build
    protocol = build({"all": images, "missing": images.subset([])})
    assert [len(part) for part in (protocol.train, protocol.query)] == [10_500, 2100]
    assert len(protocol.database) == len(images) - 2100
    assert np.isin(protocol.train.keys, protocol.database.keys).all()
    assert (protocol.query.labels.sum(axis=0) >= 100).all()
    assert (protocol.train.labels.sum(axis=0) >= 500).all()
    assert (protocol.cutoff, protocol.note) == (5000, "")
    noted = build({"all": images.subset(range(3, len(images))), "missing": images.subset([0, 1, 2])})
    assert noted.note == f"3 of the {len(images):,} images with one of the concepts are not in this copy"
