import dataclasses
import re

import numpy as np
import pytest
import torch
from clusters import scores_of

from ordhash.codes.codes import CodeSpec
from ordhash.data import ImageSet, read_folder
from ordhash.errors import InputError
from ordhash.learn.backbones import build_backbone
from ordhash.learn.config import DOHConfig
from ordhash.learn.shallow import SDH, SHALLOW_METHODS, find_shallow_method, fit_shallow
from ordhash.learn.validation import calibrations
from ordhash.model.encoder import Encoder
from ordhash.model.inference import Preprocessing

TINY = DOHConfig(code_bits=8, arity=4, backbone="test_resnet", weights=None, image_size=64, fit="squash")
SUPERVISED = [name for name, method in SHALLOW_METHODS.items() if method.supervision == "labels"]


@pytest.mark.parametrize("method", SHALLOW_METHODS)
def test_a_shallow_method_writes_a_model_that_an_encoder_reads(method, photo_folder, tmp_path, cache):
    images = read_folder(photo_folder)
    path = fit_shallow(method, images, TINY, out=tmp_path / "run", seed=2, protocol="fruit", cache=cache).model
    assert path == tmp_path / "run" / "model.onnx"
    encoder = Encoder(path)
    assert encoder.spec == CodeSpec(8, 2)
    assert encoder.info.method == {"name": method, **dataclasses.asdict(SHALLOW_METHODS[method]())}
    assert encoder.info.protocol == "fruit"
    assert encoder.info.class_names == ("apple", "banana", "carrot")
    encoded = encoder.run(images)
    assert encoded.scores.shape == (18, 8, 2)
    np.testing.assert_allclose(encoded.attention, 1 / 4, rtol=1e-6)

    preprocessing = Preprocessing(64)
    backbone = build_backbone("test_resnet", weights=None, image_size=64, seed=0)
    with torch.no_grad():
        maps = backbone(torch.from_numpy(np.stack([preprocessing.read(images, row) for row in range(18)]))).numpy()
    pooled = maps.mean(axis=(2, 3))
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    expected = scores_of(SHALLOW_METHODS[method]().fit(pooled, images.labels, 8, 2), pooled)
    if method != "itq":  # which amplifies the rounding of cached features in its weakest directions
        np.testing.assert_allclose(encoded.scores, expected, atol=2e-2 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["lsh", pytest.param("itq-cca", marks=pytest.mark.slow)])
def test_methods_without_labels_use_the_last_map_alone(name, photo_folder, tmp_path, cache):
    images = read_folder(photo_folder)
    plain = fit_shallow(name, images, TINY, out=tmp_path / "a", cache=cache).model
    joined = fit_shallow(name, images, dataclasses.replace(TINY, stages=2), out=tmp_path / "b", cache=cache).model
    same = np.allclose(Encoder(joined).scores(images), Encoder(plain).scores(images), atol=1e-5)
    assert same == (name == "lsh")


def test_methods_without_labels_learn_nothing_from_any(photo_folder, tmp_path, cache):
    images = read_folder(photo_folder)
    unlabelled = ImageSet(images.images, images.keys)
    path = fit_shallow("lsh", unlabelled, TINY, out=tmp_path / "a", cache=cache).model
    other = fit_shallow("lsh", images, TINY, out=tmp_path / "b", cache=cache).model
    np.testing.assert_array_equal(Encoder(path).scores(images), Encoder(other).scores(images))
    assert Encoder(path).info.calibration is None
    # They calibrate, though: scores differ a little from those of another runtime, likelihoods hardly.
    measured, expected = Encoder(other).info, calibrations(Encoder(other).scores(images), images.labels)
    assert measured.calibration.pairs == measured.asymmetric_calibration.pairs == 18 * 17
    near = np.arange(9)
    found = measured.calibration.likelihood(near)
    np.testing.assert_allclose(found, expected[0].likelihood(near), atol=0.1)
    assert found[0] > found[-1]


@pytest.mark.slow  # fits several times
@pytest.mark.parametrize("name", SUPERVISED)
def test_supervised_methods_see_the_images_with_labels(name, photo_folder, bad_files, tmp_path, cache):
    images = read_folder(photo_folder)
    sources = [*images.images, *bad_files.values()]
    labels = np.concatenate([images.labels, np.eye(3, dtype=bool)[[0, 1, 2, 0]]])
    labels[[0, 7]] = False
    mixed = ImageSet(sources, np.arange(22), labels, images.class_names)
    result = fit_shallow(name, mixed, TINY, out=tmp_path / "a", cache=cache)
    assert len(result.failures) == 4
    assert Encoder(result.model).info.training["images"] == 16
    rows = [row for row in range(18) if row not in (0, 7)]
    other = fit_shallow(name, images.subset(rows), TINY, out=tmp_path / "b", cache=cache).model
    np.testing.assert_array_equal(Encoder(result.model).scores(images), Encoder(other).scores(images))


@pytest.mark.parametrize("name", SUPERVISED)
def test_supervised_methods_refuse_images_without_labels_before_looking_at_them(name, photo_folder, tmp_path):
    images = read_folder(photo_folder)
    with pytest.raises(InputError, match="the images have no labels; give one sub-folder per class"):
        fit_shallow(name, ImageSet(images.images, images.keys), TINY, out=tmp_path / "run", cache=tmp_path / "cache")
    with pytest.raises(InputError, match="at least two"):
        fit_shallow(name, images.subset(range(6)), TINY, out=tmp_path / "run", cache=tmp_path / "cache")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


def test_a_method_with_settings_of_its_own(photo_folder, tmp_path, cache):
    method = SDH(anchors=5, turns=2)
    info = Encoder(fit_shallow(method, read_folder(photo_folder), TINY, out=tmp_path / "run", cache=cache).model).info
    assert info.method["name"] == "sdh"
    assert (info.method["anchors"], info.method["turns"], info.method["class_ridge"]) == (5, 2, 1.0)


@pytest.mark.parametrize("name", SHALLOW_METHODS)
def test_a_method_explains_itself(name):
    method = find_shallow_method(name)
    assert method.name == name
    assert re.search(r", [A-Z]+ (19|20)\d\d$", method.citation)
    for setting in dataclasses.fields(method):
        assert f"{setting.name}: " in type(method).__doc__
        with pytest.raises(InputError, match=f"{setting.name} is 0; "):
            dataclasses.replace(method, **{setting.name: 0})
    assert find_shallow_method(method) is method


def test_not_one_usable_image_is_refused(bad_files, tmp_path, cache):
    with pytest.raises(InputError, match=r"none of the 4 images can be used \(.*\); give images that can be read"):
        fit_shallow("lsh", ImageSet(list(bad_files.values())), TINY, out=tmp_path / "run", cache=cache)
    assert not (tmp_path / "run").exists()


def test_an_unknown_method_is_refused(photo_folder, tmp_path):
    with pytest.raises(InputError, match="there is no shallow method 'pca'; allowed are lsh, "):
        fit_shallow("pca", read_folder(photo_folder), TINY, out=tmp_path)
    with pytest.raises(InputError, match="did you mean lsh"):
        find_shallow_method("lhs")
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize(("name", "calibrates"), [("lsh", 17), ("sdh", 5)])
def test_methods_that_learn_from_labels_are_calibrated_on_images_that_they_did_not_see(
    name, calibrates, photo_folder, tmp_path, cache
):
    images = read_folder(photo_folder)
    info = Encoder(fit_shallow(name, images, TINY, out=tmp_path / "run", cache=cache).model).info
    assert info.calibration.pairs == (calibrates + 1) * calibrates
    assert max(info.calibration.likelihoods) < 1


def test_a_shallow_model_knows_what_is_unlike_its_images(tmp_path, cache):
    rng, classes = np.random.default_rng(0), np.arange(240) % 3
    pictures = np.eye(3)[classes][:, None, None] * 150 + rng.normal(50, 20, (240, 64, 64, 3))
    images = ImageSet(
        pictures.clip(0, 255).astype(np.uint8), labels=np.eye(3, dtype=bool)[classes], class_names=tuple("abc")
    )
    encoder = Encoder(fit_shallow("lsh", images, TINY, out=tmp_path / "run", cache=cache).model)
    assert encoder.info.familiarity.images == 120
    assert encoder.run(images).unlike.mean() < 0.05
