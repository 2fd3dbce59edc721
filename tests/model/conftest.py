"""Fixtures of encoding."""

import pytest

from ordhash.model.encoder import Encoder


@pytest.fixture(scope="module")
def encoder(tiny_model):
    return Encoder(tiny_model, threads=2)


@pytest.fixture
def photos(photo_folder):
    return sorted(photo_folder.rglob("*.jpg"))
