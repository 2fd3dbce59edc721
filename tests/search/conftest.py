"""What is searched: an index of the photographs, with their numbers as metadata."""

import shutil

import numpy as np
import pytest

from ordhash import Encoder, OrdinalIndex
from ordhash.collection import Collection
from ordhash.data import read_folder
from ordhash.search import Target


@pytest.fixture(scope="session")
def encoder(calibrated_model):
    return Encoder(calibrated_model)


@pytest.fixture
def photos(photo_folder):
    return read_folder(photo_folder)


@pytest.fixture
def index(photos, encoder):
    return OrdinalIndex(encoder.encode(photos), photos.keys, {"number": np.arange(len(photos))})


@pytest.fixture
def judging(photo_folder, judging_model, dark_photo):
    """A collection with a dark photograph, which is unlike anything that its model learned from."""
    shutil.copy(dark_photo, photo_folder / "apple" / "dark.png")
    collection, encoder = Collection(photo_folder.with_suffix(".collection")), Encoder(judging_model)
    collection.sync(photo_folder, encoder)
    return Target(encoder, collection.index(), collection)
