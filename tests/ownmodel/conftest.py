"""Fixtures of the models that collections learn."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def exports(quick_export):
    """Most tests here export a head."""
