import numpy as np
import pytest
import torch

from ordhash.learn.directions import canonical_directions
from ordhash.learn.shallow import ITQCCA


def views(n=200, depth=12, n_classes=4, several=False, seed=0):
    """Centred features and labels that hang together, and the labels as they were."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n, n_classes)) < 0.4 if several else np.eye(n_classes, dtype=bool)[np.arange(n) % n_classes]
    features = labels @ rng.normal(size=(n_classes, depth)) + rng.normal(scale=1.5, size=(n, depth))
    return features - features.mean(axis=0), labels - labels.mean(axis=0), labels


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("ridge", [1e-4, 1.0])
def test_directions_solve_the_generalised_eigenvalue_problem(several, ridge):
    x, y, _ = views(several=several)
    n, depth = x.shape
    directions, correlations = canonical_directions(x, y, ridge)
    cxx = x.T @ x / n
    cyy = y.T @ y / n
    cxy = x.T @ y / n
    right = cxx + ridge * np.mean(np.diag(cxx)) * np.eye(depth)
    left = cxy @ np.linalg.inv(cyy + ridge * np.mean(np.diag(cyy)) * np.eye(4)) @ cxy.T
    assert directions.shape == (12, 4)
    for k in range(4):
        residual = left @ directions[:, k] - correlations[k] ** 2 * (right @ directions[:, k])
        np.testing.assert_allclose(residual, 0, atol=1e-12)
    np.testing.assert_allclose(directions.T @ right @ directions, np.eye(4), atol=1e-10)
    # They are the largest: no other solution of the problem has a larger one.
    every = np.sort(np.linalg.eigvals(np.linalg.solve(right, left)).real)[::-1]
    np.testing.assert_allclose(correlations**2, every[:4], atol=1e-10)
    assert (np.diff(correlations) <= 0).all()
    assert correlations[0] < 1


def test_without_a_ridge_lambda_is_a_correlation():
    x, y, _ = views()
    directions, correlations = canonical_directions(x, y, 1e-10)
    for k in range(3):
        value = x @ directions[:, k]
        best = y @ np.linalg.lstsq(y, value, rcond=None)[0]
        assert np.corrcoef(value, best)[0, 1] == pytest.approx(correlations[k], abs=1e-5)
    assert correlations[3] < 1e-4  # the columns of labels sum to 1, so one of them says nothing new


def test_scale_does_not_matter():
    x, y, _ = views()
    one, other = canonical_directions(x, y, 0.1), canonical_directions(100 * x, y, 0.1)
    np.testing.assert_allclose(one[1], other[1], atol=1e-10)


@pytest.mark.parametrize("code_bits", [2, 3, 20])
def test_bits_turn_the_scaled_directions(code_bits):
    x, y, labels = views()
    features = (x + 5.0).astype(np.float32)
    head = ITQCCA().fit(features, labels, code_bits, 0)
    directions, correlations = canonical_directions(x, y, 1.0)
    scaled = directions * correlations
    weight = head.weight.numpy().astype(np.float64)
    # W^T W is the same however it was turned; directions without a correlation are columns of nothing.
    kept = scaled[:, : min(code_bits, 3)]
    np.testing.assert_allclose(weight.T @ weight, kept @ kept.T, atol=1e-4 * np.abs(kept @ kept.T).max())
    assert np.linalg.matrix_rank(weight, tol=1e-4 * np.abs(weight).max()) == min(code_bits, 3)
    np.testing.assert_allclose(head.values(torch.from_numpy(features)).mean(dim=0).numpy(), 0, atol=1e-4)


def test_more_bits_than_directions_tell_the_classes_apart():
    _, _, labels = views(n=400)
    rng = np.random.default_rng(1)
    features = (labels @ np.eye(4, 12) + 0.1 * rng.normal(size=(400, 12))).astype(np.float32)
    bits = ITQCCA().fit(features, labels, 16, 0).values(torch.from_numpy(features)).numpy() > 0
    # Images of one class agree, those of different ones do not.
    means = np.stack([bits[row].mean(axis=0) for row in labels.T])
    assert ((means < 0.1) | (means > 0.9)).mean() > 0.7
    assert len(np.unique(means > 0.5, axis=0)) == 4
