import numpy as np
import pytest
import torch
from clusters import clusters, scores_of, values_of

from ordhash.codes.codes import OrdinalCodes
from ordhash.errors import InputError
from ordhash.learn.export import export_head
from ordhash.learn.shallow import SHALLOW_METHODS, LinearHead
from ordhash.learn.validation import leave_one_out_map
from ordhash.model.inference import open_session

SUPERVISED = [name for name, method in SHALLOW_METHODS.items() if method.supervision == "labels"]


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


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "sdh" else []) for name in SHALLOW_METHODS]
)
def test_a_head_depends_on_the_seed_alone(name):
    features, labels = clusters()
    method = SHALLOW_METHODS[name]()
    one, again, other = (values_of(method.fit(features, labels, 16, seed), features) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert np.allclose(one, other, atol=1e-2) == (name == "sh")  # which draws nothing


def quality_of(name, features, labels, code_bits=16):
    """Mean average precision of images that were not learned from, each among the others; mean of three seeds."""
    half = len(features) // 2
    method = SHALLOW_METHODS[name]()
    heads = [method.fit(features[:half], labels[:half], code_bits, seed) for seed in range(3)]
    codes = [OrdinalCodes.from_scores(scores_of(head, features[half:])) for head in heads]
    return np.mean([leave_one_out_map(code, labels[half:]) for code in codes])


@pytest.mark.slow  # fits every method
def test_methods_without_labels_beat_chance_directions_on_clustered_features():
    features, labels = clusters(n=600)
    quality = {name: quality_of(name, features, labels) for name in SHALLOW_METHODS}
    assert quality["sh"] > quality["lsh"] + 0.02, quality
    assert quality["itq"] > quality["lsh"] + 0.05, quality


@pytest.mark.slow  # fits every method
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
    session = open_session(export_head(head, 20))
    scores, attention = session.run(["scores", "attention"], {"features": maps})
    with torch.no_grad():
        expected = head(torch.from_numpy(maps))
    np.testing.assert_allclose(scores, expected.scores.numpy(), rtol=1e-4, atol=1e-4 * np.abs(scores).max())
    np.testing.assert_allclose(attention, expected.attention.numpy(), rtol=1e-6)


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
    one[:, 0] = True
    with pytest.raises(InputError, match="all 20 images have the same"):
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
