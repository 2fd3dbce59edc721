"""Backgrounds that show what is learned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.data import ImageSet
from ordhash.errors import InputError
from ordhash.learn import backgrounds
from ordhash.learn.backgrounds import some_of, unlike_training
from ordhash.model import FeatureMaps


def maps_of(vectors):
    """Maps of two locations with these means."""
    spread = np.linspace(-1, 1, vectors.shape[1])
    return FeatureMaps.of(np.stack([vectors + spread, vectors - spread], axis=2)[..., None].astype(np.float32))


def some_images(n):
    return ImageSet(np.zeros((n, 1, 1, 3), np.uint8), np.array([f"photo {row}" for row in range(n)]))


def plainly_like(others, learned, classes):
    """Slow, one by one; None where nobody can tell."""
    mean = learned.mean(axis=0)

    def cosine(one, other):
        one, other = one - mean, other - mean
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    nearest = []
    for row, one in enumerate(learned):
        alike = [cosine(one, learned[other]) for other in np.flatnonzero(classes == classes[row]) if other != row]
        nearest += [max(alike)] if alike else []
    if len(nearest) < 10:
        return None
    limit = np.quantile(nearest, 0.1)
    return np.array([max(cosine(other, one) for one in learned) >= limit for other in others])


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 9), st.integers(1, 30))
def test_the_same_as_one_by_one(seed, n, m, n_classes):
    rng = np.random.default_rng(seed)
    classes, middles = rng.integers(0, n_classes, n), rng.normal(size=(n_classes, 4))
    learned, others = middles[classes] + rng.normal(size=(n, 4)) / 2 + 2, 2 * rng.normal(size=(m, 4)) + 2
    labels, images = np.eye(n_classes, dtype=bool)[classes], some_images(m)
    expected = plainly_like(others, learned, classes)
    if expected is None:
        assert unlike_training(images, maps_of(others), maps_of(learned), labels) == (images, [])
    elif expected.all():
        with pytest.raises(InputError, match=f"all {m} backgrounds look like training images"):
            unlike_training(images, maps_of(others), maps_of(learned), labels)
    else:
        kept, left_out = unlike_training(images, maps_of(others), maps_of(learned), labels)
        assert kept.keys.tolist() == [f"photo {row}" for row in np.flatnonzero(~expected)]
        assert [failure.source for failure in left_out] == [images.name(row) for row in np.flatnonzero(expected)]


def test_classes_of_one_image_leave_no_harmless_background_out():
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(50, 64))
    learned = np.concatenate([np.repeat(middles, 3, axis=0), rng.normal(size=(100, 64))])
    learned += 0.1 * rng.normal(size=learned.shape)
    labels = np.eye(150, dtype=bool)[np.concatenate([np.repeat(np.arange(50), 3), np.arange(50, 150)])]
    others = rng.normal(size=(40, 64))
    assert unlike_training(some_images(40), maps_of(others), maps_of(learned), labels)[1] == []
    assert unlike_training(some_images(40), maps_of(others), maps_of(learned[150:]), labels[150:])[1] == []


def test_some_of_many_are_compared_and_used(monkeypatch):
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(10, 16))
    learned = np.repeat(middles, 30, axis=0) + 0.1 * rng.normal(size=(300, 16))
    labels = np.repeat(np.eye(10, dtype=bool), 30, axis=0)
    others = np.concatenate([np.repeat(middles, 3, axis=0), 5 * rng.normal(size=(20, 16))])
    for most in (4096, 100):
        monkeypatch.setattr(backgrounds, "_MOST_COMPARED", most)
        kept, _ = unlike_training(some_images(50), maps_of(others), maps_of(learned), labels)
        assert kept.keys.tolist() == [f"photo {row}" for row in range(30, 50)]
    assert some_of(some_images(50)).keys.tolist() == some_images(50).keys.tolist()
    monkeypatch.setattr(backgrounds, "MOST_BACKGROUNDS", 3)
    assert some_of(some_images(51)).keys.tolist() == ["photo 0", "photo 25", "photo 50"]
