import pytest

from ordhash.data import Protocol, read_folder
from ordhash.data.protocols import split_by_class

TINY = """
title = "three colours"
protocols = ["cifar10"]
code_bits = [8, 16]
seeds = 2
methods = ["raw", "lsh", "sdh", "dpsh", "doh-mixup"]

[network]
backbone = "test_resnet"
weights = "none"
image_size = 64
fit = "squash"
hidden = 8
use_local = false

[training]
mode = "frozen"
epochs = 2
batch_size = 8
validation_fraction = 0.34

[tuning]
search = true
validation_fraction = 0.67

[[variants]]
name = "both streams, K = 16"
method = "doh"
network = { use_local = true, local_hidden = 8, arity = 16 }
training = { epochs = 1 }
objective = { pair_weight = 2.0 }

[[published]]
protocol = "cifar10"
name = "Theirs"
source = "a paper"
values = { 8 = 0.5 }
"""


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny_protocol(photo_folder, monkeypatch):
    """A protocol on the photographs, under the name of a published one."""
    parts = split_by_class(read_folder(photo_folder), {"query": 1, "train": 3}, salt="")
    protocol = Protocol("cifar10", parts["train"], parts["query"], parts["rest"], citation="of this test")
    monkeypatch.setattr("ordhash.bench.runner.load_protocol", lambda name, root: protocol)
    return protocol
