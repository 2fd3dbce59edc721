"""Labels that are probably wrong."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.data import ImageSet
from ordhash.learn.correction import Correction, _Halves, correct_labels, corrected, write_corrected, wrong_share

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


def test_predictions_are_those_of_regressions_on_the_other_half():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 4)).astype(np.float32)
    targets = (features[:, :2] + rng.normal(size=(30, 2))).astype(np.float32)
    centred = features - features.mean(axis=0)
    centred /= np.sqrt((centred**2).sum(axis=1).mean())
    halves = _Halves(features)
    assert np.bincount(halves.part).tolist() == [15, 15]

    def slowly(penalty):
        mean = targets.mean(axis=0)
        rows = []
        for row in range(30):
            rest = halves.part != halves.part[row]
            x, y = centred[rest], targets[rest] - mean
            rows.append(mean + centred[row] @ np.linalg.solve(x.T @ x + penalty * np.eye(4), x.T @ y))
        return np.array(rows)

    slow = [slowly(30 * share) for share in np.logspace(-5, -1.5, 8)]
    best = min(slow, key=lambda rows: ((rows - targets) ** 2).mean())
    np.testing.assert_allclose(halves.predict(targets), best, atol=1e-4)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(("n_classes", "share"), [(3, 0.3), (5, 0.2), (5, 0.4), (40, 0.2)])
def test_wrong_labels_are_counted_and_most_of_them_corrected(n_classes, share, seed):
    features, classes = blobs(n_classes, seed=seed, dimensions=20)
    given = with_errors(classes, share, n_classes)
    found = correct_labels(features, given)
    assert found.share == pytest.approx(share, abs=0.12)
    assert (found.classes != classes).mean() < 0.05
    np.testing.assert_array_equal(found.changed, found.classes != given)


@pytest.mark.parametrize("n_classes", [3, 5, 10])
@pytest.mark.parametrize("spread", [1.0, 2.0, 4.0, 8.0, 50.0])  # the last: features say nothing
def test_right_labels_stay_however_hard_images_are(n_classes, spread):
    features, classes = blobs(n_classes, spread=spread, dimensions=20)
    assert not correct_labels(features, classes).changed.any()


def test_right_labels_stay_of_classes_that_look_alike():
    features, classes = blobs()
    features[classes == 1] += features[classes == 0].mean(axis=0) - features[classes == 1].mean(axis=0)
    found = correct_labels(features, classes)
    assert found.share < 0.1
    assert not found.changed.any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_classes", [2, 5])
def test_labels_that_say_nothing_are_left_alone(n_classes, seed):
    features, classes = blobs(n_classes)
    found = correct_labels(features, np.random.default_rng(seed).permutation(classes))
    assert found.share is None
    assert not found.changed.any()


def test_names_do_not_matter():
    features, classes = blobs()
    given = with_errors(classes, 0.3, 5)
    found, renamed = correct_labels(features, given), correct_labels(features, 10 + (given + 1) % 5)  # some are missing
    assert renamed.share == pytest.approx(found.share)
    np.testing.assert_array_equal(renamed.classes, 10 + (found.classes + 1) % 5)
    assert not correct_labels(
        features, (classes + 1) % 5
    ).changed.any()  # consistently named otherwise: nothing is wrong


def test_a_rare_class_keeps_its_labels():
    features, classes = blobs()
    given = with_errors(classes, 0.4, 5)
    given[:10] = 5  # ten images among those of another class, which predict that
    found = correct_labels(features, given)
    assert found.changed.any()
    assert not found.changed[:10].any()


def test_a_single_class_has_no_other():
    features, classes = blobs(1)
    found = correct_labels(features, classes)
    assert (found.share, found.changed.any()) == (None, False)


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_a_share_is_one(n_classes, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(n_classes), size=20)
    share, accuracy = wrong_share(probabilities, rng.integers(0, n_classes, size=20))
    assert 0 <= share <= 1
    assert np.isfinite(accuracy)


def wrong_share_slowly(probabilities, classes):
    """The share, class by class."""
    shares = []
    for c in range(probabilities.shape[1]):
        own = [row for row in range(len(classes)) if probabilities[row].argmax() == c]
        own.sort(key=lambda row: -probabilities[row].max())
        if own:
            shares.append(np.mean([classes[row] != c for row in own[: -(-len(own) // 5)]]))
    return np.median(shares)


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_the_share_is_that_of_the_surest_fifth_of_every_class(n_classes, seed):
    rng = np.random.default_rng(seed)
    probabilities, classes = rng.dirichlet(np.ones(n_classes), size=40), rng.integers(0, n_classes, size=40)
    assert wrong_share(probabilities, classes)[0] == pytest.approx(wrong_share_slowly(probabilities, classes))


def test_what_was_corrected_is_listed(tmp_path):
    keys = np.array(["a.jpg", "b, c.jpg", "d.jpg"])
    images = ImageSet(np.zeros((3, 8, 8, 3), np.uint8), keys, np.eye(2, dtype=bool)[[0, 1, 1]], ("cat", "dog"))
    correction = Correction(0.3, 0.9, np.array([0, 0, 1]), np.array([False, True, False]))
    path = tmp_path / "corrected.csv"
    write_corrected(path, corrected(images, correction))
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["image", "label", "learned_as"], ["b, c.jpg", "dog", "cat"]]
    write_corrected(path, [])
    assert not path.exists()
