import unicodedata

import pytest

from ordhash.data.finding import find_file


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_table", ["NFC", "NFD"])
def test_accents_in_any_form_find_the_file(tmp_path, on_disk, in_table):
    folder = tmp_path / unicodedata.normalize(on_disk, "Café")
    folder.mkdir()
    file = folder / unicodedata.normalize("NFC", "Möwe.jpg")  # forms mixed, as in a folder that grew
    file.write_bytes(b"x")
    assert find_file(tmp_path, unicodedata.normalize(in_table, "Café/Möwe.jpg")).samefile(file)
    assert find_file(tmp_path, unicodedata.normalize(in_table, "Café\\Möwe.jpg")).samefile(file)
    assert find_file(tmp_path / "other", str(folder / unicodedata.normalize(in_table, "Möwe.jpg"))).samefile(file)


def test_the_name_as_it_is_comes_first(tmp_path):
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    for name in (*names, "a\\b.jpg"):
        (tmp_path / name).write_text(name)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.jpg").write_text("other")
    for name in (*names, "a\\b.jpg"):
        assert find_file(tmp_path, name).read_text() == name


@pytest.mark.parametrize(
    "name", ["a.jpg", "a\\b.jpg", "é.jpg", "C:\\Users\\a.jpg", "x" * 5000 + "é", "é\0", "\udce9.jpg"]
)
def test_what_is_not_there_keeps_its_name(tmp_path, name):
    assert find_file(tmp_path, name) == tmp_path / name
