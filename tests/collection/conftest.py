"""Fixtures of collections."""

import pytest

from ordhash import Encoder
from ordhash.collection import Collection


@pytest.fixture(scope="session")
def encoder(tiny_model):
    return Encoder(tiny_model)


@pytest.fixture(scope="session")
def other_encoder(calibrated_model):
    """Of a model with another id."""
    return Encoder(calibrated_model)


@pytest.fixture
def collection(tmp_path):
    return Collection(tmp_path / "photos.collection")
