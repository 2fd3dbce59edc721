import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance

from ordhash.collection.fingerprints import FINGERPRINT, NEAR_DUPLICATE, fingerprint, fingerprint_distance, first_alike

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def photograph(name):
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def compressed(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def print_of(picture, size=160):
    return fingerprint(np.array(picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(
    "edit",
    [
        lambda p: compressed(p, 30),
        lambda p: p.resize((p.width // 2, p.height // 2)),
        lambda p: compressed(p.resize((p.width // 3, p.height // 3)), 60),
        lambda p: ImageEnhance.Brightness(p).enhance(1.2),
        lambda p: ImageEnhance.Contrast(p).enhance(0.7),
        lambda p: p.convert("L"),
    ],
    ids=["compressed", "half", "third, compressed", "brighter", "paler", "grey"],
)
def test_the_same_picture_is_near(name, edit):
    picture = photograph(name)
    assert fingerprint_distance(print_of(picture), print_of(edit(picture))) <= NEAR_DUPLICATE


def test_other_pictures_are_far():
    prints = [print_of(photograph(name)) for name in PHOTOGRAPHS]
    far = [fingerprint_distance(a, b) for i, a in enumerate(prints) for b in prints[:i]]
    assert min(far) > 2 * NEAR_DUPLICATE


def test_a_picture_of_one_colour_has_no_fingerprint():
    noise = np.random.default_rng(0).integers(-1, 2, (64, 64, 3))
    assert fingerprint(np.full((64, 64, 3), 200, np.uint8)) is None
    assert fingerprint((200 + noise).astype(np.uint8)) is None


def test_distances_are_those_of_codes():
    one, other = np.random.default_rng(0).integers(0, 256, (2, 32), dtype=np.uint8)
    assert len(print_of(photograph("coffee"))) == FINGERPRINT.packed_bytes == 32
    assert fingerprint_distance(one.tobytes(), other.tobytes()) == np.unpackbits(one ^ other).sum()


def test_the_first_that_shows_the_same_picture():
    pictures = [photograph(name) for name in PHOTOGRAPHS]
    prints = [print_of(picture) for picture in pictures]
    copies = [print_of(compressed(picture, 60)) for picture in pictures]
    # Against others, nothing for a picture that has no fingerprint.
    assert first_alike([*copies[::-1], None], prints) == [3, 2, 1, 0, None]
    assert first_alike(prints, []) == [None] * 4
    # Among themselves: only earlier ones count, and what has no fingerprint is like nothing.
    assert first_alike([prints[0], None, copies[0], prints[1], None, copies[0]]) == [None, None, 0, None, None, 0]
    expected = [
        next((i for i in range(j) if fingerprint_distance(mixed[i], mixed[j]) <= NEAR_DUPLICATE), None)
        for mixed in [prints + copies]
        for j in range(8)
    ]
    assert first_alike(prints + copies) == expected
