import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.data.tables import is_table_name, read_table
from ordhash.errors import DataError


def read(content, name="m.csv", encoding="utf-8"):
    return read_table(io.BytesIO(content if isinstance(content, bytes) else content.encode(encoding)), name)


PLAIN = {"path": ["a.jpg", "b.jpg"], "labels": ["x;y", "007"], "size": [1, 2]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_dialects(separator, end, encoding):
    rows = [("path", "labels", "size"), ("a.jpg", '"x;y"', "1"), ("b.jpg", "007", "2"), ()]
    table = read(end.join(separator.join(row) for row in rows), encoding=encoding)
    assert table.to_pydict() == PLAIN


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("sep=;\npath;n\na.jpg;1\n", {"path": ["a.jpg"], "n": [1]}),
        ('"sep=,"\r\npath,n\r\na.jpg,1\r\n', {"path": ["a.jpg"], "n": [1]}),
        ("sep=|\npath|n\na.jpg|1\n", {"path": ["a.jpg"], "n": [1]}),
        ("\n \n path , n \na.jpg,1\n\n\nb.jpg,2\n", {"path": ["a.jpg", "b.jpg"], "n": [1, 2]}),
        ("path;n;\na.jpg;1;\n", {"path": ["a.jpg"], "n": [1]}),
        ("path;n\na.jpg;1,5\nb.jpg;-2\n", {"path": ["a.jpg", "b.jpg"], "n": [1.5, -2.0]}),
        ("path;n\na.jpg;1.5\nb.jpg;-2\n", {"path": ["a.jpg", "b.jpg"], "n": [1.5, -2.0]}),
        ("path,n,,\na.jpg,1,,\n", {"path": ["a.jpg"], "n": [1]}),
        ("path,n\na.jpg,1,,\nb.jpg,2\n", {"path": ["a.jpg", "b.jpg"], "n": [1, 2]}),
        ("path,n\na.jpg,1\n,\n,\n", {"path": ["a.jpg"], "n": [1]}),
        ('"path","n"\n"a.jpg","1"\n', {"path": ["a.jpg"], "n": [1]}),
        ('path,"two\nlines"\na.jpg,1\n', {"path": ["a.jpg"], "two\nlines": [1]}),
        ("path\na;b.jpg\n", {"path": ["a;b.jpg"]}),
        ("PATH;n\na.jpg;1\n", {"PATH": ["a.jpg"], "n": [1]}),
        ("file;n\na.jpg;1\n", {"file": ["a.jpg"], "n": [1]}),
        ('path,note\na.jpg,5" disk\n', {"path": ["a.jpg"], "note": ['5" disk']}),
        ('path,note\na.jpg,"5"" disk, old"\n', {"path": ["a.jpg"], "note": ['5" disk, old']}),
        ("path,key\n007,NA\n", {"path": ["007"], "key": ["NA"]}),
        ("path,n\n", {"path": [], "n": []}),
        ("path,n", {"path": [], "n": []}),
    ],
)
def test_what_spreadsheets_write(text, table):
    assert read(text).to_pydict() == table


def test_a_single_column_of_a_tsv_file_keeps_its_commas():
    assert read("path\na,b.jpg\n", "m.tsv").to_pydict() == {"path": ["a,b.jpg"]}
    assert read("path\tn\na,b.jpg\t1\n", "m.TSV").to_pydict() == {"path": ["a,b.jpg"], "n": [1]}


def test_rows_longer_than_blocks_of_arrow():
    long = "x" * 3_000_000
    assert read(f"path,note\na.jpg,{long}\nb.jpg,y\n").to_pydict() == {"path": ["a.jpg", "b.jpg"], "note": [long, "y"]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("path,Größe\na.jpg,1\n".encode("cp1252"), r"not in UTF-8 \(line 1\).*save it as 'CSV UTF-8'"),
        ("path,labels\na.jpg,x\ncafé.jpg,y\n".encode("latin-1"), r"not in UTF-8 \(line 3\)"),
        ("path\na.jpg\n".encode("utf-16-le"), "NUL in line 1, as of UTF-16.*save it as 'CSV UTF-8'"),
        ("path\na.jpg\n".encode("utf-16")[:-1], "not in UTF-16"),
        (b"path\na\0.jpg\n", "NUL in line 2"),
        (b"PK\x03\x04rest", "a spreadsheet or an archive"),
        (b"\xd0\xcf\x11\xe0rest", "a spreadsheet of Excel"),
        (b"PAR1rest", "a Parquet file and not a CSV table"),
        (b"\x1f\x8brest", "compressed"),
        (b"", "is empty; write a header"),
        (b" \n\n", "is empty"),
        (b"sep=;\n", "is empty"),
        (b"path,labels\na.jpg,x\nb.jpg\n", "1 cell in line 3 and 2 in its header"),
        (b"path,labels\n\na.jpg,x\n\nb.jpg,y,z\n", "3 cells in line 5 and 2 in its header.*quotes.*commas"),
        (b"path;labels\na.jpg;x;y\n", "3 cells in line 2 and 2 in its header.*quotes.*semicolons"),
        (b'path,labels\na.jpg,x\nb.jpg,"y\nc.jpg,z\n', "a quote that is not closed.* line 3"),
        (b'path,labels\na.jpg,"x\nb.jpg,"y\n', "a quote that is not closed.* line 2"),
        (b'path, labels\na.jpg,x\nb.jpg, "sea;people"\n', "blank before a quote in the row from line 3"),
        (b'path, labels\na.jpg,  "sea, people"\n', "blank before a quote in the row from line 2"),
        (b'path,labels\na.jpg,"say \\"ah\\""\n', "quote.* line 2"),
        (b"path,,n\na.jpg,lost,1\n", "column 2 of m.csv has values and no name"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(content, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        read(content)
    assert "m.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("m.xlsx", "is a spreadsheet; save it as 'CSV UTF-8'"),
        ("m.ODS", "is a spreadsheet"),
        ("m.jsonl", r"cannot be read as a table; give one in \.csv, \.tsv or \.parquet"),
        ("m", "cannot be read as a table"),
    ],
)
def test_files_of_other_kinds(name, sentence):
    with pytest.raises(DataError, match=sentence):
        read(b"path\na.jpg\n", name)
    assert is_table_name(name) == ("." in name)


def test_texts_of_parquet_that_are_none():
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    file = io.BytesIO()
    pq.write_table(pa.table({"path": bad}), file, store_schema=False)
    with pytest.raises(DataError, match="cannot be read as a Parquet table"):
        read(file.getvalue(), "m.parquet")


CELLS = st.text(st.sampled_from('ab;,\t" \n\ré0'), max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELLS.map("p{}".format), CELLS), min_size=1, max_size=6), st.sampled_from([",", ";", "\t"]))
def test_what_is_written_is_read(rows, separator):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows([("path", "labels"), *rows])
    assert read(out.getvalue()).to_pydict() == {"path": [a for a, _ in rows], "labels": [b for _, b in rows]}
