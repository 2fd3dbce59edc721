from __future__ import annotations

from collections.abc import Iterator

import pytest
from oddimages import encoded, photograph
from PIL import Image

from ordhash.errors import ImageError
from ordhash.search import Example
from ordhash.service.uploads import Uploads


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    made = Uploads(1_000_000, 32)
    yield made
    made.close()


def test_examples_are_decoded_as_large_as_needed(uploads: Uploads) -> None:
    content = encoded(photograph().resize((800, 600)), "JPEG")
    sizes = {}
    for box in (None, (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 0.51, 0.51)):
        made = uploads.decoded(Example(content, box, False, "a"))
        assert isinstance(made.image, Image.Image)
        assert (made.box, made.wanted, made.name) == (box, False, "a")
        sizes[box] = made.image.size
    assert list(sizes.values()) == [(100, 75), (200, 150), (800, 600)]
    for share in (1e-3, 1e-235, 5e-324):
        made = uploads.decoded(Example(content, (0.0, 0.0, 1.0, share)))
        assert isinstance(made.image, Image.Image)
        assert made.image.size == (800, 600)
    example = Example(photograph())
    assert uploads.decoded(example) is example


def test_what_cannot_be_used_is_refused(uploads: Uploads) -> None:
    uploads.start()
    with pytest.raises(ImageError, match="the query: this is not an image"):
        uploads.decoded(Example(b"hello", name="the query"))
    with pytest.raises(ImageError, match=r"the photograph: .* 1,000,000 in all"):
        uploads.check(encoded(Image.new("L", (1001, 1000)), "PNG"))
    uploads.check(encoded(photograph(), "PNG"))
