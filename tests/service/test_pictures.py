import io

import numpy as np
import pytest
from PIL import ExifTags, Image

pytest.importorskip("fastapi", reason="needs ordhash[serve]")

from ordhash.data.images import content_id
from ordhash.errors import ImageError
from ordhash.service import pictures
from ordhash.service.pictures import Thumbnails, scaled_jpeg


@pytest.fixture
def photograph(tmp_path):
    """40 x 20 pixels, red on the left; the camera was held upright, and wrote where it was."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 0] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "somebody"
    path = tmp_path / "photograph.jpg"
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


def test_pictures_are_upright_and_without_metadata(photograph):
    content = scaled_jpeg(photograph, 20, name="it")
    assert b"somebody" in photograph.read_bytes()
    assert b"somebody" not in content
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (10, 20)
    assert picture.getpixel((5, 2))[0] > 200
    assert picture.getpixel((5, 17))[0] < 50
    # Never larger than the photograph.
    assert Image.open(io.BytesIO(scaled_jpeg(photograph, 1000, name="it"))).size == (20, 40)


def test_small_pictures_are_kept_by_content(photograph, tmp_path):
    thumbnails, digest = Thumbnails(tmp_path / "small", 10), content_id(photograph)
    first = thumbnails.of(photograph, digest, name="it")
    assert Image.open(io.BytesIO(first)).size == (5, 10)
    photograph.unlink()
    assert thumbnails.of(photograph, digest, name="it") == first
    with pytest.raises(ImageError, match=r"it: .*no such file"):
        thumbnails.of(photograph, bytes(16), name="it")


def test_small_pictures_without_a_place_to_keep_them(photograph, tmp_path, monkeypatch):
    (tmp_path / "small").write_text("in the way")
    digest = content_id(photograph)
    made = Thumbnails(tmp_path / "small").of(photograph, digest, name="it")
    assert Image.open(io.BytesIO(made)).size == (20, 40)

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(pictures, "replace_file", full)
    assert Thumbnails(tmp_path / "other").of(photograph, digest, name="it") == made
