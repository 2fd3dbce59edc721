import errno
import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordhash.codes import OrdinalCodes, read_codes, write_codes
from ordhash.codes.file import codes_to_table
from ordhash.codes.parquet import parquet_bytes, read_parquet, write_parquet
from ordhash.errors import DataError, InputError

CODES = OrdinalCodes.from_symbols(np.random.default_rng(0).integers(0, 4, (40, 24)).astype(np.uint8), arity=4)
KEYS = [f"{row}.jpg" for row in range(40)]


def test_a_table_is_read_as_it_was_written():
    metadata = {"label": ["cat", None] * 20, "tags": [["a", "b"], []] * 20, "year": range(40)}
    table = codes_to_table(CODES, KEYS, pa.table(metadata))
    assert read_parquet(parquet_bytes(table)).equals(table)


def test_every_damaged_byte_is_noticed_or_harmless(tmp_path):
    """ORDHASH_TEST_FLIPS=1000 damages more of them."""
    flips = int(os.environ.get("ORDHASH_TEST_FLIPS", "300"))
    path = tmp_path / "codes.parquet"
    write_codes(path, CODES, KEYS, {"label": ["cat", "dog"] * 20})
    whole, right = path.read_bytes(), read_codes(path)
    rng = np.random.default_rng(0)
    noticed = 0
    for position in rng.choice(len(whole), flips, replace=False):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = read_codes(path)
        except DataError:
            noticed += 1
        else:  # only the seal itself
            np.testing.assert_array_equal(found.codes.symbols, right.codes.symbols)
            assert found.keys.tolist() == right.keys.tolist()
            assert found.metadata.equals(right.metadata)
    assert noticed > 0.75 * flips


def test_a_file_that_another_program_has_written_again_is_read(tmp_path):
    path = tmp_path / "codes.parquet"
    write_codes(path, CODES, KEYS)
    pq.write_table(pq.read_table(path).slice(0, 7), path)
    assert len(read_codes(path)) == 7


REPEATED = {
    "a few long texts": pa.array([letter * 8000 for letter in "abcde"] * 1200, pa.large_string()),
    "a dictionary": pa.array([letter * 8000 for letter in "abcde"] * 1200).dictionary_encode(),
    "equal codes": pa.array([bytes(8000)] * 6000, pa.binary(8000)),
}


@pytest.mark.parametrize("column", REPEATED.values(), ids=REPEATED)
def test_what_repeats_much_is_read_back(column):
    table = pa.table({"key": range(len(column)), "x": column})
    assert read_parquet(parquet_bytes(table))["x"].combine_chunks().equals(column)


def test_what_would_not_be_read_back_is_not_written(tmp_path):
    path = tmp_path / "codes.parquet"
    n = 40_000
    codes = OrdinalCodes(np.zeros((n, 4), np.uint8), CODES.spec.of_segments(4, 4))
    for metadata, word in (
        (pa.table({"missing": pa.nulls(n, pa.binary(2000))}), "hardly any values"),
        (pa.table({"empty": pa.array([b""] * n, pa.binary(0))}), "change the column"),
        (pa.table({"empty": pa.array([[]] * n, pa.list_(pa.int8(), 0))}), "change the column"),
    ):
        with pytest.raises(InputError, match=word):
            write_codes(path, codes, metadata=metadata)
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_not_taken_for_a_column_that_does_not_fit():
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_parquet(codes_to_table(CODES, KEYS), Full())


def crafted(columns):
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content, compression="zstd", row_group_size=1 << 20)
    return content.getvalue()


@pytest.mark.parametrize(
    "columns",
    [
        lambda: {"key": pa.array(np.zeros(10**8, np.int8))},
        lambda: {"key": ["x" * 500_000] * 400},
        lambda: {"key": pa.array([["x" * 500_000] * 400])},
    ],
    ids=["many rows", "one long text", "a list of long texts"],
)
def test_a_small_file_that_grows_without_measure_is_refused(columns):
    content = crafted(columns())
    assert len(content) < 10**6
    with pytest.raises(DataError, match="more than"):
        read_parquet(content)
