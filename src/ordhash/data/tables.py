"""Tables in files, as spreadsheets, pandas and data sets write them: CSV in its dialects, and Parquet."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from ordhash.errors import DataError, first_line

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLES", "is_table_name", "read_table"]

_SUFFIXES = (".csv", ".tsv", ".parquet")
TABLES = f"{', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}"
"""Suffixes of the tables that are read, for messages."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, and the encodings that they are a sure sign of."""

_SIGNATURES = {
    b"PK\x03\x04": "a spreadsheet or an archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of Excel",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed",
    b"SQLite format 3\0": "a database",
    b"%PDF": "a PDF",
}

_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
_OTHERS = (".txt", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".arrow", ".feather", ".tab", ".gz", ".zip")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SAVE = "save it as 'CSV UTF-8'"
_AS_WRITTEN = ("path", "key", "labels", "label")
_LONGEST = 2**31 - 1  # bytes of a block, which Arrow counts in 32 bits


def is_table_name(name: str) -> bool:
    """Whether a file is called like a table, also like one that [read_table][ordhash.data.tables.read_table] refuses.

    >>> is_table_name("photos.csv"), is_table_name("photos.XLSX"), is_table_name("photo.jpg")
    (True, True, False)
    """
    return PurePosixPath(name).suffix.lower() in (*_SUFFIXES, *_SPREADSHEETS, *_OTHERS)


def read_table(file: BinaryIO, name: str, *, sought: str = "path") -> pa.Table:
    """The table of an open file.

    A CSV file is in UTF-8, or begins with the byte order mark of UTF-16 or UTF-32. Its columns are separated by commas,
    semicolons or tabs: by what separates ``sought`` in its first line, or what a line ``sep=;`` before that says.
    Columns without a name and without values, and empty rows at the end, are left out.

    Args:
        file: The file.
        name: Its name; the suffix tells CSV from Parquet.
        sought: A column that the table probably has.

    Raises:
        DataError: It cannot be read.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _SPREADSHEETS:
        raise DataError(f"{name} is a spreadsheet; {_SAVE} in the program that made it")
    if suffix not in _SUFFIXES:
        raise DataError(f"{name} cannot be read as a table; give one in {TABLES}")
    return _read_parquet(file, name) if suffix == ".parquet" else _read_csv(file.read(), name, sought)


def _read_parquet(file: BinaryIO, name: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
        table.validate(full=True)  # texts that are not UTF-8 would fail later
        _ = table.column_names
    except (OSError, pa.ArrowException, ValueError, OverflowError) as error:
        raise DataError(f"{name} cannot be read as a Parquet table ({first_line(error)}); write it again") from error
    return table


def _read_csv(content: bytes, name: str, sought: str) -> pa.Table:
    text = _decoded(content, name)
    header, separator, at = _header(text, name, sought)
    columns = [cell.strip() for cell in header]
    body = text[at:]
    _check_quotes(body, separator, name, text.count("\n", 0, at))
    return _named(_without_empty_end(_rows(body, columns, separator, name, text.count("\n", 0, at))), columns, name)


def _decoded(content: bytes, name: str) -> str:
    """The text of a CSV file, without a byte order mark."""
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise DataError(f"{name} is {what} and not a CSV table; {_SAVE}, or give it the suffix that it should have")
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name} is not in {encoding.upper()} (line {line}), as of a spreadsheet that saved it for Windows; {_SAVE}"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name} has a NUL in line {line}, as of UTF-16 without a byte order mark; {_SAVE}")
    return text


def _header(text: str, name: str, sought: str) -> tuple[list[str], str, int]:
    """The cells of the header, what separates them, and where the text below begins."""
    lines = io.StringIO(text, newline="")
    begin, told = 0, None
    for line in iter(lines.readline, ""):
        said = re.fullmatch(r'"?sep=(.)"?', line.strip("\r\n"), re.IGNORECASE)
        if said and told is None:  # Excel's way to say it
            told = said[1]
        elif line.strip():
            break
        begin = lines.tell()
    if not text[begin:].strip():
        raise DataError(f"{name} is empty; write a header with the names of the columns, and one row per image")
    usual = sorted(_SEPARATORS, key=lambda one: one != "\t") if name.lower().endswith(".tsv") else [*_SEPARATORS]
    found = []
    for separator in [told] if told else usual:
        lines.seek(begin)
        with contextlib.suppress(csv.Error, StopIteration, TypeError, ValueError):
            found.append((next(csv.reader(lines, delimiter=separator, strict=True)), separator, lines.tell()))
    if not found:
        raise DataError(f"the header of {name} cannot be read; write the names of the columns, and {_SAVE}")
    for one in found:
        if sought in (cell.strip().lower() for cell in one[0]):
            return one
    return max(found, key=lambda one: len(one[0]))


def _check_quotes(body: str, separator: str, name: str, above: int) -> None:
    """Refuse quotes that do not surround a cell, which would swallow the rows up to the next one or become text."""
    rows, line = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True), 0
    if '"' not in body:
        return
    try:
        for row in rows:
            if any(cell.startswith(" ") and cell.lstrip(" ").startswith('"') for cell in row):
                raise DataError(
                    f"{name} has a blank before a quote in the row from line {above + line + 1}, and such a quote "
                    "surrounds nothing; remove the blank"
                )
            line = rows.line_num
    except csv.Error as error:
        raise DataError(
            f"{name} has a quote that is not closed, or that others follow, in the row from line {above + line + 1} "
            f"({first_line(error)}); write quotes around whole cells, and double those within"
        ) from None


def _rows(body: str, columns: list[str], separator: str, name: str, above: int) -> pa.Table:
    """The rows below the header; columns are named by their place, since their names may be wrong."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    places = [str(place) for place in range(len(columns))]
    if not body.strip():
        return pa.table({place: pa.array([], pa.string()) for place in places})
    # By Arrow's guess, a key 007 would become the number 7 and a label NA would become a missing value.
    written = {place: pa.string() for place, column in zip(places, columns, strict=True) if column in _AS_WRITTEN}
    content = body.encode()
    # In one block, since no row may be longer than a block.
    reading = pa_csv.ReadOptions(column_names=places, block_size=min(max(len(content), 1 << 20), _LONGEST))
    parsing = pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    # Where a comma stands before decimals, semicolons stand between columns.
    point = "," if separator == ";" and re.search(r'(?:^|;)"?-?\d+,\d+"?(?:;|$)', body, re.MULTILINE) else "."
    converting = pa_csv.ConvertOptions(column_types=written, decimal_point=point)
    try:
        return pa_csv.read_csv(io.BytesIO(content), reading, parsing, converting)
    except (pa.ArrowException, OSError, ValueError) as error:
        repaired = _of_equal_length(body, len(columns), separator, name, above)
        if repaired == body:
            raise DataError(f"{name} cannot be read as a CSV table ({first_line(error)}); {_SAVE}") from error
    return _rows(repaired, columns, separator, name, above)


def _of_equal_length(body: str, n: int, separator: str, name: str, above: int) -> str:
    """The rows without empty cells beyond the header.

    Raises:
        DataError: A row has more cells than the header, or fewer.
    """
    lines = io.StringIO(body, newline="")
    rows = csv.reader(lines, delimiter=separator)
    out = io.StringIO(newline="")
    write = csv.writer(out, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    end = 0
    try:
        for row in rows:
            begin, end = end, rows.line_num
            if not row:
                continue
            if len(row) < n or any(row[n:]):
                cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
                raise DataError(
                    f"{name} has {cells} in line {above + begin + 1} and {n} in its header; write one for each column, "
                    f"and quotes around cells that contain {_SEPARATORS.get(separator, separator)}"
                )
            write.writerow(row[:n])
    except csv.Error as error:
        raise DataError(f"{name} cannot be read at line {above + end + 1} ({error}); {_SAVE}") from None
    return out.getvalue()


def _without_empty_end(table: pa.Table) -> pa.Table:
    """The table without rows at its end that have no value, which spreadsheets write."""
    n = table.num_rows
    while n and all(column[n - 1].as_py() in (None, "") for column in table.columns):
        n -= 1
    return table.slice(0, n)


def _named(table: pa.Table, columns: list[str], name: str) -> pa.Table:
    """The table with the names of its columns, without those that have neither name nor values."""
    import pyarrow as pa

    kept = []
    for place, column in enumerate(columns):
        if column:
            kept.append(place)
        elif any(value not in (None, "") for value in table.column(place).to_pylist()):
            raise DataError(f"column {place + 1} of {name} has values and no name; name it in the header")
    return pa.table([table.column(place) for place in kept], names=[columns[place] for place in kept])
