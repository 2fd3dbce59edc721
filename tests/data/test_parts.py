import numpy as np
import pytest

from ordhash.data import ImageSet, content_id, open_rgb
from ordhash.data.parts import PART_SHARES, Part, drawn_parts
from ordhash.errors import ImageError


def photograph(height=60, width=90):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize("share", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.4, 1.0)])
def test_a_part_is_a_rectangle_with_the_photographs_aspect(share, place):
    picture = np.asarray(open_rgb(Part(photograph(), share, *place)))
    height, width = picture.shape[:2]
    assert width / height == pytest.approx(1.5, rel=0.05)
    assert height * width / (60 * 90) == pytest.approx(share, abs=0.01)
    top, left = picture[0, 0, 0], picture[0, 0, 1]
    assert (top, left) == (round(place[1] * (60 - height)), round(place[0] * (90 - width)))
    np.testing.assert_array_equal(picture, photograph()[top : top + height, left : left + width])


def test_parts_of_a_set():
    labels = np.eye(7, dtype=bool)
    images = ImageSet([photograph()] * 7, np.array([f"k{row}" for row in range(7)]), labels, tuple("abcdefg"))
    parts = drawn_parts(images, salt="s")
    assert parts.keys.tolist()[:2] == ["part of k0", "part of k1"]
    np.testing.assert_array_equal(parts.labels, labels)
    names = [f"{100 * least:g}-{100 * most:g} %" for least, most in PART_SHARES]
    assert parts.metadata["share"].to_pylist() == [names[row % 3] for row in range(7)]
    for row, part in enumerate(parts.images):
        least, most = PART_SHARES[row % 3]
        assert least <= part.share <= most
        assert 0 <= part.across < 1
        assert 0 <= part.down < 1
    assert [part.share for part in drawn_parts(images, salt="s").images] == [part.share for part in parts.images]
    assert [part.share for part in drawn_parts(images, salt="t").images] != [part.share for part in parts.images]


def test_the_id_says_which_part_of_which_photograph():
    one = Part(photograph(), 0.2, 0.5, 0.5)
    others = [Part(photograph(), 0.3, 0.5, 0.5), Part(photograph(), 0.2, 0.5, 0.6), Part(photograph(61), 0.2, 0.5, 0.5)]
    assert content_id(one) == content_id(Part(photograph(), 0.2, 0.5, 0.5))
    assert len({content_id(part) for part in (one, *others)}) == 4


def test_a_photograph_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8broken")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        open_rgb(Part(path, 0.2, 0.5, 0.5))
