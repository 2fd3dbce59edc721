import gzip
import io
import json
import os
import shutil
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ordhash.data.datasets import (
    DATASETS,
    read_cifar10,
    read_corel5k,
    read_fashion_mnist,
    read_grocery_photos,
)
from ordhash.errors import DataError

# --- CIFAR-10 ---------------------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("kind", ["png", "bin"])
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


# --- Fashion-MNIST ----------------------------------------------------------------------------------------------------


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


# --- Grocery photographs ----------------------------------------------------------------------------------------------


def test_grocery_photographs_are_told_apart_by_content(tmp_path):
    rows = [
        ("Fruit", "Pear", b"pear 1"),
        ("Fruit", "Apple", b"apple 1"),
        ("Fruit", "Apple", b"apple 1"),
        ("Fruit", "Pear", b"disputed"),
        ("Vegetables", "Leek", b"leek 1"),
        ("Fruit", "Apple", b"disputed"),
        ("Fruit", "Apple", b"apple 2"),
        ("Fruit", "Pear", b"disputed"),
    ]
    columns = dict(zip(("coarse_cat", "finegrained_cat", "image_data"), zip(*rows, strict=True), strict=True))
    pq.write_table(
        pa.table({name: list(values) for name, values in columns.items()} | {"split": [1] * 8}),
        tmp_path / "images.parquet",
    )
    images = read_grocery_photos(tmp_path)["all"]
    assert sorted(images.images) == [b"apple 1", b"apple 2", b"leek 1", b"pear 1"]
    assert images.class_names == ("Apple", "Leek", "Pear")
    for key, source, row, coarse in zip(
        images.keys, images.images, images.labels, images.metadata["coarse"].to_pylist(), strict=True
    ):
        fine = images.class_names[int(row.argmax())]
        assert source.decode().startswith(fine.lower())
        assert key.startswith(f"{coarse}/{fine}/")
        assert len(key.rsplit("/")[-1]) == 8
    assert images.keys.tolist() == sorted(images.keys)

    shuffled = pa.table({name: list(reversed(values)) for name, values in columns.items()})
    pq.write_table(shuffled, tmp_path / "images.parquet")
    assert read_grocery_photos(tmp_path)["all"].keys.tolist() == images.keys.tolist()


def test_grocery_photographs_missing_or_damaged(tmp_path):
    with pytest.raises(DataError, match="run `ordhash data get grocery-photos`"):
        read_grocery_photos(tmp_path)
    (tmp_path / "images.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"images\.parquet is damaged .*; delete it and fetch it again"):
        read_grocery_photos(tmp_path)
    pq.write_table(pa.table({"image_data": [b"x"]}), tmp_path / "images.parquet")
    with pytest.raises(DataError, match=r"images\.parquet is damaged"):
        read_grocery_photos(tmp_path)


# --- Corel-5K ---------------------------------------------------------------------------------------------------------

COREL = {
    "labels/words": "sky\nsea\ntiger\n",
    "labels/training_label": "1000 1 2\n1001 3\n",
    "labels/test_label": "161092 1\n2000 2\n161092 3\n",
    "images/1000/1000.jpeg": "a",
    "images/1000/1001.jpeg": "b",
    "images/161000/161092.jpeg": "c",
    "images/2000/2000.jpeg": "d",
}


def corel_tree(root, **changes):
    for name, content in (COREL | changes).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def corel_archive(root, folder):
    corel_tree(root / "corel5k")
    folder.mkdir()
    with tarfile.open(folder / "corel5k.tar", "w") as archive:
        archive.add(root / "corel5k", "corel5k")
    return folder


def check_corel(folder):
    parts = read_corel5k(folder)
    train, test = parts["train"], parts["test"]
    assert train.keys.tolist() == [1000, 1001]
    assert train.labels.tolist() == [[True, True, False], [False, False, True]]
    assert test.keys.tolist() == [2000, 161092]
    assert test.labels.tolist() == [[False, True, False], [True, False, True]]
    assert train.class_names == test.class_names == ("sky", "sea", "tiger")
    assert [path.read_text() for path in (*train.images, *test.images)] == ["a", "b", "d", "c"]


def test_corel5k_from_its_folders(tmp_path):
    check_corel(corel_tree(tmp_path))


def test_corel5k_from_its_archive_unpacked_once(tmp_path):
    folder = corel_archive(tmp_path, tmp_path / "data")
    check_corel(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["corel5k.tar", "images", "labels"]
    (folder / "corel5k.tar").write_bytes(b"not looked at again")
    check_corel(folder)


def test_corel5k_after_an_interrupted_unpacking(tmp_path):
    folder = corel_archive(tmp_path, tmp_path / "data")
    shutil.copytree(tmp_path / "corel5k" / "images", folder / "images")
    (folder / "unpacked.partial" / "corel5k" / "labels").mkdir(parents=True)
    check_corel(folder)


@pytest.mark.parametrize("name", ["../outside", "corel5k/../../outside", "/outside"])
def test_corel5k_archive_cannot_write_outside_its_folder(tmp_path, name):
    folder = corel_archive(tmp_path, tmp_path / "data")
    with tarfile.open(folder / "corel5k.tar", "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(DataError, match=r"cannot be unpacked .*leads out of"):
        read_corel5k(folder)
    assert not (tmp_path / "outside").exists()


def test_corel5k_that_is_not_there_or_in_pieces(tmp_path):
    with pytest.raises(DataError, match=r"may not be redistributed.*put your copy into"):
        read_corel5k(tmp_path)
    for content in (b"", b"not a tar" * 100):
        (tmp_path / "corel5k.tar").write_bytes(content)
        with pytest.raises(DataError, match=r"corel5k\.tar cannot be unpacked"):
            read_corel5k(tmp_path)
    (tmp_path / "corel5k.tar").unlink()
    corel_tree(tmp_path)
    (tmp_path / "labels" / "words").unlink()
    with pytest.raises(DataError, match="labels is incomplete or damaged"):
        read_corel5k(tmp_path)


@pytest.mark.parametrize("line", ["1000 4", "1000 0", "1000 -1", "1000 x", "a"])
def test_corel5k_with_a_word_that_there_is_not(tmp_path, line):
    corel_tree(tmp_path, **{"labels/training_label": f"1001 1\n{line}\n"})
    with pytest.raises(DataError, match="labels is incomplete or damaged"):
        read_corel5k(tmp_path)


def test_corel5k_without_words_and_with_blank_lines(tmp_path):
    corel_tree(tmp_path, **{"labels/training_label": "1000\n \n1001 2\n\n"})
    assert read_corel5k(tmp_path)["train"].labels.tolist() == [[False] * 3, [False, True, False]]


def test_corel5k_is_never_fetched(tmp_path):
    with pytest.raises(DataError, match="may not be redistributed"):
        DATASETS["corel5k"].get(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_data_sets_is_complete():
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert all((dataset.title, dataset.licence, dataset.source))
