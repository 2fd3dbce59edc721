"""Fixtures of the index."""

import pytest


@pytest.fixture(autouse=True)
def two_threads(two_cores):
    """Scans share their work among threads, on a machine of one core too."""
