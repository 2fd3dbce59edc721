import numpy as np
import pytest

from ordhash.errors import InputError
from ordhash.model.familiarity import Familiarity


def test_pictures_below_the_least_are_unlike():
    familiarity = Familiarity(0.5, 400)
    np.testing.assert_array_equal(familiarity.unlike(np.array([[0.4, 0.5], [0.6, -1]])), [[True, False], [False, True]])
    assert familiarity.unlike(np.float32(0.2)).shape == ()


def test_familiarity_that_no_image_speaks_for_is_refused():
    with pytest.raises(InputError, match="0 images"):
        Familiarity(0.5, 0)
