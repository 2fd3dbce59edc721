import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordhash.support import is_damaged, placeholder, replace_file, seal, sealed


@given(st.binary(), st.binary(), st.integers(0), st.integers(0, 7))
def test_every_flipped_bit_outside_the_seal_is_noticed(before, after, place, bit):
    empty = placeholder()
    content = before + empty.encode() + after
    file = bytearray(sealed(content, empty))
    assert not is_damaged(bytes(file))
    where = [position for position in range(len(file)) if not 0 <= position - len(before) < len(empty)]
    if where:
        file[where[place % len(where)]] ^= 1 << bit
        assert is_damaged(bytes(file))


@given(st.binary(), st.integers(0), st.integers(0, 7))
def test_of_two_seals_none_may_change(middle, place, bit):
    empty = placeholder()
    file = bytearray(sealed(empty.encode() + middle + empty.encode(), empty))
    assert not is_damaged(bytes(file))
    file[place % len(file)] ^= 1 << bit
    assert is_damaged(bytes(file))


def test_text_that_looks_like_a_seal_stays_as_it_is():
    empty, other = placeholder(), placeholder()
    file = sealed(f"{other} {empty}".encode(), empty)
    assert file.startswith(other.encode())
    assert not is_damaged(file)
    assert is_damaged(file.replace(b" ", b"_"))


def test_a_file_that_another_program_has_written_again_is_no_damage():
    empty = placeholder()
    assert not is_damaged(sealed(f"content {empty}".encode(), empty) + b" and more")


@pytest.mark.parametrize("n", [1, 3])
def test_a_file_is_sealed_as_its_content_is(tmp_path, n):
    empty = placeholder()
    content = b"x".join([empty.encode()] * n)

    def write(file):
        file.write(content)
        seal(file, empty)

    replace_file(tmp_path / "file", write)
    assert (tmp_path / "file").read_bytes() == sealed(content, empty)
    with (tmp_path / "file").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert not is_damaged(mapped)
