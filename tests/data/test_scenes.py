import dataclasses
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st
from PIL import Image

from ordhash.data import ImageSet, content_id, open_rgb
from ordhash.data.scenes import (
    SHARES,
    SHARES_OF_THREE,
    CutOut,
    Pasted,
    Scene,
    companions,
    cut_outs,
    drawn_scene,
    in_clutter,
    paste_into,
)
from ordhash.errors import ImageError, InputError

GREY = np.full((60, 90, 3), 120, np.uint8)
ALONE = np.arange(24)[:, None]  # each of the objects


def plain(colour, height=40, width=40):
    return np.full((height, width, 3), colour, np.uint8)


def objects(n=24, classes=4):
    pictures = np.stack([plain((250, 10 * (row % classes), row)) for row in range(n)])
    labels = np.eye(classes, dtype=bool)[np.arange(n) % classes]
    return ImageSet(pictures, np.array([f"object-{row}" for row in range(n)]), labels, tuple("abcd"[:classes]))


def backgrounds(n=5):
    return ImageSet(
        [plain((0, 90 + row, 255), 60, 90) for row in range(n)], np.array([f"behind-{i}" for i in range(n)])
    )


def is_red(picture):
    pixels = np.asarray(picture).astype(int)
    return (pixels[..., 0] > 200) & (pixels[..., 2] < 100)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 20), (20, 50)])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.3, 0.9), (1.0, 1.0)])
def test_a_thing_takes_its_share_at_its_place_with_its_aspect(height, width, place):
    scene = Scene(GREY, (Pasted(plain((255, 0, 0), height, width), 0.1, *place),), height=240)
    rows, columns = np.nonzero(is_red(scene.draw()))
    left, top, right, bottom = scene.box(0)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)
    assert len(rows) == (right - left) * (bottom - top)
    assert len(rows) / (320 * 240) == pytest.approx(0.1, abs=0.005)
    assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.03)
    assert left == round(place[0] * (320 - (right - left)))
    assert top == round(place[1] * (240 - (bottom - top)))


def test_a_thing_too_tall_or_too_wide_is_made_to_fit():
    for height, width in ((90, 10), (10, 90)):
        scene = Scene(GREY, (Pasted(plain(255, height, width), 0.4, 0.5, 0.5, between=(0.5, 1.0)),), height=120)
        left, top, right, bottom = scene.box(0)
        assert 80 <= left < right <= 160
        assert 0 <= top < bottom <= 120
        assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.1)


def test_the_background_keeps_its_aspect_and_loses_its_margin():
    behind = plain((10, 200, 10), 100, 300)
    behind[:2] = behind[-2:] = 0  # a dark edge
    behind[:, :80] = behind[:, 220:] = 0  # what a middle of 4:3 does not reach
    scene = Scene(behind, (), height=96).draw()
    assert scene.size == (128, 96)
    assert (np.asarray(scene) == (10, 200, 10)).all()


def test_soft_edges_fade_and_brightness_follows_the_surroundings():
    hard = Pasted(plain((200, 100, 100)), 0.2, 0.5, 0.5)
    scene = Scene(GREY, (dataclasses.replace(hard, soft=True),), height=240)
    left, top, right, bottom = scene.box(0)
    pixels = np.asarray(scene.draw()).astype(int)
    across = pixels[(top + bottom) // 2, left : (left + right) // 2, 0]
    assert abs(across[0] - 120) < 10  # the background's
    assert (np.diff(across) >= 0).all()
    assert across[-1] == round(200 * 120 / (400 / 3))
    assert np.ptp(pixels[:top]) == 0
    sharp = np.asarray(Scene(GREY, (hard,), height=240).draw()).astype(int)
    assert sharp[(top + bottom) // 2, left, 0] == 200


def test_the_last_thing_is_on_top():
    both = (Pasted(plain((255, 0, 0)), 0.2, 0.5, 0.5), Pasted(plain((0, 255, 0)), 0.1, 0.5, 0.5))
    assert np.asarray(Scene(GREY, both, 96).draw())[48, 64].tolist() == [0, 255, 0]


def test_a_scene_is_an_image_source_that_travels():
    scene = Scene(GREY, (Pasted(plain((255, 0, 0)), 0.2, 0.1, 0.9, soft=True),))
    other = pickle.loads(pickle.dumps(scene))
    assert open_rgb(scene).tobytes() == open_rgb(other).tobytes()
    assert content_id(scene) == content_id(other)
    assert open_rgb(scene).size == (427, 320)
    cut = CutOut(scene)
    assert open_rgb(cut).tobytes() == open_rgb(scene).crop(scene.box(0)).tobytes()


def test_the_digest_tells_every_difference():
    thing = Pasted(plain((255, 0, 0)), 0.2, 0.1, 0.9)
    scene = Scene(GREY, (thing, thing))
    changes = [
        {"image": plain(3)},
        {"share": 0.3},
        {"across": 0.2},
        {"down": 0.8},
        {"soft": True},
        {"between": (0, 0.5)},
    ]
    others = [
        scene,
        Scene(plain(4), scene.things),
        Scene(GREY, scene.things, height=160),
        Scene(GREY, (thing,)),
        *(Scene(GREY, (thing, dataclasses.replace(thing, **change))) for change in changes),
        CutOut(scene),
        CutOut(scene, 1),
    ]
    assert len({content_id(other) for other in others}) == len(others)


def test_a_photograph_that_cannot_be_read_is_reported(tmp_path):
    scene = Scene(tmp_path / "gone.jpg", ())
    for use in (open_rgb, content_id):
        with pytest.raises(ImageError, match=r"gone\.jpg"):
            use(scene)


def test_every_object_is_in_one_scene_and_shares_and_edges_take_turns():
    given, behind = objects(), backgrounds()
    scenes = paste_into(given, behind, salt="s")
    assert len(scenes) == len(set(scenes.keys.tolist())) == 24
    used = [key.split(" in ") for key in scenes.keys]
    assert sorted(key for key, _ in used) == sorted(given.keys)
    counts = np.unique([key for _, key in used], return_counts=True)[1]
    assert sorted(counts.tolist()) == [4, 5, 5, 5, 5]
    kinds = scenes.metadata.to_pylist()
    assert len({(kind["share"], kind["edges"]) for kind in kinds}) == 6
    names = {f"{100 * least:g}-{100 * most:g} %": (least, most) for least, most in SHARES}
    rows = {key: row for row, key in enumerate(given.keys)}
    for scene, (key, _), kind, labels in zip(scenes.images, used, kinds, scenes.labels, strict=True):
        (thing,) = scene.things
        least, most = names[kind["share"]]
        assert least <= thing.share <= most
        assert thing.soft == (kind["edges"] == "soft")
        assert (thing.image == given.images[rows[key]]).all()
        np.testing.assert_array_equal(labels, given.labels[rows[key]])
    of_behind = {}
    for (_, key), kind in zip(used, kinds, strict=True):
        of_behind.setdefault(key, set()).add(kind["share"])
    assert all(len(shares) > 1 for shares in of_behind.values())
    same, other = (paste_into(given, behind, salt=salt) for salt in "st")
    assert same.content_ids() == scenes.content_ids()
    assert not set(other.content_ids()) & set(scenes.content_ids())


def test_several_objects_are_of_different_classes_and_stand_side_by_side():
    scenes = paste_into(objects(), backgrounds(), salt="s", each=3)
    assert 7 <= len(scenes) <= 8
    assert (scenes.labels.sum(axis=1) == 3).all()
    for scene in scenes.images:
        boxes = [scene.box(number) for number in range(3)]
        assert all(one[2] <= other[0] for one, other in itertools.pairwise(boxes))
    assert len({key for name in scenes.keys for key in name.split(" in ")[0].split("+")}) == 3 * len(scenes)


def test_objects_without_partners_of_another_class_are_left_out():
    assert len(paste_into(objects(6, classes=1), backgrounds(), salt="s", each=2)) == 0


def test_what_is_cut_out_is_the_object():
    scenes = paste_into(objects(6), backgrounds(), salt="s")
    cut = cut_outs(scenes)
    assert cut.keys.tolist() == scenes.keys.tolist()
    hard = [kind["edges"] == "hard" for kind in scenes.metadata.to_pylist()]
    for picture, sharp in zip(cut.images, hard, strict=True):
        assert is_red(open_rgb(picture)).mean() == 1 or not sharp
    with pytest.raises(InputError, match="one object each"):
        cut_outs(paste_into(objects(), backgrounds(), salt="s", each=2))
    with pytest.raises(InputError, match="one object each"):
        cut_outs(objects())


def test_scenes_need_labels_and_a_background():
    with pytest.raises(InputError, match="labels"):
        paste_into(objects().without_labels(), backgrounds(), salt="s")
    with pytest.raises(InputError, match="background"):
        paste_into(objects(), backgrounds(0), salt="s")


def test_pictures_are_rgb_whatever_the_photographs_are():
    thing = Pasted(Image.new("L", (8, 8), 200), 0.2, 0.5, 0.5, soft=True)
    assert Scene(Image.new("RGBA", (30, 40), (0, 0, 0, 0)), (thing,), 60).draw().mode == "RGB"


@pytest.mark.parametrize("labelled", [True, False])
def test_clutter_has_a_scene_of_every_object_in_their_order(labelled):
    given = objects() if labelled else objects().without_labels()
    scenes = in_clutter(given, backgrounds(), ALONE, salt="training/0")
    assert [key.split(" in ")[0] for key in scenes.keys] == given.keys.tolist()
    assert (scenes.labels is None) == (given.labels is None)
    if labelled:
        np.testing.assert_array_equal(scenes.labels, given.labels)
    for scene, image in zip(scenes.images, given.images, strict=True):
        assert len(scene.things) == 1
        assert scene.things[0].image is image or (scene.things[0].image == image).all()
    others = in_clutter(given, backgrounds(), ALONE, salt="training/1")
    assert {content_id(one) for one in scenes.images}.isdisjoint(content_id(one) for one in others.images)
    assert len({(kind["share"], kind["edges"]) for kind in scenes.metadata.to_pylist()}) == 6
    turned = in_clutter(given, backgrounds(), ALONE, salt="training/1", turn=1)
    for one, other in zip(scenes.metadata.to_pylist(), turned.metadata.to_pylist(), strict=True):
        assert one["share"] != other["share"]
        assert one["edges"] != other["edges"]


def test_clutter_needs_a_background():
    with pytest.raises(InputError, match="background"):
        in_clutter(objects(), backgrounds(0), ALONE, salt="s")


def test_drawn_scenes_are_of_all_kinds_and_come_back():
    behind = backgrounds()
    scenes = [drawn_scene([plain((255, 0, 0))], behind, draw=f"{number}") for number in range(300)]
    assert content_id(drawn_scene([plain((255, 0, 0))], behind, draw="7")) == content_id(scenes[7])
    assert len({content_id(scene) for scene in scenes}) == 300
    things = [thing for scene in scenes for thing in scene.things]
    shares = np.array([thing.share for thing in things])
    for least, most in SHARES:
        assert 70 < ((shares >= least) & (shares < most)).sum() < 130
    assert 120 < sum(thing.soft for thing in things) < 180
    assert {scene.background[0, 0, 1] for scene in scenes} == {90, 91, 92, 93, 94}
    for place in (np.array([thing.across for thing in things]), np.array([thing.down for thing in things])):
        assert place.min() < 0.05 < 0.95 < place.max()


@for_any(st.integers(1, 30), st.integers(1, 3), st.integers(0, 99))
def test_companions_are_others_and_everybody_is_in_as_many_scenes(n, each, seed):
    each = min(each, n)
    found = companions(np.random.default_rng(seed).permutation(n), each)
    assert found.shape == (n, each)
    assert found[:, 0].tolist() == list(range(n))
    assert all(len(set(row)) == each for row in found.tolist())
    assert np.bincount(found.ravel(), minlength=n).tolist() == [each] * n


def test_clutter_of_several_shows_all_of_them_side_by_side():
    given, together = objects(6), companions(np.arange(6), 3)
    scenes = in_clutter(given, backgrounds(), together, salt="s")
    for row, scene in enumerate(scenes.images):
        assert [thing.image[0, 0, 2] for thing in scene.things] == together[row].tolist()
        boxes = [scene.box(place) for place in range(3)]
        assert all(one[2] <= other[0] for one, other in itertools.pairwise(boxes))
    np.testing.assert_array_equal(scenes.labels, given.labels[together].any(axis=1))
    drawn = drawn_scene([given.images[row] for row in together[0]], backgrounds(), draw="1")
    areas = np.array([3 * thing.share for thing in drawn.things])
    assert any(least <= areas.min() and areas.max() <= most for least, most in SHARES_OF_THREE)
