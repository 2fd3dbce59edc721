import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ordhash.codes import ordinal_distances
from ordhash.codes.codes import OrdinalCodes
from ordhash.data import ImageSet, read_folder
from ordhash.errors import InputError
from ordhash.learn.validation import (
    calibrate,
    calibrations,
    held_out,
    held_out_mask,
    labelled,
    labels_of,
    latest_as_good,
    leave_one_out_map,
    leave_one_out_precisions,
    lower_bound,
    neighbour_counts,
    usable,
)


def make_set(labels, keys=None):
    """Pictures of one colour each; what is on them does not matter."""
    labels = np.asarray(labels, dtype=bool)
    pictures = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    return ImageSet(pictures, keys, labels, tuple(f"class {c}" for c in range(labels.shape[1])))


# ---------------------------------------------------------------- labels


def test_images_without_labels_are_refused():
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    for check in (labels_of, labelled):
        with pytest.raises(InputError, match="the images have no labels; give one sub-folder per class"):
            check(ImageSet(pictures))


def test_labelled_images_are_those_with_a_label():
    images = make_set([[1, 0], [0, 0], [1, 1], [0, 1], [0, 0]])
    found = labelled(images)
    assert found.keys.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(found.labels, images.labels[[0, 2, 3]])
    assert found.class_names == images.class_names
    assert labelled(found).keys.tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("labels", "classes"), [([[1, 0], [1, 0]], 1), ([[0, 0], [0, 0]], 0), (np.zeros((0, 2)), 0), ([[1], [1]], 1)]
)
def test_fewer_than_two_classes_are_refused(labels, classes):
    with pytest.raises(InputError, match=f"at least two classes.* {classes}$"):
        labelled(make_set(labels))


# ---------------------------------------------------------------- usable


def test_usable_images_are_those_that_can_be_read(photo_folder, bad_files):
    for kind in ("truncated", "text"):
        (photo_folder / "banana" / f"{kind}.jpg").write_bytes(bad_files[kind].read_bytes())
    images, steps = read_folder(photo_folder), []
    found, failures = usable(images, steps.append)
    assert steps == [1] * 20
    assert [key for key in images.keys.tolist() if key not in found.keys] == ["banana/text.jpg", "banana/truncated.jpg"]
    assert len(found) == 18
    assert [failure.source for failure in failures] == [
        str(photo_folder / "banana" / f"{kind}.jpg") for kind in ("text", "truncated")
    ]
    np.testing.assert_array_equal(found.labels, images.labels[np.isin(images.keys, found.keys)])


def test_not_one_usable_image_is_refused(bad_files):
    images = ImageSet(list(bad_files.values()))
    sentence = r"^none of the 4 images can be used \(.*empty\.jpg: the file is empty.*\); give images that can be read$"
    with pytest.raises(InputError, match=sentence):
        usable(images, lambda _: None)
    with pytest.raises(InputError, match="none of the 0 images can be used; give images that can be read"):
        usable(ImageSet([]), lambda _: None)


# ---------------------------------------------------------------- held_out


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=6), st.floats(0, 0.9), st.integers(0, 99))
def test_a_share_of_every_class_is_held_out_and_never_its_last_image(sizes, fraction, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    images = make_set(np.eye(len(sizes), dtype=bool)[classes])
    training, validation = held_out(images, fraction, seed)
    assert sorted([*training.keys.tolist(), *validation.keys.tolist()]) == list(range(len(images)))  # no overlap
    for label, size in enumerate(sizes):
        taken = int(validation.labels[:, label].sum())
        share = min(round(fraction * size), size - 1)
        assert taken == (share if share > 1 else 0)  # one image alone would measure nothing
        assert training.labels[:, label].any()


def test_what_is_held_out_depends_on_seed_and_keys_alone():
    labels = np.eye(3, dtype=bool)[np.arange(60) % 3]
    images = make_set(labels, np.array([f"{number}.jpg" for number in range(60)]))
    once = set(held_out(images, 0.3, 0)[1].keys.tolist())
    order = np.random.default_rng(0).permutation(60)
    assert set(held_out(images.subset(order), 0.3, 0)[1].keys.tolist()) == once
    assert set(held_out(images, 0.3, 1)[1].keys.tolist()) != once
    assert len(held_out(images, 0.0, 0)[1]) == 0


def test_images_and_labels_stay_together():
    images = make_set(np.eye(3, dtype=bool)[np.arange(30) % 3])
    chosen = held_out_mask(images, 0.4, 0)
    assert (chosen.dtype, chosen.shape) == (bool, (30,))
    assert [part.keys.tolist() for part in held_out(images, 0.4, 0)] == [
        np.flatnonzero(~chosen).tolist(),
        np.flatnonzero(chosen).tolist(),
    ]
    for part in held_out(images, 0.4, 0):
        np.testing.assert_array_equal(part.images[:, 0, 0, 0], part.keys)
        np.testing.assert_array_equal(part.labels, images.labels[part.keys])


@pytest.mark.parametrize("size", range(1, 20))
def test_images_that_could_measure_nothing_are_learned_from(size):
    _, validation = held_out(make_set(np.eye(3, dtype=bool)[np.arange(3 * size) % 3]), 0.1, 0)
    assert len(validation) == (6 if size >= 15 else 0)
    if len(validation):
        assert leave_one_out_map(OrdinalCodes.from_symbols(np.zeros((6, 2), np.uint8), arity=2), validation.labels)


@pytest.mark.parametrize("seed", range(12))
def test_images_held_out_share_a_label_with_another(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random((60, 20)) < 0.08
    labels[np.arange(60), rng.integers(0, 20, 60)] = True
    validation = held_out(make_set(labels), 0.2, seed)[1].labels.astype(int)
    shared = (validation @ validation.T > 0).sum(axis=1) - 1
    assert (shared > 0).all()


@pytest.mark.parametrize("seed", range(12))
def test_no_class_loses_its_last_image_where_images_carry_many_labels(seed):
    # Class 0 is on three images, each of which also carries a label rarer than it.
    labels = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]], dtype=bool)
    training, validation = held_out(make_set(labels), 0.5, seed)
    assert training.labels.any(axis=0).all()
    assert len(validation) != 1


# ---------------------------------------------------------------- leave_one_out_map


def average_precision_slowly(distances, relevant):
    """Mean over every order of the items, sorted by distance with ties in that order."""
    values = []
    for order in itertools.permutations(range(len(distances))):
        ranking = sorted(order, key=lambda item: distances[item])
        hits, precisions = 0, []
        for position, item in enumerate(ranking, start=1):
            if relevant[item]:
                hits += 1
                precisions.append(hits / position)
        values.append(np.mean(precisions))
    return np.mean(values)


@pytest.mark.parametrize("seed", range(4))
def test_leave_one_out_map_searches_every_image_among_the_others(seed):
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, 2, (6, 3))
    labels = rng.random((6, 3)) < 0.4
    labels[:2, 0] = True
    labels[5] = [seed == 0, False, False]  # otherwise an image without a relevant other, which is no query
    expected = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        distances = [sum(a != b for a, b in zip(symbols[i], symbols[j], strict=True)) for j in others]
        relevant = [bool((labels[i] & labels[j]).any()) for j in others]
        if any(relevant):
            expected.append(average_precision_slowly(distances, relevant))
    found = leave_one_out_map(OrdinalCodes.from_symbols(symbols, arity=2), labels)
    assert found == pytest.approx(np.mean(expected), abs=1e-9)


def test_neighbours_are_counted_by_fold_and_distance():
    n = 520  # more than are counted at once
    rng = np.random.default_rng(0)
    codes = OrdinalCodes.from_symbols(rng.integers(0, 2, (n, 3)).astype(np.uint8), arity=2)
    labels, folds = rng.random((n, 4)) < 0.4, rng.integers(0, 3, n)
    counts = neighbour_counts(codes, labels, folds)
    assert counts.shape == (2, n, 3, 4)
    for one in (0, 1, 511, 512, 519):
        distances, alike = ordinal_distances(codes[[one]], codes)[0], (labels & labels[one]).any(axis=1)
        for fold, distance in itertools.product(range(3), range(4)):
            there = (folds == fold) & (distances == distance) & (np.arange(n) != one)
            assert counts[:, one, fold, distance].tolist() == [there.sum(), (there & alike).sum()]


# ---------------------------------------------------------------- latest_as_good


def plain_latest_as_good(precisions):
    """By the definition, epoch by epoch."""
    means = [np.mean(epoch) for epoch in precisions]
    best = max(range(len(means)), key=lambda epoch: (means[epoch], epoch))
    for epoch in reversed(range(len(means))):
        difference = [a - b for a, b in zip(precisions[best], precisions[epoch], strict=True)]
        if len(difference) < 2 or np.mean(difference) <= 2 * np.std(difference, ddof=1) / len(difference) ** 0.5:
            return epoch
    raise AssertionError("the best is as good as itself")


@given(
    st.integers(1, 5).flatmap(
        lambda images: st.lists(
            st.lists(st.integers(0, 10).map(lambda tenths: tenths / 10), min_size=images, max_size=images),
            min_size=1,
            max_size=6,
        )
    )
)
def test_the_kept_epoch_is_the_latest_that_is_not_shown_to_be_worse(precisions):
    assert latest_as_good(precisions) == plain_latest_as_good(precisions)


def test_a_plateau_is_kept_to_its_end_and_a_fall_is_not():
    rng = np.random.default_rng(0)
    images = rng.uniform(0.3, 0.9, 300)  # some are easy, some are hard
    kept, before_a_fall = [], []
    for _ in range(40):
        plateau = [images + rng.normal(scale=0.1, size=300) + level for level in (-0.1, 0, 0, 0, 0, 0)]
        kept.append(latest_as_good(plateau))
        before_a_fall.append(latest_as_good([*plateau, images - 0.1]))
    assert kept == before_a_fall
    assert min(kept) > 0
    assert np.mean(np.equal(kept, 5)) > 0.8  # the best is the last one in a fifth of the cases


def test_without_images_the_last_epoch_is_kept():
    assert latest_as_good([np.zeros(0)] * 3) == 2


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_the_precisions_is_the_map(seed):
    rng = np.random.default_rng(seed)
    labels = np.eye(3, dtype=bool)[rng.integers(0, 3, 12)]
    labels[0] = False
    codes = OrdinalCodes.from_symbols(rng.integers(0, 2, (12, 6)).astype(np.uint8), arity=2)
    precisions = leave_one_out_precisions(codes, labels)
    assert len(precisions) == 11
    assert precisions.mean() == leave_one_out_map(codes, labels)


def test_leave_one_out_map_without_relevant_others():
    codes = OrdinalCodes.from_symbols(np.zeros((3, 2), dtype=int), arity=2)
    assert leave_one_out_map(codes, np.eye(3, dtype=bool)) is None


# ---------------------------------------------------------------- calibration


def bounds_slowly(pairs, independent=lambda block: len(block)):
    """Bounds of distances, from the rest of the group whose shares would rise, at least as high as those behind it.

    Args:
        pairs: Distance, relevance and image.
        independent: How many of the pairs of a group are independent.
    """
    blocks = []  # of pairs
    for distance in sorted({distance for distance, *_ in pairs}):
        blocks.append([pair for pair in pairs if pair[0] == distance])
        while len(blocks) > 1 and share_of(blocks[-1]) >= share_of(blocks[-2]):
            last = blocks.pop()
            blocks[-1] = blocks[-1] + last
    expected, best = {}, 0.0
    for block in reversed(blocks):
        for distance in sorted({distance for distance, *_ in block}, reverse=True):
            rest = [pair for pair in block if pair[0] >= distance]
            n, share = independent(rest), share_of(rest)
            best = max(best, stats.beta.ppf(0.05, share * n, n - share * n + 1) if share else 0.0)
            expected[distance] = best
    return dict(sorted(expected.items()))


def share_of(block):
    return sum(relevant for _, relevant, *_ in block) / len(block)


def effective(block):
    """Independent pairs among those of a group, each of which stands twice, once with either image."""
    counts = Counter(image for *_, image in block)
    return len(block) ** 2 / sum(count**2 for count in counts.values()) / 2


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 9)), min_size=1, max_size=200).filter(
        lambda p: any(r for _, r, _ in p)
    )
)
def test_calibration_is_the_bound_by_distance_that_never_rises(pairs):
    distances, relevance, images = (np.array(column) for column in zip(*pairs, strict=True))
    found = calibrate(distances.astype(np.uint16), relevance)
    expected = bounds_slowly(pairs)
    assert found.distances == tuple(expected)
    assert all(isinstance(distance, int) for distance in found.distances)
    np.testing.assert_allclose(found.likelihoods, list(expected.values()), atol=1e-6)
    assert found.pairs == len(pairs)
    shared = bounds_slowly(pairs, effective)
    found = calibrate(distances, relevance, images)
    np.testing.assert_allclose(found.likelihoods, list(shared.values()), atol=1e-6)


@given(st.floats(0, 1), st.integers(1, 10**6))
def test_bounds_are_below_the_share_and_come_closer_with_more_pairs(share, count):
    bounds = lower_bound([share] * 3, [count, 10 * count, 10**9])
    assert (np.diff([*bounds, share]) >= -1e-6).all()
    assert bounds[-1] == pytest.approx(share, abs=1e-3)


@given(st.integers(0, 200), st.integers(1, 200))
def test_bounds_of_whole_numbers_are_those_of_the_exact_test(hits, count):
    exact = stats.binomtest(min(hits, count), count, alternative="greater").proportion_ci(0.95, method="exact").low
    assert lower_bound(min(hits, count) / count, count) == pytest.approx(exact, abs=1e-9)


def test_few_pairs_never_promise_everything():
    for distances in (np.zeros(40, int), np.zeros(40, np.float32)):
        likelihood = calibrate(distances, np.ones(40, dtype=bool)).likelihoods[0]
        assert 0.9 < likelihood < 0.95


@pytest.mark.parametrize(("n", "wrong"), [(20, 0.1), (60, 0.05), (200, 0.2)])
def test_bounds_hold_in_19_of_20_cases_where_pairs_share_images(n, wrong):
    """Images have the code of their class, or, some of them, that of another, and so have all of their pairs."""
    rng = np.random.default_rng(n)
    classes = np.arange(n) % 5
    truth = ((1 - wrong) ** 2 + wrong**2 / 4) / ((1 - wrong) ** 2 + 4 * wrong * (1 - wrong) / 2 + wrong**2)
    seen = []
    for _ in range(100):
        shown = np.where(rng.random(n) < wrong, (classes + rng.integers(1, 5, n)) % 5, classes)
        ordinal, _ = calibrations(np.eye(5, dtype=np.float32)[shown][:, None, :4], np.eye(5, dtype=bool)[classes])
        seen.append(ordinal.likelihoods[0])
    held = np.mean(np.array(seen) <= truth)
    assert held >= 0.95


def test_few_images_between_two_kinds_do_not_speak_for_many_pairs():
    # Three images are at distance 1 to all 20 of their class, and are the only ones that are apart from it.
    scores = np.zeros((60, 2, 3), np.float32)
    classes = np.repeat(np.arange(3), 20)
    scores[np.arange(60), :, classes] = 1
    scores[[0, 20, 40], 1] = np.roll(scores[[0, 20, 40], 1], 1, axis=1)
    ordinal, _ = calibrations(
        np.pad(scores, ((0, 0), (0, 0), (0, 1)), constant_values=-1), np.eye(3, dtype=bool)[classes]
    )
    assert ordinal.likelihood(0) > 0.85
    assert ordinal.likelihood(1) < 0.4  # half of its 228 pairs are relevant


def test_asymmetric_distances_are_pooled_between_quantiles():
    rng = np.random.default_rng(0)
    distances = rng.uniform(0, 10, 200_000).astype(np.float32)
    relevance = rng.random(len(distances)) < np.exp(-distances)
    found = calibrate(distances, relevance)
    assert len(found.distances) <= 66
    at = np.array([0.1, 0.5, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(found.likelihood(at), np.exp(-at), atol=0.04)


def test_calibrations_compare_every_image_with_every_other():
    rng = np.random.default_rng(1)
    labels = np.eye(3, dtype=bool)[np.arange(60) % 3]
    scores = (labels[:, None, [0, 1, 2, 0]] * 1.0 + rng.normal(scale=0.8, size=(60, 5, 4))).astype(np.float32)
    ordinal, asymmetric = calibrations(scores, labels)
    symbols = scores.argmax(axis=2)
    pairs = [
        (int((symbols[i] != symbols[j]).sum()), bool((labels[i] & labels[j]).any()), i)
        for i in range(60)
        for j in range(60)
        if i != j
    ]
    expected = bounds_slowly(pairs, effective)
    np.testing.assert_allclose(ordinal.likelihoods, list(expected.values()), atol=1e-6)
    assert ordinal.pairs == asymmetric.pairs == 60 * 59
    assert asymmetric.likelihood(0.0) > 0.5 > 0.2 > asymmetric.likelihood(5.0)


@pytest.mark.parametrize("labels", [np.ones((1, 2)), np.eye(3), np.zeros((4, 2)), np.zeros((0, 2))])
def test_where_no_two_images_are_relevant_nothing_is_known(labels):
    assert calibrations(np.zeros((len(labels), 3, 4), np.float32), labels.astype(bool)) == (None, None)


def test_many_images_are_calibrated_on_some_of_every_class():
    labels = np.eye(3, dtype=bool)[np.repeat([0, 1, 2], 1000)]
    ordinal, _ = calibrations(np.eye(4, dtype=np.float32)[np.repeat([0, 1, 2], 1000)][:, None], labels)
    assert (ordinal.pairs, ordinal.distances) == (2000 * 1999, (0, 1))
    assert 0.997 < ordinal.likelihoods[0] < 1 == 1 + ordinal.likelihoods[1]


def test_distances_that_are_nearly_equal_stay_in_order():
    distances = np.float32(1e-3) + np.arange(1000, dtype=np.float32) * np.float32(1e-9)
    found = calibrate(distances, np.ones(1000, dtype=bool))
    assert len(found.distances) > 1
    assert found.likelihood(0.001) > 0.99
