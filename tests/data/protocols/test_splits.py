import hashlib

import numpy as np
import pytest

from ordhash.data import ImageSet
from ordhash.data.protocols import hold_out_classes, split_by_class, split_by_concept, split_by_digest, with_label_noise
from ordhash.data.protocols.splits import of_classes, together, with_classes
from ordhash.errors import InputError

CLASSES = ("cat", "dog", "eel")


def images_of(keys, labels, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (len(keys), 2, 2, 3), dtype=np.uint8)
    return ImageSet(pixels, np.array(keys), np.array(labels, dtype=bool).reshape(len(keys), 3), CLASSES)


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


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ({"query": 6, "train": 5}, "11 images of cat"),
        ({"query": 0.7, "train": 0.7}, "14 images of cat"),
        ({"query": -1}, "query is -1"),
    ],
)
def test_parts_that_a_class_cannot_fill_are_refused(counts, word):
    with pytest.raises(InputError, match=word):
        split_by_class(thirty(), counts, salt="s")


@pytest.mark.parametrize("split", [split_by_digest, split_by_concept])
def test_no_part_has_fewer_than_no_images(split):
    with pytest.raises(InputError, match="query is -1"):
        split(thirty(), {"query": -1}, salt="s")


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
    with pytest.raises(InputError, match=r"image b .*no label \(2 such"):
        split_by_class(some, {"query": 1}, salt="s")


def test_images_of_two_sets_stand_one_after_the_other():
    images = thirty()
    joined = together(images.subset(range(4)), images.subset(range(10, 13)))
    assert joined.keys.tolist() == ["00", "01", "02", "03", "10", "11", "12"]
    np.testing.assert_array_equal(joined.labels, images.labels[[0, 1, 2, 3, 10, 11, 12]])
    np.testing.assert_array_equal(joined.images, images.images[[0, 1, 2, 3, 10, 11, 12]])


# --- whatever the labels, and with many labels ------------------------------------------------------------------------


def test_a_split_by_digest_is_what_a_plain_loop_says():
    images = thirty()
    parts = split_by_digest(images, {"query": 4, "train": 7}, salt="s")
    keys = sorted(images.keys, key=lambda key: hashlib.blake2b(f"s/{key}".encode(), digest_size=8).digest())
    expected = {"query": sorted(keys[:4]), "train": sorted(keys[4:11]), "rest": sorted(keys[11:])}
    assert {name: part.keys.tolist() for name, part in parts.items()} == expected
    assert len(split_by_digest(images, {"query": 30}, salt="s")["rest"]) == 0
    with pytest.raises(InputError, match=r"31 images .* 30"):
        split_by_digest(images, {"query": 30, "train": 1}, salt="s")


def concepts(seed, n=60):
    labels = np.random.default_rng(seed).random((n, 3)) < (0.6, 0.25, 0.4)
    labels[:, 0] |= ~labels.any(axis=1)
    return images_of([f"{i:02d}" for i in range(n)], labels)


@pytest.mark.parametrize("seed", range(5))
def test_a_split_by_concept_is_what_a_plain_loop_says(seed):
    images = concepts(seed)
    parts = split_by_concept(images, {"query": 2, "train": 3}, salt="s")
    rarest_first = sorted(range(3), key=lambda label: (images.labels[:, label].sum(), label))
    order = sorted(range(60), key=lambda i: hashlib.blake2b(f"s/{images.keys[i]}".encode(), digest_size=8).digest())
    taken: set[int] = set()
    for part, count in (("query", 2), ("train", 3)):
        drawn = []
        for label in rarest_first:
            rows = [row for row in order if images.labels[row, label] and row not in taken][:count]
            taken |= set(rows)
            drawn += rows
        assert parts[part].keys.tolist() == [images.keys[row] for row in sorted(drawn)]
        assert len(parts[part]) == 3 * count
        assert (parts[part].labels.sum(axis=0) >= count).all()
    assert parts["rest"].keys.tolist() == [key for row, key in enumerate(images.keys) if row not in taken]


def test_a_split_by_concept_that_needs_too_many_images():
    images = images_of(["a", "b", "c"], [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    with pytest.raises(InputError, match=r"cat has 1 .* query.* 2"):
        split_by_concept(images_of(["a", "b", "c", "d", "e"], [[1, 0, 0]] + [[0, 1, 1]] * 4), {"query": 2}, salt="s")
    assert len(split_by_concept(images, {"query": 1}, salt="s")["query"]) == 3
    with pytest.raises(InputError, match="images without labels"):
        split_by_concept(ImageSet(images.images), {"query": 1}, salt="s")


def test_images_with_classes_have_these_alone():
    images = images_of(["a", "b", "c"], [[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    chosen = with_classes(images, ["eel", "cat"])
    assert (chosen.keys.tolist(), chosen.class_names) == (["a", "c"], ("cat", "eel"))
    assert chosen.labels.tolist() == [[True, True], [False, True]]
    with pytest.raises(InputError, match="images without labels"):
        with_classes(ImageSet(images.images), ["cat"])


# --- classes held out -------------------------------------------------------------------------------------------------


def test_classes_are_held_out_by_digests_of_their_names():
    names = ["ant", "bee", "cat", "dog", "eel"]
    first = sorted(names, key=lambda name: hashlib.blake2b(f"s/{name}".encode(), digest_size=8).digest())[:2]
    assert [name for name, out in zip(names, hold_out_classes(names, 2, salt="s"), strict=True) if out] == sorted(first)
    other = hold_out_classes(names[::-1], 2, salt="s")[::-1]
    np.testing.assert_array_equal(other, hold_out_classes(names, 2, salt="s"))
    for count in (0, 5, -1):
        with pytest.raises(InputError, match=rf"count is {count}; .* 1 to 4"):
            hold_out_classes(names, count, salt="s")


def test_images_of_classes_keep_all_class_names():
    images = images_of(["a", "b", "c", "d"], [[1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    chosen = of_classes(images, np.array([True, True, False]))
    assert (chosen.keys.tolist(), chosen.class_names) == (["a", "b"], CLASSES)
    with pytest.raises(InputError, match="images without labels"):
        of_classes(ImageSet(images.images), np.array([True, True, False]))


# --- label noise ------------------------------------------------------------------------------------------------------


def many(n=3000):
    pixels = np.zeros((n, 1, 1, 3), np.uint8)
    return ImageSet(pixels, np.arange(n), np.eye(5, dtype=bool)[np.arange(n) % 5], tuple("abcde"))


def test_noise_replaces_a_share_of_the_labels_by_other_classes_alike():
    images = many()
    noisy = with_label_noise(images, 0.4, salt="s")
    right, found = images.labels.argmax(axis=1), noisy.labels.argmax(axis=1)
    wrong = right != found
    assert wrong.sum() == 1200
    assert (noisy.labels.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(noisy.keys, images.keys)
    np.testing.assert_array_equal(images.labels, many().labels)  # the given ones stay clean
    # 4 steps from the right class, each with 300 of 1,200 expected: within 4 standard deviations of that, 15.
    steps = np.bincount((found - right)[wrong] % 5, minlength=5)
    assert steps[0] == 0
    assert (abs(steps[1:] - 300) < 60).all()
    # As many wrong labels in every class: 240 of 600 expected, standard deviation 11.
    assert (abs(np.bincount(right[wrong]) - 240) < 44).all()


def test_less_noise_is_part_of_more_noise():
    less, more = (with_label_noise(many(), fraction, salt="s").labels for fraction in (0.2, 0.4))
    changed = (less != many().labels).any(axis=1)
    np.testing.assert_array_equal(less[changed], more[changed])
    assert changed.sum() == 600


def test_noise_depends_on_keys_and_salt_alone():
    order = np.random.default_rng(3).permutation(3000)
    shuffled = with_label_noise(many().subset(order), 0.3, salt="s")
    np.testing.assert_array_equal(shuffled.labels, with_label_noise(many(), 0.3, salt="s").labels[order])
    assert (shuffled.labels != with_label_noise(many().subset(order), 0.3, salt="t").labels).any()
    assert (with_label_noise(many(), 0, salt="s").labels == many().labels).all()
    assert not (with_label_noise(many(), 1, salt="s").labels & many().labels).any()


def test_noise_is_the_same_for_ever():
    noisy = with_label_noise(many(10), 0.5, salt="s")
    assert noisy.labels.argmax(axis=1).tolist() == [3, 0, 2, 3, 3, 0, 4, 2, 4, 4]


def test_noise_needs_one_label_an_image():
    for labels, count in (([[1, 1, 0]], 2), ([[0, 0, 0]], 0)):
        with pytest.raises(InputError, match=rf"image q carries {count} labels"):
            with_label_noise(images_of(["q"], labels), 0.5, salt="s")
    with pytest.raises(InputError, match="wrong labels need labels of at least two classes"):
        with_label_noise(ImageSet(many().images), 0.5, salt="s")
    for fraction in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=f"fraction is {fraction}; allowed are shares from 0 to 1"):
            with_label_noise(many(), fraction, salt="s")
