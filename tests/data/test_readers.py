import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ordhash.data import read_images
from ordhash.errors import DataError


def test_read_images_takes_a_folder_or_a_manifest(photo_folder, tmp_path):
    table = pa.table({"path": ["a.jpg", "sub/b.jpg", "c.png"]})
    pa.csv.write_csv(table, tmp_path / "m.csv")
    pq.write_table(table, tmp_path / "m.parquet")
    assert len(read_images(photo_folder)) == 18
    assert len(read_images(tmp_path / "m.csv")) == 3
    assert len(read_images(tmp_path / "m.parquet")) == 3


def test_read_images_of_nothing_and_of_something_else(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_images(tmp_path / "missing")
    with pytest.raises(DataError, match=r"missing\.csv cannot be read \(No such file"):
        read_images(tmp_path / "missing.csv")
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="neither a folder nor a manifest"):
        read_images(tmp_path / "a.jpg")
