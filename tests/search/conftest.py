"""What is searched: an index of the photographs, with their numbers as metadata."""

import numpy as np
import pytest

from ordhash import Encoder, OrdinalIndex
from ordhash.data import read_folder


@pytest.fixture(scope="session")
def encoder(calibrated_model):
    return Encoder(calibrated_model)


@pytest.fixture
def photos(photo_folder):
    return read_folder(photo_folder)


@pytest.fixture
def index(photos, encoder):
    return OrdinalIndex(encoder.encode(photos), photos.keys, {"number": np.arange(len(photos))})
