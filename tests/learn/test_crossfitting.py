import numpy as np
import pytest

from ordhash.codes import OrdinalCodes, ordinal_distances
from ordhash.learn.crossfitting import crossfitted_calibrations, epochs_of_pairs
from ordhash.learn.validation import calibrations, leave_one_out_map


def scores_at(rng, classes, noise):
    """Scores of images, float32 (n, 4, 4): codes of their classes, and noise."""
    return (np.eye(4)[classes][:, None] + rng.normal(scale=noise, size=(len(classes), 4, 4))).astype(np.float32)


def test_one_epoch_is_measured_as_it_is():
    rng, classes = np.random.default_rng(0), np.repeat(np.arange(3), 10)
    scores, labels = scores_at(rng, classes, 0.6), np.eye(3, dtype=bool)[classes]
    assert crossfitted_calibrations([scores], labels) == calibrations(scores, labels)


def test_where_an_epoch_is_best_for_all_it_is_measured():
    rng, classes = np.random.default_rng(1), np.repeat(np.arange(3), 10)
    labels = np.eye(3, dtype=bool)[classes]
    epochs = [scores_at(rng, classes, noise) for noise in (2.0, 0.4, 2.0)]
    assert (epochs_of_pairs(epochs, labels) == 1).all()
    assert crossfitted_calibrations(epochs, labels) == calibrations(epochs[1], labels)


def test_a_pair_has_no_say_in_where_it_is_measured():
    rng, classes = np.random.default_rng(2), np.repeat(np.arange(3), 12)
    labels = np.eye(3, dtype=bool)[classes]
    epochs = [scores_at(rng, classes, 0.9) for _ in range(4)]
    chosen = epochs_of_pairs(epochs, labels)
    assert len(np.unique(chosen)) > 1
    np.testing.assert_array_equal(chosen, chosen.T)
    for i, j in ((0, 1), (0, 6), (20, 35)):
        changed = [scores.copy() for scores in epochs]
        for scores in changed:
            scores[[i, j]] = rng.normal(size=(2, 4, 4))
        assert epochs_of_pairs(changed, labels)[i, j] == chosen[i, j]


def test_an_epoch_chosen_by_noise_looks_good_on_its_own_pairs_and_not_on_others():
    rng, classes = np.random.default_rng(3), np.repeat(np.arange(2), 10)
    labels, apart = np.eye(2, dtype=bool)[classes], ~np.eye(20, dtype=bool)
    alike, own, others = (classes[:, None] == classes)[apart], [], []
    for _ in range(6):
        epochs = [rng.normal(size=(20, 4, 4)).astype(np.float32) for _ in range(6)]  # nothing was learned
        codes = [OrdinalCodes.from_scores(scores) for scores in epochs]
        distances = np.stack([ordinal_distances(some, some)[apart] for some in codes]).astype(float)
        nearer = distances[:, ~alike].mean(axis=1) - distances[:, alike].mean(axis=1)
        best = int(np.argmax([leave_one_out_map(some, labels) for some in codes]))
        measured = distances[epochs_of_pairs(epochs, labels)[apart], np.arange(len(alike))]
        own.append(nearer[best])
        others.append(measured[~alike].mean() - measured[alike].mean())
    assert np.mean(own) > 0.1
    assert abs(np.mean(others)) < np.mean(own) / 2


@pytest.mark.parametrize("n", [0, 1, 3])
def test_where_no_two_images_are_relevant_nothing_is_known(n):
    epochs = [np.zeros((n, 3, 4), np.float32)] * 2
    assert crossfitted_calibrations(epochs, np.eye(3, dtype=bool)[:n]) == (None, None)
