import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ordhash.data.images import content_id
from ordhash.data.imageset import ImageSet, as_image_set, label_matrix
from ordhash.errors import InputError

PIXELS = np.random.default_rng(3).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
LABELS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool)


def example(images=PIXELS):
    metadata = pa.table({"shop": ["w", "x", "y", "z"]})
    return ImageSet(images, np.array(["a", "b", "c", "d"]), LABELS, ("cat", "dog"), metadata)


@pytest.mark.parametrize(
    ("rows", "positions"),
    [
        ([2, 0], [2, 0]),
        (np.array([3]), [3]),
        ([-1, 1], [3, 1]),
        (np.array([False, True, False, True]), [1, 3]),
        ([True, False, False, False], [0]),
        (np.zeros(4, dtype=bool), []),
        ([], []),
        (np.array([], dtype=np.intp), []),
        (range(4), [0, 1, 2, 3]),
    ],
)
@pytest.mark.parametrize("images", [PIXELS, [f"{i}.jpg" for i in range(4)]], ids=["array", "paths"])
def test_subset_takes_every_part_at_the_same_positions(images, rows, positions):
    part = example(images).subset(rows)
    assert len(part) == len(positions)
    assert part.keys.tolist() == ["abcd"[i] for i in positions]
    np.testing.assert_array_equal(part.labels, LABELS[positions])
    assert part.metadata["shop"].to_pylist() == ["wxyz"[i] for i in positions]
    assert part.class_names == ("cat", "dog")
    for found, position in zip(part.images, positions, strict=True):
        np.testing.assert_array_equal(found, images[position])


def test_subset_of_a_subset_without_labels_and_metadata():
    part = ImageSet(["x.jpg", "y.jpg", "z.jpg"]).subset([2, 1]).subset([False, True])
    assert (part.images, part.keys.tolist(), part.labels, part.metadata) == (["y.jpg"], [1], None, None)


def test_classes_that_no_image_shows_go():
    cats = example().subset([0, 3])
    assert cats.without_empty_classes().class_names == ("cat",)
    np.testing.assert_array_equal(cats.without_empty_classes().labels, [[True], [False]])
    assert cats.without_empty_classes().metadata is cats.metadata
    whole = example()
    assert whole.without_empty_classes() is whole
    assert whole.without_labels().without_empty_classes().labels is None


@pytest.mark.parametrize("rows", [[4], [True, False]])
def test_rows_that_are_not_there_are_refused(rows):
    with pytest.raises(IndexError):
        example().subset(rows)


def test_keys_number_the_images_unless_given():
    assert ImageSet(PIXELS).keys.tolist() == [0, 1, 2, 3]
    assert ImageSet(PIXELS, ["w", "x", "y", "z"]).keys.tolist() == ["w", "x", "y", "z"]
    assert len(ImageSet([])) == len(ImageSet([], [])) == 0


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["a", "b", "a", "c"], "key a stands for several images"),
        ([1, 2, 3, 3], "key 3 stands for several images"),
        (["a", "b"], r"4 images and keys of shape \(2,\); give each image one key"),
        ("abcd", r"4 images and keys of shape \(\)"),
        (np.arange(4)[:, None], r"4 images and keys of shape \(4, 1\)"),
        ([0.0, 1.0, 2.0, 3.0], "keys are float64; allowed are strings or integers"),
        ([True, False, True, False], "keys are bool"),
        ([None, "a", "b", "c"], "keys are object"),
    ],
)
def test_bad_keys_are_refused(keys, sentence):
    with pytest.raises(InputError, match=sentence):
        ImageSet(PIXELS, keys)


@pytest.mark.parametrize(
    ("labels", "names"), [(LABELS[:3], ("cat", "dog")), (LABELS, ("cat",)), (LABELS[:, 0], ("cat",))]
)
def test_labels_of_another_shape_are_refused(labels, names):
    with pytest.raises(
        InputError, match=r"labels have shape .*; with 4 images and \d class names it must be \(4, \d\)"
    ):
        ImageSet(PIXELS, labels=labels, class_names=names)


def test_metadata_of_another_length_are_refused():
    with pytest.raises(InputError, match="metadata has 3 rows; there are 4 images"):
        ImageSet(PIXELS, metadata=pa.table({"shop": [1, 2, 3]}))


def test_labels_of_zeros_and_ones_become_bool():
    assert ImageSet(PIXELS, labels=LABELS.astype(int), class_names=("cat", "dog")).labels.dtype == np.bool_


def test_multilabel_only_where_an_image_has_two_labels():
    assert example().multilabel
    assert not example().subset([0, 1, 3]).multilabel
    assert not ImageSet(PIXELS).multilabel
    assert not example().subset([]).multilabel


def test_repr_says_how_many():
    assert repr(example()) == "ImageSet(4 images, 2 classes)"
    assert repr(ImageSet(PIXELS)) == "ImageSet(4 images)"


def test_names_are_paths_or_else_keys():
    images = ImageSet(["a/b.jpg", Path("c.jpg"), b"..."], ["x", "y", "z"])
    assert [images.name(row) for row in range(3)] == ["a/b.jpg", "c.jpg", "image z"]


def test_content_ids_are_equal_for_a_path_and_its_bytes(photo_folder):
    paths = sorted(photo_folder.rglob("*.jpg"))[:3]
    ids = ImageSet(paths).content_ids()
    assert ids == ImageSet([path.read_bytes() for path in paths]).content_ids()
    assert ids == ImageSet([str(path) for path in paths]).content_ids()
    assert ids == [content_id(path) for path in paths]
    assert len(set(ids)) == 3
    assert {len(digest) for digest in ids} == {16}


def test_content_ids_do_not_depend_on_keys():
    assert ImageSet(PIXELS, ["w", "x", "y", "z"]).content_ids() == ImageSet(PIXELS).content_ids()


def test_unreadable_files_get_ids_of_their_own_and_do_not_stop_the_others(tmp_path, photo_folder):
    good = next(photo_folder.rglob("*.jpg"))
    bad = [tmp_path / "missing.jpg", tmp_path, Path(os.fsdecode(bytes(tmp_path / "m") + b"\xff.jpg")), "zero\0.jpg"]
    ids = ImageSet([good, *bad]).content_ids()
    assert ids[0] == content_id(good)
    assert len(set(ids)) == 5
    assert ids == ImageSet([good, *bad]).content_ids()


def test_as_image_set_of_whatever_holds_images():
    images = example()
    assert as_image_set(images) is images
    assert as_image_set(PIXELS).images is PIXELS
    assert as_image_set(["a.jpg", Path("b.jpg")]).images == ["a.jpg", Path("b.jpg")]
    assert as_image_set(()).images == []


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ("cat.jpg", r"one image was given \('cat.jpg'\); give a list"),
        (Path("cat.jpg"), "one image was given"),
        (b"content", "one image was given"),
        (PIXELS[0], r"images are uint8 \(6, 5, 3\)"),
        (PIXELS.astype(np.float32), r"images are float32 .*must be uint8 \(n, h, w, 3\)"),
    ],
)
def test_one_image_instead_of_many_is_refused(images, sentence):
    with pytest.raises(InputError, match=sentence):
        as_image_set(images)


@pytest.mark.parametrize("name", ["a;b", "a\u037eb"])  # the second becomes the first in composed form
def test_a_label_that_would_become_two_is_refused(name):
    with pytest.raises(InputError, match="; separates labels"):
        ImageSet([b"", b""], labels=np.eye(2, dtype=bool), class_names=(name, "c"))


def test_label_matrix_of_none_some_and_repeated_names():
    matrix, classes = label_matrix([["b"], [], ["a", "b", "a"]])
    assert classes == ("a", "b")
    assert matrix.tolist() == [[False, True], [False, False], [True, True]]
    assert label_matrix([["a "], ["a"], [" "]])[0].tolist() == [[True], [True], [False]]
    empty, none = label_matrix([[], []])
    assert (empty.shape, none) == ((2, 0), ())
