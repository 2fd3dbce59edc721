"""Fixtures of the learning half."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small gain nothing from threads, and lose much where other programs keep the cores busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def exports(quick_export):
    """Most tests here export a head."""
