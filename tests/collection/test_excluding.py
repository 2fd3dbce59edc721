import pytest

from ordhash.collection.excluding import checked_patterns, keep_patterns, kept_patterns
from ordhash.errors import DataError, InputError


def test_patterns_are_kept_until_others_are_given(tmp_path):
    assert kept_patterns(tmp_path) == kept_patterns(tmp_path / "nowhere") == ()
    keep_patterns(tmp_path, checked_patterns(["raw/", "", "ä*.png", "!x"]))
    assert kept_patterns(tmp_path) == ("raw/", "ä*.png", "!x")
    keep_patterns(tmp_path, checked_patterns([""]))
    assert kept_patterns(tmp_path) == ()


def test_what_is_not_a_pattern_is_refused():
    for bad in ("!", "a\nb", "a\u2028b", "a\0b", "\udce9"):
        with pytest.raises(InputError, match="pattern"):
            checked_patterns(["raw/", bad])


@pytest.mark.parametrize("content", [b"\xff\xfe", b"raw/\n!\n"])
def test_a_damaged_file_is_reported(tmp_path, content):
    path = tmp_path / "exclude"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path.name}.*--exclude"):
        kept_patterns(tmp_path)
