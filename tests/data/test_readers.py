import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ordhash.data import read_folder, read_images, read_manifest
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError

ROOT_READS_ALL = hasattr(os, "geteuid") and os.geteuid() == 0


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def labels_of(images):
    return [sorted(np.array(images.class_names)[row].tolist()) for row in images.labels]


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_of_class_folders(photo_folder):
    images = read_folder(photo_folder)
    assert isinstance(images, ImageSet)
    assert len(images) == 18
    assert images.class_names == ("apple", "banana", "carrot")
    assert images.keys.tolist() == sorted(f"{c}/{c}_{i}.jpg" for c in ("apple", "banana", "carrot") for i in range(6))
    assert labels_of(images) == [[key.split("/")[0]] for key in images.keys]
    assert images.images == [photo_folder / key for key in images.keys]
    assert images.metadata is None


def test_a_flat_folder_has_no_labels(photo_folder):
    images = read_folder(photo_folder / "apple")
    assert (len(images), images.labels, images.class_names) == (6, None, ())
    assert images.keys.tolist() == [f"apple_{i}.jpg" for i in range(6)]


def test_deeper_folders_belong_to_the_class_of_the_first_level(tmp_path):
    images = read_folder(fill(tmp_path, "cat/2020/05/a.jpg", "cat/b.jpg", "dog/x/c.png"))
    assert images.keys.tolist() == ["cat/2020/05/a.jpg", "cat/b.jpg", "dog/x/c.png"]
    assert labels_of(images) == [["cat"], ["cat"], ["dog"]]


def test_images_beside_class_folders_are_left_out(tmp_path):
    assert read_folder(fill(tmp_path, "loose.jpg", "cat/a.jpg")).keys.tolist() == ["cat/a.jpg"]


def test_folders_without_images_do_not_make_a_flat_folder_a_classified_one(tmp_path):
    (tmp_path / "empty").mkdir()
    images = read_folder(fill(tmp_path, "a.jpg", "notes/readme.txt"))
    assert (images.keys.tolist(), images.labels) == (["a.jpg"], None)


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    fill(
        tmp_path,
        "a.jpg",
        "._a.jpg",
        ".hidden.png",
        ".thumbs/b.jpg",
        "c.txt",
        "d.JPEG",
        "e",
        "f.jpg.part",
        "g.WebP",
        "jpg",
    )
    assert read_folder(tmp_path).keys.tolist() == ["a.jpg", "d.JPEG", "g.WebP"]


def test_a_folder_that_is_hidden_itself_is_read(tmp_path):
    assert len(read_folder(fill(tmp_path / ".cache", "a.jpg"))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_to_folders_are_not_followed_and_links_to_files_are(tmp_path):
    fill(tmp_path, "cat/a.jpg")
    (tmp_path / "cat" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dog").symlink_to(tmp_path / "cat", target_is_directory=True)
    (tmp_path / "cat" / "b.jpg").symlink_to(tmp_path / "cat" / "a.jpg")
    assert read_folder(tmp_path).keys.tolist() == ["cat/a.jpg", "cat/b.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_a_name_that_is_not_unicode_does_no_harm(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    images = read_folder(fill(tmp_path, name))
    assert images.keys.tolist() == [name]
    assert images.images[0].read_bytes() == b"x"


@pytest.mark.skipif(ROOT_READS_ALL, reason="root reads every folder, whatever its permissions")
@pytest.mark.parametrize("closed", [".", "dog"])
def test_a_folder_that_cannot_be_read_is_refused_and_not_passed_over(tmp_path, closed):
    fill(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / closed).chmod(0)
    try:
        with pytest.raises(DataError, match=r"cannot be read \(.*\); check its permissions"):
            read_folder(tmp_path)
    finally:
        (tmp_path / closed).chmod(0o700)


def test_a_folder_without_images_explains_itself(tmp_path):
    fill(tmp_path, "notes.txt", "sub/more.txt")
    with pytest.raises(DataError, match=r"no image.*jpg"):
        read_folder(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path):
    for path in (tmp_path / "missing", fill(tmp_path, "a.jpg") / "a.jpg"):
        with pytest.raises(DataError, match="is not a folder"):
            read_folder(path)


# --- manifests --------------------------------------------------------------------------------------------------------

COLUMNS = {
    "path": ["a.jpg", "sub/b.jpg", "c.png"],
    "labels": ["cat; dog", "", " dog ;; "],
    "key": ["k1", "k2", "k3"],
    "year": [2020, 2021, 2022],
    "shop": ["x", "y", "z"],
}


def write_table(path, columns):
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        pa.csv.write_csv(table, path)
    return path


@pytest.mark.parametrize("name", ["m.csv", "m.parquet", "M.CSV"])
def test_a_manifest_with_every_column(tmp_path, name):
    images = read_manifest(write_table(tmp_path / name, COLUMNS))
    assert images.images == [tmp_path / "a.jpg", tmp_path / "sub/b.jpg", tmp_path / "c.png"]
    assert images.keys.tolist() == ["k1", "k2", "k3"]
    assert images.class_names == ("cat", "dog")
    assert labels_of(images) == [["cat", "dog"], [], ["dog"]]
    assert images.metadata.to_pydict() == {"year": [2020, 2021, 2022], "shop": ["x", "y", "z"]}


def test_a_manifest_of_paths_alone(tmp_path):
    images = read_manifest(write_table(tmp_path / "m.csv", {"path": ["a.jpg", "/elsewhere/b.jpg"]}))
    assert images.keys.tolist() == ["a.jpg", "/elsewhere/b.jpg"]
    assert images.images == [tmp_path / "a.jpg", Path("/elsewhere/b.jpg")]
    assert (images.labels, images.class_names, images.metadata) == (None, (), None)


def test_values_are_taken_as_they_are_written(tmp_path):
    (tmp_path / "m.csv").write_text("path,key,labels\n01,007,01\n1,7,NA;true\n2,1e3,null\n")
    images = read_manifest(tmp_path / "m.csv")
    assert [path.name for path in images.images] == ["01", "1", "2"]
    assert images.keys.tolist() == ["007", "7", "1e3"]
    assert labels_of(images) == [["01"], ["NA", "true"], ["null"]]


def test_numbers_and_nothing_in_a_parquet_table(tmp_path):
    columns = {"path": ["a.jpg", "b.jpg"], "key": [7, 8], "labels": pa.array([3, None])}
    images = read_manifest(write_table(tmp_path / "m.parquet", columns))
    assert images.keys.tolist() == ["7", "8"]
    assert labels_of(images) == [["3"], []]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "bom"])
def test_line_ends_byte_order_mark_quotes_and_line_breaks_in_a_value(tmp_path, mark, end):
    lines = ["path,labels,caption", '"a,b.jpg",Käse;"', "", 'ü.jpg,x,"two', 'lines"']
    lines[1:3] = ['"a,b.jpg",Käse,one']
    (tmp_path / "m.csv").write_bytes((mark + end.join(lines) + end).encode())
    images = read_manifest(tmp_path / "m.csv")
    assert images.keys.tolist() == ["a,b.jpg", "ü.jpg"]
    assert images.class_names == ("Käse", "x")
    assert images.metadata["caption"].to_pylist() == ["one", f"two{end}lines"]


def test_line_breaks_in_values_of_a_long_table(tmp_path):
    caption = "a line\n" * 50
    rows = "".join(f'{i}.jpg,"{caption}"\n' for i in range(6000))  # 2 MB: Arrow reads blocks of 1 MB
    (tmp_path / "m.csv").write_text(f"path,caption\n{rows}")
    images = read_manifest(tmp_path / "m.csv")
    assert images.keys.tolist() == [f"{i}.jpg" for i in range(6000)]
    assert set(images.metadata["caption"].to_pylist()) == {caption}


def test_a_missing_image_is_no_error_yet(tmp_path):
    images = read_manifest(write_table(tmp_path / "m.csv", {"path": ["nowhere.jpg"]}))
    assert not images.images[0].exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "file,labels\na.jpg,x\n",
            "has the columns 'file', 'labels'; a manifest has 'path'.*add a column of that name",
        ),
        ("Path,labels\na.jpg,x\n", "rename 'Path' to 'path'"),
        ("paths,labels\na.jpg,x\n", "rename 'paths' to 'path'"),
        ("path,label\na.jpg,x\n", "rename 'label' to 'labels'"),
        ("path, labels\na.jpg,x\n", "rename ' labels' to 'labels'"),
        ("path,Labels\na.jpg,x\n", "rename 'Labels' to 'labels'"),
        ("path,x,x\na.jpg,1,2\n", "two columns of one name"),
        ("path,labels\n", "no row"),
        ("path,labels\na.jpg,x\n,y\n", "has no path in row 2; fill it in"),
        ("path,key\na.jpg,1\nb.jpg,\n", "has no key in row 2; fill it in"),
        ("path,labels\na.jpg,x\nb.jpg,y\na.jpg,z\n", r"names 'a\.jpg' in several rows"),
        ("path,key\na.jpg,1\nb.jpg,1\n", "names '1' in several rows"),
        ("path,labels\na.jpg,x\nb.jpg\n", "cannot be read as a csv table"),
        ("", "cannot be read as a csv table"),
        (b"path\ncaf\xe9.jpg\n", "cannot be read as a csv table"),
    ],
)
def test_bad_manifests_are_refused(tmp_path, text, sentence):
    (tmp_path / "m.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=sentence) as caught:
        read_manifest(tmp_path / "m.csv")
    assert "m.csv" in str(caught.value)


def test_a_null_key_of_a_parquet_table_is_no_key(tmp_path):
    with pytest.raises(DataError, match="has no key in row 1"):
        read_manifest(write_table(tmp_path / "m.parquet", {"path": ["a.jpg"], "key": pa.array([None], pa.string())}))


@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1"])
def test_a_broken_parquet_table_is_refused(tmp_path, content):
    (tmp_path / "m.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"m\.parquet cannot be read as a parquet table"):
        read_manifest(tmp_path / "m.parquet")


def test_one_image_may_stand_in_two_rows_under_two_keys(tmp_path):
    images = read_manifest(write_table(tmp_path / "m.csv", {"path": ["a.jpg", "a.jpg"], "key": ["x", "y"]}))
    assert images.keys.tolist() == ["x", "y"]


# --- either -----------------------------------------------------------------------------------------------------------


def test_read_images_takes_a_folder_or_a_manifest(photo_folder):
    assert len(read_images(photo_folder)) == 18
    assert len(read_images(write_table(photo_folder / "m.csv", COLUMNS))) == 3
    assert len(read_images(write_table(photo_folder / "m.parquet", COLUMNS))) == 3


def test_read_images_of_nothing_and_of_something_else(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_images(tmp_path / "missing")
    with pytest.raises(DataError, match=r"missing\.csv cannot be read \(No such file"):
        read_images(tmp_path / "missing.csv")
    with pytest.raises(DataError, match="neither a folder nor a manifest"):
        read_images(fill(tmp_path, "a.jpg") / "a.jpg")


# --- images in a Parquet file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("structs", [False, True])
def test_a_parquet_file_may_hold_the_images_themselves(photo_folder, tmp_path, structs):
    files = sorted(photo_folder.rglob("*.jpg"))[:3]
    contents = [path.read_bytes() for path in files]
    images = [{"bytes": content, "path": "x"} for content in contents] if structs else contents
    columns = {"image": images, "labels": ["a", "", "b; a"], "size": [1, 2, 3]}
    found = read_manifest(write_table(tmp_path / "m.parquet", columns))
    assert list(found.images) == contents
    assert found.keys.tolist() == [0, 1, 2]
    assert found.class_names == ("a", "b")
    assert found.metadata.column_names == ["size"]
    named = read_manifest(write_table(tmp_path / "m.parquet", {**columns, "key": ["x", "y", "z"]}))
    assert named.keys.tolist() == ["x", "y", "z"]


def test_images_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"column 'image' of .* is string"):
        read_manifest(write_table(tmp_path / "m.parquet", {"image": ["a.jpg", "b.jpg"]}))
    missing = read_manifest(write_table(tmp_path / "m.parquet", {"image": [b"x", None]}))
    assert list(missing.images) == [b"x", b""]


def test_where_both_are_given_the_path_counts(tmp_path):
    found = read_manifest(write_table(tmp_path / "m.parquet", {"path": ["a.jpg"], "image": [b"x"]}))
    assert found.images[0] == tmp_path / "a.jpg"
    assert found.metadata.column_names == ["image"]
