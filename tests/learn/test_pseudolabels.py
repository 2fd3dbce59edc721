"""Neighbour graph, diffusion and clusters against slow, plain versions, and on clusters that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordhash.errors import InputError
from ordhash.learn.pseudolabels import cluster_memberships, diffusion_coordinates, neighbour_graph, pseudo_labels


def blobs(n_clusters, size, spread=1.0, dimensions=30, seed=0):
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(n_clusters), size)
    centres = rng.normal(size=(n_clusters, dimensions)) * 4
    return (centres[which] + spread * rng.normal(size=(len(which), dimensions))).astype(np.float32), which


def plain_graph(features, k):
    x = features.astype(np.float64) - features.astype(np.float64).mean(axis=0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    cosines = x @ x.T
    weights = np.zeros_like(cosines)
    for row, values in enumerate(cosines):
        for other in sorted((j for j in range(len(x)) if j != row), key=lambda j: -values[j])[:k]:
            weights[row, other] = max(0.0, values[other]) ** 3
    weights = (weights + weights.T) / 2
    degrees = weights.sum(axis=1)
    return weights / np.sqrt(degrees[:, None] * degrees[None])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 6), st.integers(3, 8))
def test_the_graph_is_what_its_formula_says(seed, n_clusters, k):
    features, _ = blobs(n_clusters, 8, seed=seed)
    graph = neighbour_graph(features, k).toarray()
    np.testing.assert_allclose(graph, plain_graph(features, k), atol=2e-5)
    np.testing.assert_array_equal(graph.diagonal(), 0)


def test_copies_of_an_image_are_neighbours_and_not_itself():
    features = np.repeat(blobs(3, 2)[0], 6, axis=0)  # six copies of each, more than there are neighbours
    graph = neighbour_graph(features, 4)
    np.testing.assert_array_equal(graph.diagonal(), 0)
    assert (np.diff(graph.indptr) >= 4).all()


def test_coordinates_are_diffused_similarities():
    features, which = blobs(4, 15, spread=3.0)
    graph = neighbour_graph(features, 8)
    n = len(features)
    diffused = np.linalg.inv(np.eye(n) - 0.95 * graph.toarray().astype(np.float64))
    scale = np.sqrt(diffused.diagonal())
    coordinates = diffusion_coordinates(graph, n - 2)  # all but the last two dimensions, which weigh least
    assert coordinates.dtype == np.float32
    away = np.abs(coordinates @ coordinates.T - diffused / np.outer(scale, scale))
    assert (away.max() < 0.2, away.mean() < 0.01) == (True, True)
    alike = which[:, None] == which
    few = diffusion_coordinates(graph, 5)
    assert (few @ few.T)[alike].mean() > 0.6 > 0.2 > (few @ few.T)[~alike].mean()


def test_memberships_are_soft_and_of_length_one():
    features, which = blobs(5, 40)
    coordinates = diffusion_coordinates(neighbour_graph(features), 10)
    members, clear = cluster_memberships(coordinates, 5)
    np.testing.assert_allclose(np.linalg.norm(members, axis=1), 1, atol=1e-6)
    assert (members >= 0).all()
    assert len({int(column) for column in members.argmax(axis=1)}) == 5
    assert all(len(set(members.argmax(axis=1)[which == one].tolist())) == 1 for one in range(5))
    assert clear > max(cluster_memberships(coordinates, number)[1] for number in (2, 20))
    assert np.count_nonzero(members) < 1.1 * len(members)  # nothing is between these clusters
    features, _ = blobs(5, 40, spread=8.0)
    members, _ = cluster_memberships(diffusion_coordinates(neighbour_graph(features), 10), 5)
    assert np.count_nonzero(members) > 1.3 * len(members)


@pytest.mark.parametrize(("n_clusters", "columns"), [(2, 4), (8, 24), (16, 56), (32, 120)])
def test_labels_find_the_clusters_and_their_scale(n_clusters, columns):
    features, which = blobs(n_clusters, 24)
    found = pseudo_labels(features)
    labels = found.memberships
    assert labels.dtype == np.float32
    assert labels.shape == (24 * n_clusters, columns)
    np.testing.assert_allclose(np.linalg.norm(labels, axis=1), 1, atol=1e-6)
    alike = labels @ labels.T
    same = (which[:, None] == which) & ~np.eye(len(which), dtype=bool)
    assert alike[same].mean() > 0.4
    assert alike[~same & ~np.eye(len(which), dtype=bool)].mean() < 0.1
    assert (found.fineness > 0.1) == (n_clusters > 8)


def test_scales_count_by_how_clear_they_are():
    features, _ = blobs(16, 24, spread=2.0)
    coordinates = diffusion_coordinates(neighbour_graph(features))
    found = [cluster_memberships(coordinates, number) for number in (8, 16, 32)]
    clear = np.array([one[1] for one in found])
    weights = clear**8 / (clear**8).sum()
    wanted = sum(weight * members @ members.T for weight, (members, _) in zip(weights, found, strict=True))
    labels = pseudo_labels(features)
    np.testing.assert_allclose(labels.memberships @ labels.memberships.T, wanted, atol=1e-5)
    assert labels.fineness == pytest.approx(clear.max() / clear[0] - 1)


def test_labels_depend_on_the_seed_alone():
    features, _ = blobs(6, 20, spread=2.0)
    first, again = pseudo_labels(features, 3), pseudo_labels(features, 3)
    np.testing.assert_array_equal(first.memberships, again.memberships)
    assert first.fineness == again.fineness


def test_pictures_that_are_all_alike_say_nothing():
    with pytest.raises(InputError, match="look the same"):
        pseudo_labels(np.ones((20, 4), np.float32))


def test_labels_of_some_are_shared_by_their_neighbours():
    features, which = blobs(5, 30)
    given = np.zeros((len(which), 6), dtype=bool)  # the last class has no image
    for one in range(4):  # and the last cluster no label
        given[np.flatnonzero(which == one)[:2], one] = True
    known = given.any(axis=1)
    labels = pseudo_labels(features, given=given).memberships
    clusters = pseudo_labels(features).memberships
    assert labels.dtype == np.float32
    assert labels.shape == (len(which), clusters.shape[1] + 6)
    np.testing.assert_allclose(np.linalg.norm(labels, axis=1), 1, atol=1e-6)
    shares = labels[:, -6:]
    np.testing.assert_array_equal(shares[known], given[known])  # by its labels alone
    assert not labels[known, :-6].any()
    near = ~known & (which < 4)
    np.testing.assert_array_equal(shares[near].argmax(axis=1), which[near])
    assert shares[near].max(axis=1).min() > 0.2
    assert shares[which == 4].max() < 0.1
    np.testing.assert_allclose(labels[which == 4, :-6], clusters[which == 4], atol=0.1)


def test_an_image_with_two_labels_belongs_to_both():
    features, which = blobs(3, 30)
    given = np.zeros((len(which), 2), dtype=bool)
    given[0] = True
    labels = pseudo_labels(features, given=given).memberships
    np.testing.assert_allclose(labels[0, -2:], 0.5**0.5, atol=1e-6)
    np.testing.assert_allclose(labels[1:, -2], labels[1:, -1], atol=1e-6)
