"""Lists of images: any rows of any files, and which of a folder's files count."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ordhash.data import ImageSet
from ordhash.errors import DataError, InputError
from ordhash.ray.listing import ImageRows, list_images
from ordhash.support.locations import Location, name_of


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 17)), min_size=1, max_size=4), st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_counted_through_all_files(tmp_path, files, data):
    locations, done = [], 0
    for number, (n, group) in enumerate(files):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(
            pa.table({"image": pa.array([str(done + row).encode() for row in range(n)], pa.binary())}),
            path,
            row_group_size=group,
        )
        locations.append(Location(str(path)))
        done += n
    rows = ImageRows.of(locations)
    assert len(rows) == done
    if done:
        start = data.draw(st.integers(0, done - 1))
        stop = data.draw(st.integers(start + 1, done))
        found = rows.take(start, stop)["image"].to_pylist()
        assert found == [str(row).encode() for row in range(start, stop)]


def test_a_row_group_that_is_larger_than_what_is_read_at_once(tmp_path):
    path = tmp_path / "large.parquet"
    pq.write_table(pa.table({"image": [str(row).encode() for row in range(5000)]}), path)
    rows = ImageRows.of([Location(str(path))])
    assert rows.take(2040, 3100)["image"].to_pylist() == [str(row).encode() for row in range(2040, 3100)]


def test_pictures_come_before_parquet_files(photo_folder):
    pq.write_table(pa.table({"image": [b"x"]}), photo_folder / "other.parquet")
    (photo_folder / "._other.parquet").write_bytes(b"what a desktop left")
    listed = list_images(str(photo_folder))
    assert (listed.n_images, listed.parquet) == (18, None)
    for folder in ("apple", "banana", "carrot"):
        shutil.rmtree(photo_folder / folder)
    assert list_images(str(photo_folder)).n_images == 1
    pq.write_table(pa.table({"size": [1]}), photo_folder / "zzz.parquet")
    with pytest.raises(DataError, match=r"zzz\.parquet has no column 'image'"):
        list_images(str(photo_folder))


def test_options_of_folders_have_no_effect_on_parquet_files_and_are_refused(tmp_path):
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "a.parquet")
    assert list_images(str(tmp_path)).n_images == 1
    for options in ({"exclude": ["a.parquet"]}, {"classes": "leaf"}):
        with pytest.raises(InputError, match="leave classes and exclude out"):
            list_images(str(tmp_path), **options)


def test_the_same_images_have_the_same_digest(photo_folder, monkeypatch):
    one = list_images(str(photo_folder))
    monkeypatch.chdir(photo_folder.parent)
    again = list_images("photos/")
    assert (again.digest(), again.name) == (one.digest(), one.name)
    assert list_images(photo_folder.as_uri()).digest() == one.digest()
    (photo_folder / "apple" / "apple_0.jpg").rename(photo_folder / "apple" / "z.jpg")
    assert list_images(str(photo_folder)).digest() != one.digest()


def test_other_labels_are_another_list(photo_folder):
    manifest = photo_folder / "list.csv"
    digests = set()
    for label in ("a", "b"):
        manifest.write_text(f"path,labels\napple/apple_0.jpg,{label}\n", encoding="utf-8")
        digests.add(list_images(str(manifest)).digest())
    assert len(digests) == 2


def test_pictures_that_are_no_files(tmp_path):
    with pytest.raises(InputError, match=r"3 images .* --engine local"):
        list_images(ImageSet(np.zeros((3, 8, 8, 3), np.uint8)))
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="has no row"):
        list_images(str(tmp_path / "none.parquet"))


def test_a_place_has_one_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        name_of(Location("a/"))
        == name_of(Location(str(tmp_path / "a")))
        == name_of(Location((tmp_path / "a").as_uri()))
    )
