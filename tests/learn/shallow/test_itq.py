import numpy as np
import pytest
from clusters import clusters, values_of

from ordhash.errors import InputError
from ordhash.learn.shallow import ITQ


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


def test_too_few_images_or_features_are_refused():
    features, _ = clusters(n=10)
    with pytest.raises(InputError, match=r"ITQ needs at least 16 images and features; there are \(10, 64\)"):
        ITQ().fit(features, None, 16, 0)
    with pytest.raises(InputError, match="ITQ needs at least 80 images and features"):
        ITQ().fit(clusters()[0], None, 80, 0)
