import numpy as np
import pytest
from clusters import clusters, values_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.errors import InputError
from ordhash.learn import rotation
from ordhash.learn.shallow import ITQ
from ordhash.learn.shallow.itq import itq_rotation


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


def rotation_by_definition(values, seed, turns):
    """Alternating minimisation as the paper has it: B = sgn(V R), then S O S'^T = B^T V and R = S' S^T."""
    k = values.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(k, k)))[0]
    errors = []
    for _ in range(turns):
        bits = np.where(values @ rotation > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(bits.T @ values)
        rotation = right.T @ left.T
        errors.append(((bits - values @ rotation) ** 2).sum())
    return rotation, errors


@settings(max_examples=30, deadline=None)
@given(n=st.integers(12, 200), k=st.integers(1, 12), seed=st.integers(0, 99))
def test_every_turn_lowers_the_error_and_the_last_one_is_returned(n, k, seed):
    values = np.random.default_rng(seed).normal(size=(n, k)) * np.arange(k, 0, -1)
    _, errors = rotation_by_definition(values, seed, rotation._TURNS)
    assert (np.diff(errors) <= 1e-9 * errors[0]).all()
    turn = itq_rotation(values.astype(np.float32), seed)
    found = ((np.where(values @ turn.T > 0, 1.0, -1.0) - values @ turn.T) ** 2).sum()
    assert found <= errors[-1] * (1 + 1e-4)
    np.testing.assert_allclose(turn @ turn.T, np.eye(k), atol=1e-5)


def test_a_cube_that_was_turned_is_turned_back():
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T
    turned = corners @ np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    errors = [quantisation_error(turned @ itq_rotation(turned.astype(np.float32), seed).T) for seed in range(8)]
    assert min(errors) < 1e-6


def test_too_few_images_or_features_are_refused():
    features, _ = clusters(n=10)
    with pytest.raises(InputError, match=r"ITQ needs at least 16 images and features; there are \(10, 64\)"):
        ITQ().fit(features, None, 16, 0)
    with pytest.raises(InputError, match="ITQ needs at least 80 images and features"):
        ITQ().fit(clusters()[0], None, 80, 0)
