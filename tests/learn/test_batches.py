import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from ordhash.data import ImageSet, drawn_scene, read_folder
from ordhash.errors import InputError
from ordhash.learn.batches import (
    FeatureBatches,
    PictureBatches,
    SceneMaps,
    Share,
    coloured,
    epoch_order,
    shown_labels,
)
from ordhash.model.features import FeatureMaps
from ordhash.model.inference import Preprocessing


def rows_of(order):
    return np.concatenate(order).tolist() if order else []


@settings(deadline=None, derandomize=True)
@given(st.integers(2, 60), st.integers(2, 20), st.integers(0, 999))
def test_an_epoch_is_a_permutation_cut_into_batches(n, batch_size, seed):
    order = epoch_order(n, batch_size, seed, Share())
    rows = rows_of(order)
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(range(n))
    # Only a single image that would be alone in a batch may be left out.
    assert len(rows) == n - (n > batch_size and n % batch_size == 1)
    assert [len(batch) for batch in order[:-1]] == [batch_size] * (len(order) - 1)
    assert 2 <= len(order[-1]) <= batch_size


def test_the_order_depends_on_the_seed_alone():
    assert rows_of(epoch_order(50, 8, 3, Share())) == rows_of(epoch_order(50, 8, 3, Share()))
    assert rows_of(epoch_order(50, 8, 3, Share())) != rows_of(epoch_order(50, 8, 4, Share()))
    assert rows_of(epoch_order(50, 50, 3, Share())) != list(range(50))


def test_every_image_has_its_turn_over_several_epochs():
    seen = {row for seed in range(20) for row in rows_of(epoch_order(9, 4, seed, Share()))}
    assert seen == set(range(9))


@settings(deadline=None, derandomize=True)
@given(st.integers(4, 60), st.integers(1, 6), st.integers(2, 4), st.integers(0, 999))
def test_shares_are_disjoint_and_of_equal_size_and_make_the_batch(n, each, processes, seed):
    batch_size = each * processes
    shares = [epoch_order(n, batch_size, seed, Share(rank, processes)) for rank in range(processes)]
    whole = epoch_order(n, batch_size, seed, Share()) if batch_size > 1 else None
    assert len({len(share) for share in shares}) == 1
    for step, parts in enumerate(zip(*shares, strict=True)):
        assert len({len(part) for part in parts}) == 1
        together = rows_of(parts)
        assert len(set(together)) == len(together)
        if step < len(shares[0]) - 1:
            assert set(together) == set(whole[step].tolist())
        else:
            assert set(together) <= set(whole[step].tolist())
            assert len(whole[step]) - len(together) < processes


def test_a_batch_that_cannot_be_divided_among_the_processes_is_refused():
    with pytest.raises(InputError, match="batch_size is 5; with 2 processes it must be a multiple of 2"):
        epoch_order(20, 5, 0, Share(0, 2))


def maps_of(values):
    maps = FeatureMaps.of(values.astype(np.float16))
    return dataclasses.replace(maps, starts=maps.starts[::-1])


def test_features_are_those_of_the_picture_or_of_its_mirror_image():
    n = 400
    plain = np.arange(n, dtype=np.float16).reshape(n, 1, 1, 1) * np.ones((1, 2, 1, 3), np.float16)
    labels = np.eye(4, dtype=bool)[np.arange(n) % 4]
    batches = FeatureBatches(maps_of(plain), maps_of(-1 - plain), labels)
    assert len(batches) == n
    assert batches.labels.dtype == torch.float32
    np.testing.assert_array_equal(batches.labels.numpy(), labels)
    order = epoch_order(n, 64, 0, Share())

    def epoch(seed):
        found = np.full(n, np.nan)
        for groups, expected in zip(batches.epoch(order, seed), order, strict=True):
            ((values, members),) = groups
            np.testing.assert_array_equal(members, expected[:, None])
            rows = members[:, 0]
            assert values.dtype == torch.float32
            assert values.shape == (len(rows), 2, 1, 3)
            assert (values == values[:, :1, :, :1]).all()
            found[rows] = values[:, 0, 0, 0]
        return found

    values = epoch(5)
    mirrored = values < 0
    # Rows are stored in reverse: what is read must be the row's own map, of either kind.
    np.testing.assert_array_equal(np.where(mirrored, -1 - values, values), np.arange(n)[::-1])
    assert 0.4 < mirrored.mean() < 0.6
    np.testing.assert_array_equal(epoch(5), values)
    assert ((epoch(6) < 0) != mirrored).any()


def test_features_without_mirror_images_are_as_they_are():
    plain = np.random.default_rng(0).normal(size=(10, 2, 3, 3)).astype(np.float16)
    maps = maps_of(plain)
    batches = FeatureBatches(maps, None, np.eye(2, dtype=bool)[np.arange(10) % 2])
    for ((values, members),) in batches.epoch(epoch_order(10, 4, 0, Share()), 0):
        np.testing.assert_array_equal(values.numpy(), plain[::-1][members[:, 0]])
        values[:] = 0  # what a step does to its inputs stays in the step
    np.testing.assert_array_equal(maps.values, plain.ravel())


def all_pictures(batches, order, seed):
    return {
        row: picture
        for groups in batches.epoch(order, seed)
        for pictures, members in groups
        for row, picture in zip(members[:, 0].tolist(), batches.on_device(pictures, members, seed).numpy(), strict=True)
    }


def test_pictures_without_augmentation_are_those_that_an_encoder_sees(photo_folder):
    images, preprocessing = read_folder(photo_folder), Preprocessing(40)
    batches = PictureBatches(images, preprocessing, crop=None, workers=0)
    order = epoch_order(len(images), 5, 0, Share())
    found = all_pictures(batches, order, 0)
    assert sorted(found) == list(range(18))
    for row, picture in found.items():
        np.testing.assert_array_equal(picture, preprocessing.read(images, row))
    np.testing.assert_array_equal(batches.labels.numpy(), images.labels)


def test_augmented_pictures_depend_on_seed_and_image_alone(photo_folder):
    images, preprocessing = read_folder(photo_folder), Preprocessing(40)
    here = PictureBatches(images, preprocessing, crop=0.4, workers=0)
    elsewhere = PictureBatches(images, preprocessing, crop=0.4, workers=2)
    order, another_order = epoch_order(18, 5, 0, Share()), epoch_order(18, 6, 1, Share())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = all_pictures(here, order, 7)
    torch.manual_seed(1)
    for again in (all_pictures(elsewhere, order, 7), all_pictures(here, another_order, 7)):
        assert sorted(again) == sorted(found)
        for row, picture in found.items():
            assert picture.shape == (40, 40, 3)
            assert picture.dtype == np.uint8
            np.testing.assert_array_equal(again[row], picture)
    others = all_pictures(here, order, 8)
    assert all((others[row] != picture).any() for row, picture in found.items())
    assert all((preprocessing.read(images, row) != picture).any() for row, picture in found.items())
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("crop", [None, 0.4])
def test_every_other_batch_is_of_scenes_that_are_new_in_every_epoch(crop, photo_folder):
    images, preprocessing = read_folder(photo_folder), Preprocessing(64, "whole")
    behind = ImageSet(np.random.default_rng(0).integers(0, 256, (4, 60, 90, 3), dtype=np.uint8))
    here, elsewhere = (
        PictureBatches(images, preprocessing, crop=crop, workers=workers, backgrounds=behind) for workers in (0, 2)
    )
    assert here.has_scenes
    order, mirrored, sizes = epoch_order(18, 6, 0, Share()), [], set()
    for seed in range(6):
        plainly, cluttered = (list(here.epoch(order, seed, clutter=clutter)) for clutter in (False, True))
        for number, rows in enumerate(order):
            if (number + seed) % 2 == 0:
                for (one, _), (other, _) in zip(plainly[number], cluttered[number], strict=True):
                    assert torch.equal(one, other)
                continue
            ((pictures, members),) = cluttered[number]
            assert members[:, 0].tolist() == rows.tolist()
            sizes.add(members.shape[1])
            for shown, picture in zip(members.tolist(), pictures.numpy(), strict=True):
                assert len(set(shown)) == len(shown)
                scene = drawn_scene([images.images[row] for row in shown], behind, draw=f"{seed}/{shown[0]}")
                expected = preprocessing.read(ImageSet([scene]), 0)
                mirrored.append(not np.array_equal(picture, expected))
                np.testing.assert_array_equal(picture[:, ::-1] if mirrored[-1] else picture, expected)
    assert sizes == {1, 3}
    assert 0.3 < np.mean(mirrored) < 0.7 if crop else not any(mirrored)
    for one, other in zip(cluttered, elsewhere.epoch(order, 5, clutter=True), strict=True):
        assert all(torch.equal(a, b) for (a, _), (b, _) in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_follow_each_other_also_when_one_is_left_early(workers, photo_folder):
    images, preprocessing = read_folder(photo_folder), Preprocessing(40)
    batches = PictureBatches(images, preprocessing, crop=0.4, workers=workers)
    order = epoch_order(18, 5, 0, Share())
    first = all_pictures(batches, order, 1)
    begun = batches.epoch(order, 2)
    next(begun)
    begun.close()
    for seed in (3, 1):
        found = all_pictures(batches, order, seed)
        assert sorted(found) == list(range(18))
        assert all((found[row] == first[row]).all() == (seed == 1) for row in found)


def test_colours_change_as_torchvision_changes_them():
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 256, (5, 12, 9, 3), dtype=np.uint8))
    factors = torch.tensor([[0.7, 1.3, 1.0], [1.3, 0.7, 1.2], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.2, 0.0]])
    found = coloured(pictures, factors)
    assert found.dtype == torch.uint8
    for picture, (brightness, contrast, saturation), one in zip(pictures, factors.tolist(), found, strict=True):
        expected = picture.permute(2, 0, 1).float() / 255
        expected = functional.adjust_brightness(expected, brightness)
        expected = functional.adjust_contrast(expected, contrast)
        expected = functional.adjust_saturation(expected, saturation)
        assert (one.permute(2, 0, 1) - 255 * expected).abs().max() <= 0.51
    np.testing.assert_array_equal(found[2], pictures[2])


def test_the_largest_seed_has_pictures_too(photo_folder):
    images = read_folder(photo_folder)
    batches = PictureBatches(images, Preprocessing(40), crop=0.4, workers=0)
    order = [np.array([0, 1])]
    large = 2**31 * 100_003
    assert all_pictures(batches, order, large)[0].shape == (40, 40, 3)


def test_augmentation_keeps_the_class_recognisable(photo_folder):
    images = read_folder(photo_folder)  # classes differ by colour
    batches = PictureBatches(images, Preprocessing(40), crop=0.4, workers=0)
    found = all_pictures(batches, [np.arange(18)], 3)
    largest = {0: 0, 2: 2}  # apples are red, carrots (here) blue
    for row, picture in found.items():
        label = int(images.labels[row].argmax())
        if label in largest:
            assert picture.reshape(-1, 3).mean(axis=0).argmax() == largest[label]


def test_a_crop_keeps_at_least_its_share():
    # Brightness rises from left to right and from top to bottom, so what is left of it says how much a crop keeps.
    ramp = np.linspace(0, 255, 128)
    picture = np.stack([np.tile(ramp, (128, 1)), np.tile(ramp[:, None], (1, 128)), np.zeros((128, 128))], axis=2)
    images = ImageSet(
        picture.round().astype(np.uint8)[None].repeat(60, axis=0), labels=np.ones((60, 1), bool), class_names=("a",)
    )
    for crop in (0.1, 0.4, 0.8, 1.0):
        batches = PictureBatches(images, Preprocessing(64), crop=crop, workers=0)
        for ((pictures, _),) in batches.epoch([np.arange(60)], 5):  # colours are changed later
            spans = [
                one[:, :, channel].astype(int).max() - one[:, :, channel].min()
                for one in pictures.numpy()
                for channel in (0, 1)
            ]
        kept = np.array(spans).reshape(60, 2).prod(axis=1) / 255**2
        assert kept.min() > crop - 0.06
        assert crop == 1.0 or kept.min() < crop + 0.25


def test_strong_augmentation_changes_pictures_more_and_erases_from_some(photo_folder):
    images, order = read_folder(photo_folder), [np.arange(18)]
    light = PictureBatches(images, Preprocessing(40), crop=0.6, workers=0)
    strong = PictureBatches(images, Preprocessing(40), crop=0.6, workers=0, strong=True)
    elsewhere = PictureBatches(images, Preprocessing(40), crop=0.6, workers=2, strong=True)
    changed, grey = 0, {light: 0, strong: 0}
    for seed in range(4):
        lightly, strongly = all_pictures(light, order, seed), all_pictures(strong, order, seed)
        for row, picture in all_pictures(elsewhere, order, seed).items():
            np.testing.assert_array_equal(picture, strongly[row])
            changed += bool((picture != lightly[row]).any())
        for batches, found in ((light, lightly), (strong, strongly)):
            grey[batches] += sum(bool((picture.std(axis=2) == 0).mean() > 0.02) for picture in found.values())
    assert changed > 60  # of 72: some changes do nothing
    assert grey[strong] > grey[light] + 5


def test_maps_of_several_shapes_come_in_groups_with_their_mirror_images():
    rng = np.random.default_rng(0)
    shapes = [(2, 3), (3, 2), (2, 3), (2, 2), (3, 2), (2, 3)]
    plain = [rng.normal(size=(4, h, w)).astype(np.float16) for h, w in shapes]
    maps, mirrored = (
        FeatureMaps(
            np.concatenate([one.ravel() for one in kind]),
            np.cumsum([0, *(one.size for one in kind[:-1])]),
            np.array(shapes),
            4,
            np.arange(6),
            [],
            0,
        )
        for kind in (plain, [-one for one in plain])
    )
    batches = FeatureBatches(maps, mirrored, np.eye(2, dtype=bool)[np.arange(6) % 2])
    seen = set()
    for seed in range(20):
        (groups,) = batches.epoch([np.array([5, 1, 0, 3, 4])], seed)
        assert [members.tolist() for _, members in groups] == [[[5], [0]], [[1], [4]], [[3]]]
        for values, members in groups:
            for value, (row,) in zip(values.numpy(), members.tolist(), strict=True):
                sign = 1 if (value == plain[row]).all() else -1
                np.testing.assert_array_equal(value, sign * plain[row].astype(np.float32))
                seen.add((row, sign))
    assert len(seen) == 10


def test_whole_pictures_come_in_groups(photo_folder):
    images, preprocessing = read_folder(photo_folder), Preprocessing(32, "whole")
    batches = PictureBatches(images, preprocessing, crop=None, workers=0)
    (groups,) = batches.epoch([np.arange(18)[::-1]], 0)
    assert sorted(row for _, members in groups for (row,) in members) == list(range(18))
    for pictures, members in groups:
        for picture, (row,) in zip(pictures.numpy(), members.tolist(), strict=True):
            np.testing.assert_array_equal(picture, preprocessing.read(images, row))


def test_every_other_batch_of_a_training_is_of_scenes():
    plain = np.arange(40, dtype=np.float16).reshape(20, 2, 1, 1)
    pairs = np.stack([np.arange(20), (np.arange(20) + 7) % 20], axis=1)
    scenes = [
        SceneMaps(FeatureMaps.of(plain + 100), np.arange(20)[:, None]), SceneMaps(FeatureMaps.of(plain + 200), pairs)
    ]  # fmt: skip
    batches = FeatureBatches(FeatureMaps.of(plain), None, np.eye(2, dtype=bool)[np.arange(20) % 2], scenes)
    order = epoch_order(20, 4, 0, Share())

    def shifts(seed, **options):
        found = []
        for ((values, members),) in batches.epoch(order, seed, **options):
            (shift,) = np.unique(values.numpy() - plain[members[:, 0]])
            assert members.shape[1] == (2 if shift == 200 else 1)
            np.testing.assert_array_equal(members, pairs[members[:, 0], : members.shape[1]])
            found.append(int(shift))
        return found

    assert shifts(0) == [0] * 5  # features of the images themselves
    seen = [shifts(seed, clutter=True) for seed in range(10)]
    for seed, found in enumerate(seen):  # first those with odd numbers, then those with even ones
        assert set(found[seed % 2 :: 2]) == {0}
        assert set(found[1 - seed % 2 :: 2]) <= {100, 200}
    assert {shift for found in seen for shift in found} == {0, 100, 200}
    assert shifts(3, clutter=True) == seen[3]


@pytest.mark.parametrize("as_mask", [True, False])
def test_scenes_that_show_a_held_out_image_are_not_learned_from(as_mask):
    members = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]])
    scenes = SceneMaps(FeatureMaps.of(np.arange(5, dtype=np.float16).reshape(5, 1, 1, 1)), members)
    picked = np.array([0, 1, 3, 4])
    left = scenes.among(np.isin(np.arange(5), picked) if as_mask else picked, 5)
    assert left.maps.pooled().ravel().tolist() == [0, 3, 4]
    assert picked[left.members].tolist() == [[0, 1], [3, 4], [4, 0]]
    labels = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    plain = FeatureMaps.of(np.full((4, 1, 1, 1), 9, np.float16))
    batches = FeatureBatches(plain, None, labels, [left, scenes.among(np.array([0, 2]), 5)])
    seen = set()
    for ((values, of),) in batches.epoch([np.arange(4), np.arange(4)], 1, clutter=True):
        seen |= {(value, tuple(shown)) for value, shown in zip(values.ravel().tolist(), of.tolist(), strict=True)}
    assert {value for value, shown in seen if len(shown) == 1} == {9}
    assert {shown for _, shown in seen if len(shown) == 2} == {(0, 1), (2, 3), (3, 0)}


def test_without_any_scene_left_there_are_none():
    scenes = SceneMaps(FeatureMaps.of(np.zeros((2, 1, 1, 1), np.float16)), np.array([[0, 1], [1, 0]]))
    labels = np.eye(2, dtype=bool)
    batches = FeatureBatches(
        FeatureMaps.of(np.ones((2, 1, 1, 1), np.float16)), None, labels, [scenes.among(labels[0], 2)]
    )
    assert not batches.has_scenes
    for ((values, _),) in batches.epoch([np.arange(2)], 1, clutter=True):
        assert values.ravel().tolist() == [1, 1]


def test_labels_of_scenes():
    targets = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 1]])
    members = np.array([[0, 1], [1, 2], [0, 0]])
    assert shown_labels(targets, members, multilabel=False).tolist() == [[0.5, 0.5, 0], [0, 1, 0.5], [1, 0, 0]]
    assert shown_labels(targets, members, multilabel=True).tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
