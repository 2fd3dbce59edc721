import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.errors import InputError
from ordhash.model.calibration import Calibration


def test_likelihood_of_known_distances_and_of_those_between():
    calibration = Calibration((0, 2, 5), (0.9, 0.5, 0.2), 10)
    np.testing.assert_allclose(
        calibration.likelihood(np.array([[0, 1], [2, 4], [5, 99]])), [[0.9, 0.7], [0.5, 0.3], [0.2, 0.2]]
    )
    assert calibration.likelihood(np.array([3], np.uint16)).dtype == np.float64
    assert calibration.likelihood(1.0).shape == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_cutoff_is_the_last_distance_that_is_more_likely_alike_than_not(shares):
    shares = sorted(shares, reverse=True)
    calibration = Calibration(tuple(range(len(shares))), tuple(shares), 7)
    likely = [distance for distance, share in enumerate(shares) if share >= 0.5]
    assert calibration.cutoff == (likely[-1] if likely else None)


@pytest.mark.parametrize(
    ("distances", "likelihoods", "sentence"),
    [
        ((0, 1), (0.5,), "there are 2 distances and 1 likelihoods; give equally many, and at least one"),
        ((), (), "there are 0 distances"),
        ((0, 0), (0.5, 0.4), "distances must ascend, and likelihoods never rise"),
        ((0, 1), (0.4, 0.5), "distances must ascend, and likelihoods never rise"),
    ],
)
def test_what_is_no_calibration_is_refused(distances, likelihoods, sentence):
    with pytest.raises(InputError, match=sentence):
        Calibration(distances, likelihoods, 1)
