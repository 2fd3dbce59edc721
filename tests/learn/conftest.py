"""Fixtures of the learning half."""

import pytest
import torch

from ordhash.codes import CodeSpec
from ordhash.learn.network import HashingHead


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


@pytest.fixture
def attending_head():
    """A head with learned attention for maps of six channels, whose codes of windows differ."""
    torch.manual_seed(0)
    options = {"hidden": 8, "local_hidden": 8, "use_global": True, "use_local": True, "dropout": 0.0}
    head = HashingHead(6, 3, CodeSpec(24, 4), multilabel=False, attention="learned", hidden_dropout=0.0, **options)
    for parameter in head.parameters():
        parameter.data *= 4
    return head
