"""Labels that are probably wrong."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.data import ImageSet
from ordhash.learn.correction import (
    Correction,
    _LeaveOneOut,
    correct_labels,
    corrected,
    write_corrected,
    wrong_share,
)

PER_CLASS = 120


def blobs(n_classes=5, spread=0.3, seed=0, dimensions=8):
    """Features of classes that lie apart, and the classes."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    classes = np.repeat(np.arange(n_classes), PER_CLASS)
    features = centres[classes] + spread * rng.normal(size=(len(classes), dimensions)) / np.sqrt(dimensions)
    return features.astype(np.float32), classes


def with_errors(classes, share, n_classes, seed=1):
    """So many labels replaced by others, all equally likely."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(classes)) < share * len(classes)
    others = (classes + rng.integers(1, n_classes, size=len(classes))) % n_classes
    return np.where(wrong, others, classes)


def test_leave_one_out_predictions_are_those_of_regressions_without_the_row():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 4)).astype(np.float32)
    targets = features[:, :2].astype(np.float64) + rng.normal(size=(30, 2))
    centred = features - features.mean(axis=0)
    centred /= np.sqrt((centred**2).sum(axis=1).mean())

    def slowly(penalty):
        rows = []
        for left_out in range(30):
            rest = np.arange(30) != left_out
            # With a column of ones for the mean, which is not penalised.
            x, y = np.c_[centred[rest], np.ones(29)], targets[rest]
            ridge = penalty * np.diag([1.0] * 4 + [0.0])
            rows.append(np.r_[centred[left_out], 1] @ np.linalg.solve(x.T @ x + ridge, x.T @ y))
        return np.array(rows)

    slow = [slowly(30 * share) for share in np.logspace(-5, -1.5, 8)]
    best = min(slow, key=lambda rows: ((rows - targets) ** 2).mean())
    np.testing.assert_allclose(_LeaveOneOut(features).predict(targets), best, atol=1e-4)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_wrong_labels_are_counted_and_most_of_them_corrected(share):
    features, classes = blobs()
    given = with_errors(classes, share, 5)
    found = correct_labels(features, given, 5)
    assert found.share == pytest.approx(share, abs=0.06)
    assert (found.classes != classes).mean() < 0.05
    np.testing.assert_array_equal(found.changed, found.classes != given)


def test_right_labels_stay_even_of_classes_that_look_alike():
    features, classes = blobs()
    features[classes == 1] += features[classes == 0].mean(axis=0) - features[classes == 1].mean(axis=0)
    found = correct_labels(features, classes, 5)
    assert found.share < 0.02
    np.testing.assert_array_equal(found.classes, classes)
    assert not found.changed.any()


def test_labels_that_say_nothing_are_left_alone():
    features, classes = blobs()
    shuffled = np.random.default_rng(0).permutation(classes)
    found = correct_labels(features, shuffled, 5)
    assert found.share > 0.5
    found = correct_labels(features, (classes + 1) % 5, 5)  # consistently named otherwise: nothing is wrong
    assert found.share == 0
    assert not found.changed.any()


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_a_share_is_one(n_classes, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(n_classes), size=20)
    assert 0 <= wrong_share(probabilities, rng.integers(0, n_classes, size=20)) <= 1


def test_a_class_without_images_is_no_error():
    features, classes = blobs()
    given = with_errors(classes, 0.3, 5)
    found = correct_labels(features, given, 7)
    assert (found.classes < 5).mean() > 0.99


def test_what_was_corrected_is_listed(tmp_path):
    keys = np.array(["a.jpg", "b, c.jpg", "d.jpg"])
    images = ImageSet(np.zeros((3, 8, 8, 3), np.uint8), keys, np.eye(2, dtype=bool)[[0, 1, 1]], ("cat", "dog"))
    correction = Correction(0.3, np.array([0, 0, 1]), np.array([False, True, False]))
    path = tmp_path / "corrected.csv"
    write_corrected(path, corrected(images, correction))
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["image", "label", "learned_as"], ["b, c.jpg", "dog", "cat"]]
    write_corrected(path, [])
    assert not path.exists()
