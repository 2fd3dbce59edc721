import io
import json
import os
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from ordhash.data.datasets import read_cifar10
from ordhash.errors import DataError

BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    """Both sources of the same pictures (folders `png` and `bin`; mostly black, so they pack well), pixels, labels."""
    root = tmp_path_factory.mktemp("cifar10")
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 10, 60_000, dtype=np.uint8)
    pixels = np.zeros((60_000, 32, 32, 3), dtype=np.uint8)
    pixels[:, 3, 7] = rng.integers(0, 256, (60_000, 3))
    pixels[::5000] = rng.integers(0, 256, (12, 32, 32, 3))
    (root / "png").mkdir()
    (root / "bin" / "cifar-10-batches-bin").mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        part = slice(number * 10_000, (number + 1) * 10_000)
        rows = Image.fromarray(pixels[part].reshape(10_000, 1024, 3))
        rows.save(root / "png" / f"{name}.png", compress_level=1)
        planes = pixels[part].transpose(0, 3, 1, 2).reshape(10_000, 3072)
        records = np.concatenate([labels[part, None], planes], axis=1)
        (root / "bin" / "cifar-10-batches-bin" / f"{name}.bin").write_bytes(records.tobytes())
    (root / "png" / "train_labels.json").write_text(json.dumps(labels[:50_000].tolist()))
    (root / "png" / "test_labels.json").write_text(json.dumps(labels[50_000:].tolist()))
    return root, pixels, labels


@pytest.fixture
def linked(cifar10, tmp_path):
    """A copy of both sources that a test may damage (links to the files; a damaged one must be replaced)."""
    for kind in ("png", "bin"):
        shutil.copytree(cifar10[0] / kind, tmp_path / kind, copy_function=os.link)
    return tmp_path


def replace(path, content):
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("kind", [pytest.param("png", marks=pytest.mark.slow), "bin"])
def test_cifar10_is_the_same_from_either_source(cifar10, kind):
    root, pixels, labels = cifar10
    parts = read_cifar10(root / kind)
    assert list(parts) == ["train", "test"]
    for part, rows in (("train", slice(0, 50_000)), ("test", slice(50_000, 60_000))):
        assert np.array_equal(parts[part].images, pixels[rows])
        np.testing.assert_array_equal(parts[part].labels.argmax(axis=1), labels[rows])
        assert (parts[part].labels.sum(axis=1) == 1).all()
        assert parts[part].keys[[0, -1]].tolist() == [f"{part}/00000", f"{part}/{len(labels[rows]) - 1:05d}"]
    assert parts["test"].class_names[0] == "airplane"
    assert parts["test"].class_names[9] == "truck"


def test_cifar10_binary_packed(cifar10, tmp_path):
    root, pixels, labels = cifar10
    # Not compressed, to be quick: tarfile looks at the content, not at the name. The damaged ones below are compressed.
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w") as archive:
        archive.add(root / "bin" / "cifar-10-batches-bin", "cifar-10-batches-bin")
    parts = read_cifar10(tmp_path)
    np.testing.assert_array_equal(parts["train"].images[::997], pixels[:50_000:997])
    np.testing.assert_array_equal(parts["test"].labels.argmax(axis=1), labels[50_000:])


def test_cifar10_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"CIFAR-10 is not in .*; run `ordhash data get cifar10`"):
        read_cifar10(tmp_path)


def test_cifar10_binary_incomplete(linked):
    folder = linked / "bin" / "cifar-10-batches-bin"
    content = (folder / "data_batch_3.bin").read_bytes()
    replace(folder / "data_batch_3.bin", content[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin in .* has 30729999 bytes, not 30,730,000"):
        read_cifar10(linked / "bin")
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"does not hold data_batch_3\.bin"):
        read_cifar10(linked / "bin")
    (folder / "data_batch_3.bin").write_bytes(b"\x0a" + content[1:])
    with pytest.raises(DataError, match=r"labels in .* are not 60,000 numbers from 0 to 9"):
        read_cifar10(linked / "bin")


def test_cifar10_archive_damaged(tmp_path):
    noise = np.random.default_rng(6).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        entry = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        entry.size = len(noise)
        archive.addfile(entry, io.BytesIO(noise))
    path = tmp_path / "cifar-10-binary.tar.gz"
    for content in (b"", b"no archive", whole.getvalue()[:1000], whole.getvalue()[:200_000]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"does not hold data_batch_1\.bin"):
            read_cifar10(tmp_path)
    path.write_bytes(whole.getvalue())
    with pytest.raises(DataError, match="has 300000 bytes"):
        read_cifar10(tmp_path)


def test_cifar10_pictures_incomplete(linked):
    folder = linked / "png"
    whole = (folder / "data_batch_1.png").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no picture"):
        replace(folder / "data_batch_1.png", content)
        with pytest.raises(DataError, match=r"data_batch_1\.png is damaged"):
            read_cifar10(folder)
    other = io.BytesIO()
    Image.new("RGB", (1024, 10)).save(other, "PNG")
    replace(folder / "data_batch_1.png", other.getvalue())
    with pytest.raises(DataError, match=r"data_batch_1\.png is damaged"):
        read_cifar10(folder)
    (folder / "data_batch_1.png").unlink()
    with pytest.raises(DataError, match=r"data_batch_1\.png is missing"):
        read_cifar10(folder)


@pytest.mark.parametrize("content", [b"[1, 2", b'{"a": 1}', b'["x"]', b"[[1], 2]", None])
def test_cifar10_label_files_damaged(linked, content):
    (linked / "png" / "test_labels.json").unlink()
    if content is not None:
        (linked / "png" / "test_labels.json").write_bytes(content)
    with pytest.raises(DataError, match=r"label files in .* are damaged"):
        read_cifar10(linked / "png")


@pytest.mark.parametrize("content", [b"[1, 2, 3]", json.dumps([-1] * 10_000).encode()])
def test_cifar10_labels_of_another_number_or_range(linked, content):
    replace(linked / "png" / "test_labels.json", content)
    with pytest.raises(DataError, match="not 60,000 numbers from 0 to 9"):
        read_cifar10(linked / "png")
