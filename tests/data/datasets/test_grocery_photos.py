import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordhash.data.datasets import read_grocery_photos
from ordhash.errors import DataError


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
