import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from ordhash.data import ImageSet, Protocol
from ordhash.data.protocols import split_by_class
from ordhash.errors import DataError, InputError

CLASSES = ("cat", "dog", "eel")


def images_of(keys, labels, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (len(keys), 2, 2, 3), dtype=np.uint8)
    return ImageSet(pixels, np.array(keys), np.array(labels, dtype=bool).reshape(len(keys), 3), CLASSES)


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


def test_a_thinned_protocol_has_a_few_images_of_each_part():
    protocol = make(validation=images_of(["v1", "v2", "v3"], [[1, 0, 0]] * 3))
    small = protocol.thinned(2)
    assert [part.keys.tolist() for part in (small.train, small.query, small.database, small.validation)] == [
        ["t1", "d1"],
        ["q2", "q3"],  # q1 is of the first class, of which no image is left
        ["d1", "d4"],
        ["v1", "v3"],
    ]
    assert repr(protocol.thinned(9)) == repr(protocol)
    with pytest.raises(DataError, match="query set has no labelled image"):
        make(query=images_of(["q1"], [[1, 0, 0]])).thinned(1)


def test_training_images_may_be_in_the_database():
    assert repr(make()) == "Protocol(small: 2 train, 3 queries, 4 database)"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": images_of(["q2"], [[1, 0, 0]])}, r"1 queries are also in the training set \(such as q2\)"),
        ({"validation": images_of(["q3", "v"], [[1, 0, 0]] * 2)}, r"also in the validation set \(such as q3\)"),
        (
            {"train": images_of(["v", "t"], [[1, 0, 0]] * 2), "validation": images_of(["v"], [[1, 0, 0]])},
            r"1 validation images are also in the training set \(such as v\)",
        ),
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


def test_the_hash_of_the_split_leaves_out_the_pictures():
    first = make()
    assert first.hash(contents=False) != first.hash()
    assert make(query=changed("query", "picture")).hash(contents=False) == first.hash(contents=False)
    for what in ("key", "label", "order"):
        assert make(query=changed("query", what)).hash(contents=False) != first.hash(contents=False)


# --- graded relevance -------------------------------------------------------------------------------------------------

COARSE = ("mammal", "mammal", "fish")


def test_gains_are_2_for_a_class_and_1_for_a_coarse_class():
    protocol = dataclasses.replace(make(), coarse=COARSE)
    of = dict(zip(CLASSES, COARSE, strict=True))
    names = [
        [{CLASSES[i] for i in np.flatnonzero(row)} for row in part.labels]
        for part in (protocol.query, protocol.database)
    ]
    expected = [
        [2 if q & d else 1 if {of[name] for name in q} & {of[name] for name in d} else 0 for d in names[1]]
        for q in names[0]
    ]
    found = protocol.gains()
    assert found.dtype == np.uint8
    assert found.tolist() == expected
    assert {0, 1, 2} == set(found.ravel().tolist())
    np.testing.assert_array_equal(protocol.gains(slice(1, 3)), found[1:3])
    np.testing.assert_array_equal(found == 2, protocol.relevance())


def test_the_hash_is_the_same_for_ever_and_has_the_coarse_classes_in_it():
    first = make()
    assert first.hash() == "de6a8aac1925c72f"
    graded = dataclasses.replace(first, coarse=COARSE)
    assert graded.hash() != first.hash()
    assert dataclasses.replace(first, coarse=("mammal", "fish", "fish")).hash() != graded.hash()
    assert dataclasses.replace(first, note="a copy").hash() == first.hash()


def test_coarse_classes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"protocol small: .*2 coarse classes for 3"):
        make(coarse=("mammal", "fish"))
    with pytest.raises(DataError, match="protocol small has one grade"):
        make().gains()


# --- groups -----------------------------------------------------------------------------------------------------------


def with_column(images, name, values):
    return dataclasses.replace(images, metadata=pa.table({name: values}))


def test_groups_of_queries_and_of_the_database():
    plain = parts()
    query = with_column(plain["query"], "size", ["20-40 %", "5-10 %", "20-40 %"])
    database = with_column(plain["database"], "edges", ["soft", "hard", "hard", "soft"])
    protocol = make(query=query, database=database, groups=("size", "edges"))
    masks = {name: (a.astype(int).tolist(), b.astype(int).tolist()) for name, (a, b) in protocol.group_masks().items()}
    assert masks == {
        "size 5-10 %": ([0, 1, 0], [1, 1, 1, 1]),
        "size 20-40 %": ([1, 0, 1], [1, 1, 1, 1]),
        "edges hard": ([1, 1, 1], [0, 1, 1, 0]),
        "edges soft": ([1, 1, 1], [1, 0, 0, 1]),
    }
    assert make().group_masks() == {}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([2021, 900, 2021], ["900", "2021"]),
        ([0.5, 10.0, 0.25], ["0.25", "0.5", "10.0"]),
        (["b", None, "a"], ["a", "b"]),
        (["b", "", "b"], ["b"]),
        (["2024.05.01", "2023.12.31", "..."], ["2023.12.31", "2024.05.01", "..."]),
        ([None, None, None], []),
    ],
)
def test_groups_are_of_any_values_in_their_order(values, names):
    protocol = make(query=with_column(parts()["query"], "is", values), groups=("is",))
    assert list(protocol.group_masks()) == [f"is {name}" for name in names]
    for name, (queries, _) in protocol.group_masks().items():
        assert queries.tolist() == [f"is {value}" == name for value in values]


def test_groups_are_of_a_column_that_is_there():
    query = with_column(parts()["query"], "size", ["20-40 %", "5-10 %", "20-40 %"])
    assert make(groups=("size",), query=query).hash() == make(query=query).hash()
    with pytest.raises(DataError, match="neither queries nor database have a column colour"):
        make(groups=("colour",)).group_masks()


def test_a_protocol_knows_whether_each_query_has_one_relevant_image():
    assert not make().single
    alone = images_of(["d1", "d2", "d3"], np.eye(3))
    assert make(query=images_of(["q1", "q2"], np.eye(3)[:2]), database=alone).single
