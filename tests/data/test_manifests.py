import contextlib
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.data import read_manifest
from ordhash.errors import DataError


def labels_of(images):
    return [sorted(np.array(images.class_names)[row].tolist()) for row in images.labels]


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
        ("path,lables\na.jpg,x\n", "rename 'lables' to 'labels'"),
        ("path, x,x \na.jpg,1,2\n", "two columns of one name"),
        ("path,Labels\na.jpg,x\n", "rename 'Labels' to 'labels'"),
        ("path,x,x\na.jpg,1,2\n", "two columns of one name"),
        ("path,labels\n", "no row"),
        ("path,labels\na.jpg,x\n,y\n", "has no path in row 2; fill it in"),
        ("path,key\na.jpg,1\nb.jpg,\n", "has no key in row 2; fill it in"),
        ("path,labels\na.jpg,x\nb.jpg,y\na.jpg,z\n", r"names 'a\.jpg' in several rows"),
        ("path,key\na.jpg,1\nb.jpg,1\n", "names '1' in several rows"),
        ("path,labels\n,\na.jpg,x\n", "has no path in row 1"),
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
    with pytest.raises(DataError, match=r"m\.parquet cannot be read as a Parquet table"):
        read_manifest(tmp_path / "m.parquet")


def test_one_image_may_stand_in_two_rows_under_two_keys(tmp_path):
    images = read_manifest(write_table(tmp_path / "m.csv", {"path": ["a.jpg", "a.jpg"], "key": ["x", "y"]}))
    assert images.keys.tolist() == ["x", "y"]


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
    with pytest.raises(DataError, match=r"column 'image' of .* is list"):
        read_manifest(write_table(tmp_path / "m.parquet", {"image": [[b"a"]]}))
    missing = read_manifest(write_table(tmp_path / "m.parquet", {"image": [b"x", None]}))
    assert list(missing.images) == [b"x", b""]


def test_where_both_are_given_the_path_counts(tmp_path):
    found = read_manifest(write_table(tmp_path / "m.parquet", {"path": ["a.jpg"], "image": [b"x"]}))
    assert found.images[0] == tmp_path / "a.jpg"
    assert found.metadata.column_names == ["image"]


def test_rows_of_a_data_set_may_give_paths_instead_of_contents(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"a")
    images = [{"bytes": None, "path": "a.jpg"}, {"bytes": b"b", "path": "b.jpg"}, None, {"bytes": None, "path": None}]
    found = read_manifest(write_table(tmp_path / "m.parquet", {"image": images, "label": [1, 0, 1, None]}))
    assert list(found.images) == [tmp_path / "a.jpg", b"b", b"", b""]
    assert labels_of(found) == [["1"], ["0"], ["1"], []]
    assert found.metadata is None


def test_label_is_a_name_for_labels_and_metadata_beside_them(tmp_path):
    found = read_manifest(write_table(tmp_path / "m.csv", {"path": ["a.jpg"], "label": ["007"]}))
    assert (found.class_names, found.metadata) == (("007",), None)
    found = read_manifest(write_table(tmp_path / "m.csv", {"path": ["a.jpg"], "label": ["007"], "labels": ["x;y"]}))
    assert (found.class_names, found.metadata.to_pydict()) == (("x", "y"), {"label": ["007"]})


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_in_either_form_are_one_label(tmp_path, form):
    labels = [unicodedata.normalize(form, "Möwe"), "M\xf6we", "Mo\u0308we; Meer"]
    found = read_manifest(write_table(tmp_path / "m.csv", {"path": ["a", "b", "c"], "labels": labels}))
    assert found.class_names == ("Meer", "M\xf6we")
    assert found.metadata_with_labels()["labels"].to_pylist() == ["M\xf6we", "M\xf6we", "Meer;M\xf6we"]


def test_paths_of_windows_find_their_files(tmp_path):
    (tmp_path / "img").mkdir()
    for name in ("img/a.jpg", "b\\c.jpg"):
        (tmp_path / name).write_bytes(b"x")
    found = read_manifest(write_table(tmp_path / "m.csv", {"path": ["img\\a.jpg", "b\\c.jpg", "no\\d.jpg"]}))
    assert found.images == [tmp_path / "img/a.jpg", tmp_path / "b\\c.jpg", tmp_path / "no\\d.jpg"]
    assert found.keys.tolist() == ["img/a.jpg", "b\\c.jpg", "no\\d.jpg"]


def test_metadata_of_any_type_come_as_plain_columns(tmp_path):
    columns = {
        "path": ["a.jpg", "b.jpg"],
        "text": pa.array(["x", None]).dictionary_encode(),
        "view": pa.array(["x", None], pa.string_view()),
        "tags": [["x"], None],
        "place": [{"x": 1.5}, None],
        "sum": pa.array([1, None], pa.decimal128(5, 2)),
        "raw": [b"\xff", None],
        "none": pa.nulls(2),
        "half": pa.array([0.5, None], pa.float16()),
        "ticks": pa.array([2**62, None], pa.timestamp("us")),
        "lasted": pa.array([1, None], pa.duration("ns")),
        "codes": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    }
    found = read_manifest(write_table(tmp_path / "m.parquet", columns))
    assert found.metadata.column_names == [name for name in columns if name != "path"]
    assert found.metadata["text"].type == pa.large_string()
    found.subset([1]).metadata_with_labels()


NASTY = st.text(st.sampled_from('pathlabelskey,;\t"\n\r\0 =\\/a.jpgé\u0308'), max_size=200)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=400),
        NASTY.map(str.encode),
        NASTY.map(lambda text: f"path,labels\n{text}".encode()),
        NASTY.map(lambda text: f"path;key;label\na.jpg;1;x\n{text}".encode("utf-16")),
    ),
    st.sampled_from([".csv", ".tsv", ".parquet"]),
)
def test_any_bytes_are_a_table_or_one_sentence(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert len(read_manifest(path)) > 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_parquet_file_is_a_table_or_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    columns = {"path": ["a.jpg", "b.jpg"], "labels": [["x", None], None], "size": [1, 2], "note": ["é", None]}
    content = bytearray(write_table(path, columns).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert len(read_manifest(path)) > 0
