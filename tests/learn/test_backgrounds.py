"""Backgrounds that show what is learned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.data import ImageSet
from ordhash.errors import InputError
from ordhash.learn import backgrounds
from ordhash.learn.backgrounds import unlike_training
from ordhash.model import FeatureMaps


def maps_of(vectors):
    """Maps of two locations with these means."""
    spread = np.linspace(-1, 1, vectors.shape[1])
    return FeatureMaps.of(np.stack([vectors + spread, vectors - spread], axis=2)[..., None].astype(np.float32))


def some_images(n):
    return ImageSet(np.zeros((n, 1, 1, 3), np.uint8), np.array([f"photo {row}" for row in range(n)]))


def plainly_like(others, learned):
    """Slow, one by one."""
    mean = learned.mean(axis=0)

    def cosine(one, other):
        one, other = one - mean, other - mean
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    n = len(learned)
    nearest = [max(cosine(learned[row], learned[other]) for other in range(n) if other != row) for row in range(n)]
    limit = np.quantile(nearest, 0.1)
    return [max(cosine(other, one) for one in learned) >= limit for other in others]


@given(st.integers(0, 10_000), st.integers(3, 12), st.integers(2, 9))
def test_the_same_as_one_by_one(seed, n, m):
    rng = np.random.default_rng(seed)
    learned, others = rng.normal(size=(n, 4)) + 2, rng.normal(size=(m, 4)) + 2
    expected = np.array(plainly_like(others, learned))
    if expected.all():
        with pytest.raises(InputError, match=f"all {m} backgrounds look like training images"):
            unlike_training(some_images(m), maps_of(others), maps_of(learned))
        return
    kept, left_out = unlike_training(some_images(m), maps_of(others), maps_of(learned))
    assert kept.keys.tolist() == [f"photo {row}" for row in np.flatnonzero(~expected)]
    assert [failure.source for failure in left_out] == [some_images(m).name(row) for row in np.flatnonzero(expected)]


def test_many_are_compared_in_blocks_with_some(monkeypatch):
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(10, 16))
    learned = np.repeat(middles, 30, axis=0) + 0.1 * rng.normal(size=(300, 16))
    others = np.concatenate([np.repeat(middles, 3, axis=0), 5 * rng.normal(size=(20, 16))])
    kept, _ = unlike_training(some_images(50), maps_of(others), maps_of(learned))
    monkeypatch.setattr(backgrounds, "_AT_ONCE", 7)
    monkeypatch.setattr(backgrounds, "_MOST_COMPARED", 100)
    again, _ = unlike_training(some_images(50), maps_of(others), maps_of(learned))
    assert kept.keys.tolist() == again.keys.tolist() == [f"photo {row}" for row in range(30, 50)]
