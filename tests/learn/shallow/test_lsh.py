import numpy as np
from clusters import clusters

from ordhash.learn.shallow import LSH


def test_lsh_draws_directions_that_know_nothing_of_the_features():
    features, _ = clusters()
    weight = LSH().fit(features, None, 2000, 0).weight.numpy()
    assert abs(weight.mean()) < 0.02
    np.testing.assert_allclose(np.cov(weight.T), np.eye(64), atol=0.15)
