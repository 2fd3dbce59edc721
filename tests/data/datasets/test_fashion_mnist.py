import gzip

import numpy as np
import pytest

from ordhash.data.datasets import read_fashion_mnist
from ordhash.errors import DataError


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def fashion(tmp_path):
    rng = np.random.default_rng(9)
    arrays = {}
    for stem, n in (("train", 30), ("t10k", 12)):
        arrays[stem] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(idx(arrays[stem][0]))
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(idx(arrays[stem][1]))
    return tmp_path, arrays


def test_fashion_mnist(fashion):
    folder, arrays = fashion
    parts = read_fashion_mnist(folder)
    for part, stem in (("train", "train"), ("test", "t10k")):
        pixels, labels = arrays[stem]
        assert parts[part].images.shape == (*pixels.shape, 3)
        for channel in range(3):
            np.testing.assert_array_equal(parts[part].images[..., channel], pixels)
        np.testing.assert_array_equal(parts[part].labels.argmax(axis=1), labels)
        assert parts[part].keys[1] == f"{part}/00001"
    assert parts["train"].class_names[9] == "ankle boot"


def damaged(content):
    return bytes(content[:20]) + b"\xff" * 10 + bytes(content[30:])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-20],
        lambda content: content[:5],
        lambda content: b"",
        lambda content: b"no gzip",
        damaged,
        lambda content: gzip.compress(gzip.decompress(content)[:-1]),
        lambda content: gzip.compress(b"\0\0"),
    ],
)
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_fashion_mnist_damaged(fashion, name, damage):
    path = fashion[0] / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{name} is damaged .*; delete it and fetch it again"):
        read_fashion_mnist(fashion[0])


def test_fashion_mnist_missing(fashion):
    (fashion[0] / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is missing; run `ordhash data get fashion-mnist`"):
        read_fashion_mnist(fashion[0])


@pytest.mark.parametrize("labels", [np.zeros(29, np.uint8), np.full(30, 10, np.uint8), np.zeros((30, 1), np.uint8)])
def test_fashion_mnist_labels_that_do_not_fit(fashion, labels):
    (fashion[0] / "train-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    with pytest.raises(DataError, match="not one label an image"):
        read_fashion_mnist(fashion[0])
