import dataclasses
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ordhash.data import open_rgb, prepare
from ordhash.data.imageset import ImageSet
from ordhash.errors import DataError, ImageError, InputError
from ordhash.model import features
from ordhash.model.features import FeatureStore, FrozenBackbone
from ordhash.model.inference import Preprocessing, open_session

ROW_BYTES = 2 * 5 * 4 * 4
RECORD_BYTES = 28


PREPROCESSING = Preprocessing(16)


def backbone(seed=0, weight=None, preprocessing=PREPROCESSING):
    """A convolution of stride 4, of random weights unless one is given: 5 channels."""
    model = onnx.parser.parse_model(
        """
        <ir_version: 9, opset_import: ["" : 18]>
        tiny (uint8[n, h, w, 3] images) => (float[n, 5, a, b] features) {
            pixels = Cast <to = 1> (images)
            planes = Transpose <perm = [0, 3, 1, 2]> (pixels)
            features = Conv <strides = [4, 4]> (planes, weight)
        }
        """
    )
    weights = (
        np.random.default_rng(seed).normal(0, 0.01, (5, 3, 4, 4)) if weight is None else np.full((5, 3, 4, 4), weight)
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights.astype(np.float32), "weight"))
    return FrozenBackbone(model.SerializeToString(), preprocessing, "tiny", f"seed{seed}")


BACKBONE = backbone()


def pictures(n, seed=0):
    return ImageSet(np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8))


def direct(images, frozen=BACKBONE):
    """float32 maps straight from ONNX Runtime."""
    preprocessing = frozen.preprocessing
    pixels = np.stack([prepare(open_rgb(source), preprocessing.size, preprocessing.fit) for source in images.images])
    pixels = pixels[:, :, ::-1] if preprocessing.mirror else pixels
    return open_session(frozen.graph).run(["features"], {"images": np.ascontiguousarray(pixels)})[0]


def check(maps, images, frozen=BACKBONE):
    expected = direct(images, frozen)
    assert maps.failures == []
    assert maps.rows.tolist() == list(range(len(images)))
    assert (maps.depth, maps.sides.tolist()) == (5, [[4, 4]] * len(images))
    np.testing.assert_array_equal(maps.read(np.arange(len(images))), expected.astype(np.float16).astype(np.float32))


def test_maps_are_those_of_a_direct_run(tmp_path):
    images = pictures(11)
    maps = FeatureStore(tmp_path).maps(images, BACKBONE, batch_size=4)
    assert (maps.computed, len(maps)) == (11, 11)
    assert maps.values.dtype == np.float16
    assert maps.read([0]).dtype == np.float32
    check(maps, images)


def test_maps_of_files(tmp_path, photo_folder):
    images = ImageSet(sorted(photo_folder.rglob("*.jpg")))
    check(FeatureStore(tmp_path).maps(images, BACKBONE), images)


def test_nothing_is_computed_twice(tmp_path):
    images = pictures(7)
    assert FeatureStore(tmp_path).maps(images, BACKBONE).computed == 7
    again = FeatureStore(tmp_path).maps(images, BACKBONE)
    assert again.computed == 0
    check(again, images)


def test_what_two_sets_share_is_computed_once_whatever_its_key(tmp_path):
    store, everything = FeatureStore(tmp_path), pictures(9)
    store.maps(everything.subset([2, 5, 7]), BACKBONE)
    renamed = dataclasses.replace(everything, keys=np.array([f"k{i}" for i in range(9)]))
    maps = store.maps(renamed, BACKBONE)
    assert maps.computed == 6
    check(maps, everything)


def test_equal_pictures_are_computed_once_and_stand_where_they_stood(tmp_path):
    images = ImageSet(pictures(4).images[[3, 1, 3, 0, 1, 1, 2]])
    maps = FeatureStore(tmp_path).maps(images, BACKBONE, batch_size=2)
    assert maps.computed == 4
    assert len(maps.values) == 4 * ROW_BYTES // 2
    check(maps, images)


def test_a_file_that_is_changed_meanwhile_is_not_kept_under_its_old_content(tmp_path, photo_folder, monkeypatch):
    path = photo_folder / "apple/apple_0.jpg"
    before, other = path.read_bytes(), (photo_folder / "apple/apple_1.jpg").read_bytes()
    run_images = features.run_images

    def edited(*given, **options):
        path.write_bytes(other)
        return run_images(*given, **options)

    monkeypatch.setattr(features, "run_images", edited)
    store = FeatureStore(tmp_path / "features")
    with pytest.raises(DataError, match=r"apple_0\.jpg was changed"):
        store.maps(ImageSet([path]), BACKBONE)
    monkeypatch.setattr(features, "run_images", run_images)
    path.write_bytes(before)
    assert store.maps(ImageSet([path]), BACKBONE).computed == 1


def test_a_file_and_its_content_are_one_picture(tmp_path, photo_folder):
    path = next(photo_folder.rglob("*.jpg"))
    assert FeatureStore(tmp_path).maps(ImageSet([path, path.read_bytes(), str(path)]), BACKBONE).computed == 1


def test_read_and_batches_pick_what_was_asked_for(tmp_path):
    images = ImageSet(pictures(6).images[[5, 4, 4, 0, 1, 2]])
    maps = FeatureStore(tmp_path).maps(images, BACKBONE)
    whole = maps.read(np.arange(6))
    np.testing.assert_array_equal(maps.read([4, 0, 4]), whole[[4, 0, 4]])
    assert len(maps.read([])) == len(maps.groups([])) == 0
    ((positions, values),) = maps.groups([4, 0, 4])
    assert positions.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(values, whole[[4, 0, 4]])
    held = maps.in_memory()
    assert held.values.dtype == np.float32
    np.testing.assert_array_equal(held.read(np.arange(6)), whole)


def test_pictures_of_several_shapes_have_maps_of_several_shapes(tmp_path):
    frozen = backbone(preprocessing=Preprocessing(32, "whole"))
    shapes = [(60, 40), (40, 60), (30, 30), (120, 80), (10, 90)]
    rng = np.random.default_rng(0)
    images = ImageSet([Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in shapes])
    store = FeatureStore(tmp_path)
    maps = store.maps(images, frozen, batch_size=2)
    assert maps.sides.tolist() == [[8, 16], [16, 8], [8, 8], [8, 16], [16, 8]]
    assert [(group.tolist(), values.shape) for group, values in maps.groups([4, 0, 1, 3])] == [
        ([0, 2], (2, 5, 16, 8)),
        ([1, 3], (2, 5, 8, 16)),
    ]
    wanted = [direct(images.subset([row]), frozen)[0].astype(np.float16) for row in range(5)]
    for found in (maps, store.maps(images, frozen), maps.in_memory()):
        for row, one in enumerate(wanted):
            np.testing.assert_array_equal(found.stored([row])[0], one)
    np.testing.assert_allclose(maps.pooled(), [one.mean(axis=(1, 2), dtype=np.float32) for one in wanted], rtol=1e-5)
    assert store.maps(images, frozen).computed == 0
    assert maps.subset([3, 1]).sides.tolist() == [[8, 16], [16, 8]]


@pytest.mark.parametrize(
    ("picked", "wanted"),
    [
        ([0, 2], [0, 2]),
        (np.array([3, 0, 0]), [3, 0, 0]),
        ([], []),
        (np.array([True, False, False, True]), [0, 3]),
        (np.zeros(4, bool), []),
    ],
    ids=["in order", "in another order", "none", "mask", "mask of none"],
)
def test_a_subset_has_the_maps_of_the_images_picked(tmp_path, picked, wanted):
    images = pictures(4).images
    maps = FeatureStore(tmp_path).maps(ImageSet([b"x", *images[:2], b"", *images[2:]]), BACKBONE)
    assert maps.rows.tolist() == [1, 2, 4, 5]
    some = maps.subset(picked)
    assert (len(some), some.depth, some.sides.tolist()) == (len(wanted), maps.depth, maps.sides[: len(wanted)].tolist())
    assert some.rows.tolist() == [maps.rows[i] for i in wanted]
    assert (some.failures, some.computed) == ([], 0)
    np.testing.assert_array_equal(some.read(np.arange(len(some))), maps.read(wanted))
    np.testing.assert_array_equal(some.pooled(), maps.pooled()[np.array(wanted, int)])
    assert len(maps) == 4


def test_no_maps_have_a_subset(tmp_path):
    maps = FeatureStore(tmp_path).maps(ImageSet([b"x"]), BACKBONE)
    for nothing in ([], np.zeros(0, bool), np.zeros(0, int)):
        assert (len(maps.subset(nothing)), maps.subset(nothing).depth) == (0, 5)


def test_pooled_is_the_mean_over_locations(tmp_path):
    maps = FeatureStore(tmp_path).maps(pictures(5), BACKBONE)
    pooled = maps.pooled()
    assert (pooled.dtype, pooled.shape) == (np.float32, (5, 5))
    np.testing.assert_allclose(pooled, maps.read(np.arange(5)).mean(axis=(2, 3)), rtol=1e-6)


# --- images that cannot be used ---------------------------------------------------------------------------------------


def test_bad_files_are_reported_and_good_ones_kept(tmp_path, photo_folder, bad_files):
    good, bad = sorted(photo_folder.rglob("*.jpg"))[:3], [*bad_files.values(), tmp_path / "missing.jpg"]
    images = ImageSet([bad[0], good[0], bad[1], bad[2], good[1], bad[3], good[2], bad[4]])
    for computed in (3, 0):
        maps = FeatureStore(tmp_path / "cache").maps(images, BACKBONE, batch_size=2)
        assert maps.rows.tolist() == [1, 4, 6]
        assert maps.computed == computed
        assert [failure.source for failure in maps.failures] == [str(path) for path in bad]
        assert all(isinstance(failure, ImageError) and failure.reason for failure in maps.failures)
        np.testing.assert_allclose(maps.read([0, 1, 2]), direct(ImageSet(good)), rtol=1e-3, atol=1e-3)


def test_every_copy_of_a_bad_file_is_reported(tmp_path):
    images = ImageSet([b"not an image", pictures(1).images[0], b"not an image", b""], ["a", "b", "c", "d"])
    maps = FeatureStore(tmp_path).maps(images, BACKBONE)
    assert maps.rows.tolist() == [1]
    assert [failure.source for failure in maps.failures] == ["image a", "image c", "image d"]
    assert maps.computed == 1


@pytest.mark.parametrize("others", [0, 3], ids=["nothing computed before", "others computed before"])
@pytest.mark.parametrize("kind", ["empty", "missing"])
def test_no_usable_image_gives_no_maps_and_every_failure(tmp_path, bad_files, kind, others):
    path, store = bad_files["empty"] if kind == "empty" else tmp_path / "missing.jpg", FeatureStore(tmp_path)
    store.maps(pictures(others), BACKBONE)
    for _ in range(2):
        maps = store.maps(ImageSet([path, b"x"]), BACKBONE)
        assert (len(maps), maps.rows.tolist(), maps.computed) == (0, [], 0)
        assert [failure.source for failure in maps.failures] == [str(path), "image 1"]
        with pytest.raises(InputError, match=rf"none of the 2 images .* \(.*{kind}\.jpg: .*\)"):
            maps.at_least_one()
    maps = store.maps(ImageSet([]), BACKBONE)
    assert (len(maps), maps.failures) == (0, [])
    with pytest.raises(InputError, match="none of the 0 images"):
        maps.at_least_one()
    assert store.maps(pictures(5), BACKBONE).computed == 5 - others


def test_no_maps_have_the_channels_of_those_that_would_be(tmp_path):
    maps = FeatureStore(tmp_path).maps(ImageSet([b"x"]), BACKBONE)
    assert (maps.depth, maps.values.dtype) == (5, np.float16)
    assert maps.pooled().shape == maps.in_memory().pooled().shape == (0, 5)


def test_maps_of_one_image_are_at_least_one(tmp_path):
    maps = FeatureStore(tmp_path).maps(ImageSet([b"x", pictures(1).images[0]]), BACKBONE)
    assert maps.at_least_one() is maps


@pytest.mark.parametrize("weight", [1e3, np.nan, np.inf])
def test_features_that_float16_cannot_hold_are_refused(tmp_path, weight):
    store = FeatureStore(tmp_path)
    with pytest.raises(DataError, match=r"tiny .*float16"):
        store.maps(pictures(3), backbone(weight=weight))
    assert store.maps(pictures(3), BACKBONE).computed == 3  # and nothing of it was kept


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        backbone(seed=1),
        dataclasses.replace(BACKBONE, name="other"),
        backbone(preprocessing=Preprocessing(16, mirror=True)),
        backbone(preprocessing=Preprocessing(16, "crop")),
    ],
    ids=["weights", "name", "mirror", "fit"],
)
def test_whatever_gives_other_maps_has_a_folder_of_its_own(tmp_path, photo_folder, other):
    store, images = FeatureStore(tmp_path), ImageSet(sorted(photo_folder.rglob("*.jpg"))[:3])
    store.maps(images, BACKBONE)
    maps = store.maps(images, other)
    assert maps.computed == 3
    check(maps, images, other)
    check(store.maps(images, BACKBONE), images)
    assert {path.name for path in tmp_path.iterdir() if path.name != "photos"} == {
        BACKBONE.folder_name,
        other.folder_name,
    }


def test_a_mirror_and_a_size_are_in_the_name_of_the_folder():
    assert BACKBONE.folder_name == "tiny-16-squash-seed0"
    assert backbone(preprocessing=Preprocessing(20, "crop", mirror=True)).folder_name == "tiny-20-crop-mirror-seed0"


# --- interruptions ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A store of the maps of six pictures."""
    root = tmp_path_factory.mktemp("full")
    FeatureStore(root).maps(pictures(6), BACKBONE)
    return root


@settings(deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    maps=st.one_of(st.none(), st.integers(0, 6 * ROW_BYTES)),
    records=st.one_of(st.none(), st.integers(0, 6 * RECORD_BYTES)),
)
def test_an_interruption_costs_time_and_nothing_else(full, tmp_path, maps, records):
    root = tmp_path / "copy"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(full, root)
    folder = root / BACKBONE.folder_name
    for name, length in (("values.f16", maps), ("maps", records)):
        if length is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes((folder / name).read_bytes()[:length])
    complete = min((maps or 0) // ROW_BYTES, (records or 0) // RECORD_BYTES)
    images = ImageSet(np.concatenate([pictures(2, seed=1).images, pictures(6).images]))
    found = FeatureStore(root).maps(images, BACKBONE, batch_size=3)
    assert found.computed == 8 - complete
    check(found, images)
    assert FeatureStore(root).maps(images, BACKBONE).computed == 0
    assert (folder / "values.f16").stat().st_size == 8 * ROW_BYTES
    assert (folder / "maps").stat().st_size == 8 * RECORD_BYTES


def test_a_call_that_fails_midway_keeps_what_it_had(tmp_path):
    dark = pictures(20).images // 16
    white = np.full((1, 16, 16, 3), 255, np.uint8)
    frozen = backbone(weight=10.0)  # 48 * 15 * 10 fits into float16, 48 * 255 * 10 does not
    with pytest.raises(DataError, match="float16 cannot hold"):
        FeatureStore(tmp_path).maps(ImageSet(np.concatenate([dark[:10], white, dark[10:]])), frozen, batch_size=2)
    maps = FeatureStore(tmp_path).maps(ImageSet(dark), frozen)
    assert maps.computed == 10
    check(maps, ImageSet(dark), frozen)


def test_maps_read_before_others_are_added_stay_right(tmp_path):
    store, first = FeatureStore(tmp_path), pictures(3)
    early = store.maps(first, BACKBONE)
    store.maps(pictures(40, seed=5), BACKBONE)
    check(early, first)


# --- at the same time -------------------------------------------------------------------------------------------------


def test_two_threads_at_once(tmp_path):
    sets = [pictures(40), ImageSet(np.concatenate([pictures(40).images[20:], pictures(20, seed=4).images]))]
    found = {}

    def work(number):
        found[number] = FeatureStore(tmp_path).maps(sets[number], BACKBONE, batch_size=3)

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(maps.computed for maps in found.values()) == 60
    for number in (0, 1):
        check(found[number], sets[number])


PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from ordhash.data.imageset import ImageSet
from ordhash.model.features import FeatureStore, FrozenBackbone
from ordhash.model.inference import Preprocessing
root, seed = Path(sys.argv[1]), int(sys.argv[2])
frozen = FrozenBackbone((root / "graph").read_bytes(), Preprocessing(16), "tiny", "seed0")
own = np.random.default_rng(seed).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
shared = np.random.default_rng(9).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
images = ImageSet(np.concatenate([own, shared]))
computed = 0
for stop in range(10, 121, 10):
    computed += FeatureStore(root).maps(images.subset(np.arange(stop)), frozen, batch_size=2).computed
print(computed)
"""


def test_two_processes_at_once(tmp_path):
    (tmp_path / "graph").write_bytes(BACKBONE.graph)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    running = [subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True) for seed in (1, 2)]
    computed = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sum(computed) == 180
    images = ImageSet(np.concatenate([pictures(60, seed).images for seed in (1, 2, 9)]))
    maps = FeatureStore(Path(tmp_path)).maps(images, BACKBONE)
    assert maps.computed == 0
    check(maps, images)
