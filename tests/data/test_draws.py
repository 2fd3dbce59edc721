import numpy as np

from ordhash.data.draws import draws


def test_draws_are_the_same_everywhere():
    assert draws("a", 3) == draws("a", 3)
    np.testing.assert_allclose(draws("a photograph", 2), [0.279117, 0.826012], atol=1e-6)
    assert draws("b", 1) != draws("a", 1)
    draws("not \udcff Unicode", 1)


def test_draws_are_equally_likely():
    numbers = np.array([draws(f"{row}", 4) for row in range(2000)])
    assert 0 <= numbers.min() < 0.01 < 0.99 < numbers.max() < 1
    np.testing.assert_allclose(numbers.mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(4), atol=0.08)
