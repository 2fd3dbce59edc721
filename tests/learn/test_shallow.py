import dataclasses
import re

import numpy as np
import pytest
import torch

from ordhash.codes.codes import CodeSpec, OrdinalCodes
from ordhash.data import ImageSet, read_folder
from ordhash.errors import InputError
from ordhash.learn.backbones import build_backbone
from ordhash.learn.config import DOHConfig
from ordhash.learn.export import export_head
from ordhash.learn.shallow import ITQ, LSH, SDH, SHALLOW_METHODS, LinearHead, find_shallow_method, fit_shallow
from ordhash.learn.validation import calibrations, leave_one_out_map
from ordhash.model.encoder import Encoder
from ordhash.model.inference import ImageInput, open_session

TINY = DOHConfig(code_bits=8, arity=4, backbone="test_resnet", weights=None, image_size=64)


def clusters(n=300, n_classes=6, depth=64, seed=0):
    """Rows of length 1 around class centres: few strong directions, all of them correlated with others, and noise."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes, 12)) @ rng.normal(size=(12, depth))
    classes = rng.integers(0, n_classes, n)
    features = centres[classes] + rng.normal(scale=5, size=(n, depth)) + rng.normal(scale=4, size=depth)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features.astype(np.float32), np.eye(n_classes, dtype=bool)[classes]


def values_of(head, features):
    """u of every bit, (n, code_bits)."""
    scores = scores_of(head, features)
    return scores[:, :, 1] - scores[:, :, 0]


def scores_of(head, features):
    with torch.no_grad():
        return head(torch.from_numpy(features)[:, :, None, None]).scores.numpy()


@pytest.mark.parametrize("name", SHALLOW_METHODS)
@pytest.mark.parametrize("code_bits", [1, 8, 48])
def test_a_head_has_a_value_for_every_bit_and_nothing_to_train(name, code_bits):
    features, labels = clusters()
    before = features.copy()
    head = SHALLOW_METHODS[name]().fit(features, labels, code_bits, 0)
    u = values_of(head, features)
    assert u.shape == (300, code_bits)
    assert u.dtype == np.float32
    assert np.isfinite(u).all()
    assert not list(head.parameters())
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize("name", ["lsh", "itq"])
def test_hyperplanes_go_through_the_mean(name):
    features, _ = clusters()
    head = SHALLOW_METHODS[name]().fit(features, None, 48, 0)
    np.testing.assert_allclose(values_of(head, features).mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("name", SHALLOW_METHODS)
def test_a_head_depends_on_the_seed_alone(name):
    features, labels = clusters()
    method = SHALLOW_METHODS[name]()
    one, again, other = (values_of(method.fit(features, labels, 16, seed), features) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert np.allclose(one, other, atol=1e-2) == (name == "sh")  # which draws nothing


def test_lsh_draws_directions_that_know_nothing_of_the_features():
    features, _ = clusters()
    weight = LSH().fit(features, None, 2000, 0).weight.numpy()
    assert abs(weight.mean()) < 0.02
    np.testing.assert_allclose(np.cov(weight.T), np.eye(64), atol=0.15)


def principal_components(features, k):
    centred = (features - features.mean(axis=0)).astype(np.float64)
    return np.linalg.svd(centred, full_matrices=False)[2][:k]


def quantisation_error(u):
    return float(((np.where(u > 0, 1.0, -1.0) - u / np.sqrt((u**2).mean())) ** 2).mean())


def test_itq_rotates_the_principal_components():
    features, _ = clusters()
    weight = ITQ().fit(features, None, 16, 0).weight.numpy()
    axes = principal_components(features, 16)
    rotation = weight @ axes.T  # 16 x 16
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(16), atol=1e-4)
    np.testing.assert_allclose(rotation @ axes, weight, atol=1e-4)  # it stays in their space


def test_itq_lowers_the_quantisation_error():
    features, _ = clusters()
    centred = features - features.mean(axis=0)
    axes = principal_components(features, 16)
    learned = quantisation_error(values_of(ITQ().fit(features, None, 16, 0), features))
    assert learned < 0.95 * quantisation_error(centred @ axes.T)
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
        assert learned < quantisation_error(centred @ axes.T @ turn)


def quality_of(name, features, labels, code_bits=16):
    """Mean average precision of images that were not learned from, each among the others; mean of three seeds."""
    half = len(features) // 2
    method = SHALLOW_METHODS[name]()
    heads = [method.fit(features[:half], labels[:half], code_bits, seed) for seed in range(3)]
    codes = [OrdinalCodes.from_scores(scores_of(head, features[half:])) for head in heads]
    return np.mean([leave_one_out_map(code, labels[half:]) for code in codes])


def test_methods_without_labels_beat_chance_directions_on_clustered_features():
    features, labels = clusters(n=600)
    quality = {name: quality_of(name, features, labels) for name in SHALLOW_METHODS}
    assert quality["sh"] > quality["lsh"] + 0.02, quality
    assert quality["itq"] > quality["lsh"] + 0.05, quality


def test_methods_with_labels_see_past_strong_directions_of_noise():
    features, labels = clusters(n=600)
    rng = np.random.default_rng(1)
    features += (rng.normal(size=(600, 8)) @ rng.normal(scale=0.1, size=(8, 64))).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    quality = {name: quality_of(name, features, labels) for name in SHALLOW_METHODS}
    assert quality["itq-cca"] > quality["itq"] + 0.2, quality
    assert quality["sdh"] > quality["itq"] + 0.2, quality


@pytest.mark.parametrize("name", SHALLOW_METHODS)
def test_the_exported_head_says_the_same(name):
    features, labels = clusters(depth=16)
    head = SHALLOW_METHODS[name]().fit(features, labels, 12, 0)
    maps = np.random.default_rng(1).normal(size=(5, 20, 2, 3)).astype(np.float32)  # four channels more than it knows
    session = open_session(export_head(head, (20, 2, 3)))
    scores, attention = session.run(["scores", "attention"], {"features": maps})
    with torch.no_grad():
        expected = head(torch.from_numpy(maps))
    np.testing.assert_allclose(scores, expected.scores.numpy(), rtol=1e-4, atol=1e-4 * np.abs(scores).max())
    np.testing.assert_allclose(attention, expected.attention.numpy(), rtol=1e-6)


SUPERVISED = [name for name, method in SHALLOW_METHODS.items() if method.supervision == "labels"]


def test_methods_that_learn_from_labels():
    assert SUPERVISED == ["itq-cca", "sdh"]


@pytest.mark.parametrize("name", SUPERVISED)
def test_labels_that_are_missing_or_of_one_class_are_refused(name):
    features, labels = clusters(n=20)
    method = SHALLOW_METHODS[name]()
    with pytest.raises(InputError, match=f"{name} learns from labels and the images have none"):
        method.fit(features, None, 8, 0)
    one = np.zeros_like(labels)
    one[:, 2] = True
    with pytest.raises(InputError, match="images of at least two classes; there are 20 images of 1 class"):
        method.fit(features, one, 8, 0)


@pytest.mark.parametrize("name", ["sh", "itq-cca", "sdh"])
def test_images_that_look_alike_are_refused(name):
    features, labels = clusters(n=20)
    with pytest.raises(InputError, match=f"{name} needs two images that look different.* none do of the 20"):
        SHALLOW_METHODS[name]().fit(np.repeat(features[:1], 20, axis=0), labels, 8, 0)


def test_one_image_is_refused():
    with pytest.raises(InputError, match="sh needs two images"):
        SHALLOW_METHODS["sh"]().fit(clusters(n=1)[0], None, 8, 0)


@pytest.mark.parametrize("name", ["sh", "itq-cca", "sdh"])
def test_few_images_suffice_for_many_bits(name):
    features, _ = clusters(n=4)
    labels = np.array([[1, 0], [0, 1], [1, 0], [1, 1]], dtype=bool)
    assert np.isfinite(values_of(SHALLOW_METHODS[name]().fit(features, labels, 48, 0), features)).all()


@pytest.mark.parametrize("name", SUPERVISED)
def test_classes_without_images_change_nothing(name):
    features, labels = clusters(n=40)
    wide = np.zeros((40, 20), dtype=bool)
    wide[:, 3:9] = labels
    one, other = (SHALLOW_METHODS[name]().fit(features, matrix, 12, 0) for matrix in (labels, wide))
    np.testing.assert_array_equal(values_of(one, features), values_of(other, features))


def test_too_few_images_or_features_are_refused():
    features, _ = clusters(n=10)
    with pytest.raises(InputError, match=r"ITQ needs at least 16 images and features; there are \(10, 64\)"):
        ITQ().fit(features, None, 16, 0)
    with pytest.raises(InputError, match="ITQ needs at least 80 images and features"):
        ITQ().fit(clusters()[0], None, 80, 0)


def test_the_head_is_the_sign_of_a_projection_of_the_average():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(20, 7, 2, 3)).astype(np.float32)
    weight, bias = rng.normal(size=(9, 7)).astype(np.float32), rng.normal(size=9).astype(np.float32)
    with torch.no_grad():
        output = LinearHead(weight, bias)(torch.from_numpy(maps))
    signs = np.zeros((20, 9), dtype=int)
    u = np.zeros((20, 9))
    for i in range(20):
        average = sum(maps[i, :, y, x].astype(np.float64) for y in range(2) for x in range(3)) / 6
        average /= np.sqrt((average**2).sum())
        for bit in range(9):
            u[i, bit] = (weight[bit] * average).sum() + bias[bit]
            signs[i, bit] = u[i, bit] > 0
    assert output.scores.shape == (20, 9, 2)
    np.testing.assert_array_equal(OrdinalCodes.from_scores(output.scores.numpy()).symbols, signs)
    np.testing.assert_allclose((output.scores[:, :, 1] - output.scores[:, :, 0]).numpy(), u, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output.attention.numpy(), np.full((20, 2, 3), 1 / 6), rtol=1e-6)
    assert output.class_logits == ()


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

    form = ImageInput(64)
    backbone = build_backbone("test_resnet", weights=None, image_size=64, seed=0)
    with torch.no_grad():
        maps = backbone(torch.from_numpy(np.stack([form.read(images, row) for row in range(18)]))).numpy()
    pooled = maps.mean(axis=(2, 3))
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    expected = scores_of(SHALLOW_METHODS[method]().fit(pooled, images.labels, 8, 2), pooled)
    if method != "itq":  # which amplifies the rounding of cached features in its weakest directions
        np.testing.assert_allclose(encoded.scores, expected, atol=2e-2 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["lsh", "itq-cca"])
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
    with pytest.raises(InputError, match="the images have 1 classes"):
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
