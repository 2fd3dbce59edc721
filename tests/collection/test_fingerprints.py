import functools
import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from ordhash.collection import fingerprints
from ordhash.collection.fingerprints import (
    CANDIDATE,
    CANDIDATE_SKETCH,
    FINGERPRINT,
    NEAR_DUPLICATE,
    distances_to,
    fingerprint,
    fingerprint_distance,
    first_alike,
    hash_of,
    sketches_of,
    turned_hashes,
)
from ordhash.data import prepare

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


@functools.cache
def photograph(name):
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def compressed(picture, quality, kind="JPEG"):
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=quality)
    return Image.open(buffer)


def print_of(picture, size=160):
    return fingerprint(prepare(picture.convert("RGB"), size, "squash"))


def apart(one, other):
    return fingerprint_distance(print_of(one), print_of(other))


def scaled(picture, factor):
    return picture.resize((round(picture.width * factor), round(picture.height * factor)))


COPIES = {
    "quality 20": lambda p: compressed(p, 20),
    "WebP": lambda p: compressed(p, 40, "WEBP"),
    "half": lambda p: scaled(p, 0.5),
    "quarter": lambda p: scaled(p, 0.25),
    "third, compressed": lambda p: compressed(scaled(p, 1 / 3), 60),
    "larger": lambda p: scaled(p, 1.7),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.2),
    "darker": lambda p: ImageEnhance.Brightness(p).enhance(0.8),
    "paler": lambda p: ImageEnhance.Contrast(p).enhance(0.7),
    "stronger colours": lambda p: ImageEnhance.Color(p).enhance(1.25),
    "grey": lambda p: p.convert("L"),
    "sharper": lambda p: ImageEnhance.Sharpness(p).enhance(2),
    "softer": lambda p: p.filter(ImageFilter.GaussianBlur(2)),
    "a line of pixels cut off": lambda p: p.crop((0, 0, p.width - 1, p.height - 1)),
    "turned": lambda p: compressed(p.transpose(Image.Transpose.ROTATE_90), 50),
    "upside down": lambda p: p.transpose(Image.Transpose.ROTATE_180),
    "mirrored": lambda p: scaled(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.4),
    "mirrored and turned": lambda p: p.transpose(Image.Transpose.TRANSVERSE),
}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("edit", COPIES.values(), ids=COPIES)
def test_copies_are_the_same_picture(name, edit):
    picture = photograph(name)
    assert apart(picture, edit(picture)) <= NEAR_DUPLICATE


def painted(picture):
    out = picture.copy()
    box = (0.35 * out.width, 0.2 * out.height, 0.55 * out.width, 0.45 * out.height)
    colour = tuple(np.array(picture.crop([round(side) for side in box])).mean(axis=(0, 1)).astype(int).tolist())
    ImageDraw.Draw(out).ellipse(box, fill=colour)
    return out


def pixelated(picture):
    out, box = (
        picture.copy(),
        [round(s * side) for s, side in zip((0.35, 0.2, 0.6, 0.45), picture.size * 2, strict=True)],
    )
    part = picture.crop(box)
    out.paste(part.resize((4, 4), Image.Resampling.BOX).resize(part.size, Image.Resampling.NEAREST), box[:2])
    return out


def with_object(picture):
    out = picture.copy()
    side = round(0.15 * min(out.size))
    out.paste(photograph("coffee" if picture.size == (512, 512) else "astronaut").resize((side, side)), (20, 20))
    return out


def other_hue(picture):
    hue = np.array(picture.convert("HSV"))
    hue[..., 0] += 60
    return Image.fromarray(hue, "HSV").convert("RGB")


OTHERS = {"painted over": painted, "pixelated": pixelated, "an object": with_object, "other hue": other_hue}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("edit", OTHERS.values(), ids=OTHERS)
def test_a_picture_with_other_contents_somewhere_is_another(name, edit):
    picture = photograph(name)
    assert apart(picture, edit(picture)) > NEAR_DUPLICATE
    assert apart(picture, compressed(scaled(edit(picture), 0.5), 70)) > NEAR_DUPLICATE


def test_other_photographs_are_far():
    prints = [print_of(photograph(name)) for name in PHOTOGRAPHS]
    assert min(fingerprint_distance(a, b) for i, a in enumerate(prints) for b in prints[:i]) > 2 * NEAR_DUPLICATE


def form(seed, size=(600, 800)):
    """A form of 14 lines, a number in each."""
    image, rng = Image.new("RGB", size, "white"), np.random.default_rng(seed)
    draw = ImageDraw.Draw(image)
    for row in range(14):
        top = 40 + 52 * row
        draw.rectangle((40, top, 560, top + 36), outline="black")
        draw.text((50, top + 6), f"Field {row}", fill="black", font_size=20)
        draw.text((250, top + 6), str(rng.integers(10**8, 10**9)), fill="black", font_size=20)
    return image


def test_forms_of_one_layout_are_different_pictures():
    forms = [form(seed) for seed in range(5)]
    prints = [print_of(one) for one in forms]
    copies = [print_of(compressed(scaled(one, 0.5), 60)) for one in forms]
    found = np.array([distances_to(one, copies) for one in prints]) <= NEAR_DUPLICATE
    assert (found == np.eye(5, dtype=bool)).all()
    assert min(fingerprint_distance(a, b) for i, a in enumerate(prints) for b in prints[:i]) > NEAR_DUPLICATE


def shirt(colour):
    image = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(image).polygon(
        [
            (100, 50),
            (200, 50),
            (260, 100),
            (230, 140),
            (210, 120),
            (210, 260),
            (90, 260),
            (90, 120),
            (70, 140),
            (40, 100),
        ],
        fill=colour,
    )
    return image.filter(ImageFilter.GaussianBlur(1))


def gradient(top, bottom):
    share = np.linspace(0, 1, 200)[:, None, None]
    pixels = np.array(top) * (1 - share) + np.array(bottom) * share + np.zeros((1, 300, 1))
    return Image.fromarray(pixels.astype(np.uint8))


def flag(*colours):
    return Image.fromarray(np.repeat(np.array(colours, dtype=np.uint8), 200, axis=0)[None].repeat(400, axis=0))


KINDS = {
    "shirts": [shirt(colour) for colour in ("#c03030", "#30a030", "#3030c0", "#303030", "#808080")],
    "skies": [
        gradient((30, 60, 160), (220, 230, 250)),
        gradient((60, 20, 60), (250, 200, 150)),
        gradient((40, 80, 40), (200, 220, 180)),
    ],
    "flags": [
        flag((0, 85, 164), (255, 255, 255), (239, 65, 53)),
        flag((0, 146, 70), (255, 255, 255), (206, 43, 55)),
        flag((0, 0, 0), (250, 224, 66), (237, 41, 57)),
        flag((20, 20, 20), (255, 255, 255), (90, 90, 90)),
        flag((90, 90, 90), (255, 255, 255), (150, 150, 150)),
    ],
}


@pytest.mark.parametrize("pictures", KINDS.values(), ids=KINDS)
def test_colours_have_a_say(pictures):
    prints = [print_of(picture) for picture in pictures]
    copies = [print_of(compressed(picture, 60)) for picture in pictures]
    found = np.array([distances_to(one, copies) for one in prints]) <= NEAR_DUPLICATE
    assert (found == np.eye(len(pictures), dtype=bool)).all()


def test_a_picture_of_one_colour_has_no_fingerprint():
    noise = np.random.default_rng(0).integers(-1, 2, (64, 64, 3))
    assert fingerprint(np.full((64, 64, 3), 200, np.uint8)) is None
    assert fingerprint(np.full((64, 64, 3), (200, 30, 30), np.uint8)) is None
    assert fingerprint((200 + noise).astype(np.uint8)) is None
    red_and_green = np.full((64, 64, 3), (196, 0, 0), np.uint8)
    red_and_green[:32] = 0, 100, 0  # of the same grey
    assert fingerprint(red_and_green) is not None


def test_hashes_of_the_eight_ways_are_those_of_turned_pictures():
    pixels = prepare(photograph("rocket"), 160, "squash")
    hashes = turned_hashes(fingerprint(pixels))
    np.testing.assert_array_equal(hashes[0], hash_of(fingerprint(pixels)))
    assert hashes.shape == (8, FINGERPRINT.packed_bytes)
    for way in range(8):
        turned = pixels[:: -1 if way & 2 else 1, :: -1 if way & 1 else 1]
        turned = np.ascontiguousarray(turned.swapaxes(0, 1) if way & 4 else turned)
        differing = np.bitwise_count(hashes ^ hash_of(fingerprint(turned))).sum(axis=1)
        assert differing.argmin() == way
        assert differing[way] <= 4 < CANDIDATE < np.delete(differing, way).min()


def test_a_damaged_fingerprint_is_like_nothing():
    one = print_of(photograph("coffee"))
    assert len(one) < 3200
    for damaged in (b"", one[:20], one[:60], one[:36] + bytes(100), one[:50] + b"\xff" * 20 + one[70:]):
        assert fingerprint_distance(one, damaged) > NEAR_DUPLICATE
        assert fingerprint_distance(damaged, one) > NEAR_DUPLICATE


def test_the_first_that_shows_the_same_picture():
    pictures = [photograph(name) for name in PHOTOGRAPHS]
    prints = [print_of(picture) for picture in pictures]
    copies = [print_of(compressed(picture, 60)) for picture in pictures]
    # Against others, nothing for a picture that has no fingerprint.
    assert first_alike([*copies[::-1], None], prints) == [3, 2, 1, 0, None]
    assert first_alike(prints, []) == [None] * 4
    # Among themselves: only earlier ones count, and what has no fingerprint is like nothing.
    assert first_alike([prints[0], None, copies[0], prints[1], None, copies[0]]) == [None, None, 0, None, None, 0]


@pytest.mark.parametrize("others", [False, True])
def test_each_hash_is_read_a_few_times_however_many_there_are(others, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (40, 10, 12, 3), dtype=np.uint8)
    prints, read = [print_of(Image.fromarray(pixels)) for pixels in noise], []
    monkeypatch.setattr(fingerprints, "hash_of", lambda one: read.append(one) or hash_of(one))
    assert first_alike(prints[20:], prints[:20] if others else None) == [None] * 20
    assert len(read) <= 3 * 20


def test_a_sketch_holds_the_lowest_frequencies():
    hashes = turned_hashes(print_of(photograph("chelsea")))
    sketches = sketches_of(hashes)
    assert (sketches.shape, sketches.dtype) == ((8,), np.uint64)
    changed = hashes.copy()
    changed[:, 17] ^= 255  # the highest frequencies that are positive
    np.testing.assert_array_equal(sketches_of(changed), sketches)
    changed[:, 0] ^= 255
    assert (np.bitwise_count(sketches_of(changed) ^ sketches) > 3).all()
    copy = turned_hashes(print_of(compressed(photograph("chelsea"), 20)))
    assert (np.bitwise_count(sketches_of(copy) ^ sketches) <= CANDIDATE_SKETCH // 2).all()
