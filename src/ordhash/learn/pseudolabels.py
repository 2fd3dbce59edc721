"""Pseudo labels: clusters of the photographs themselves, found in the graph of their nearest neighbours.

Images without labels still say which of them belong together. Features of a pretrained backbone do so well between
near neighbours and badly between far ones, so only nearest neighbours are believed, and what belongs together is
followed from neighbour to neighbour (diffusion; Zhou et al., NIPS 2003, and for retrieval Iscen et al., CVPR 2017):

    W_ij = max(0, cos(x_i - m, x_j - m))^3 for the k nearest of each image, made symmetric,    S = D^-1/2 W D^-1/2,
    F = (I - a S)^-1,

whose leading eigenvectors u_1, u_2, ... with eigenvalues l_1 > l_2 > ... give every image coordinates
u_d / sqrt(1 - a l_d), of length 1, so that their inner products are the diffused similarities. Clusters of these
coordinates are the labels. They are soft: an image between two clusters belongs to both, and by how much is worth
knowing. And they are of several scales, from few large clusters to many small ones, because it is unknown on which one
images will be called alike: together they rank better than any one of them (docs/experiments.md). A scale counts the
more the clearer its clusters are,

    w_s ~ c_s^8,    c_s = mean over images of (cosine with the nearest centroid - cosine with the next).

Where some images have labels, the others share in them by the same similarities.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import eigsh

from ordhash.errors import InputError

__all__ = ["PseudoLabels", "cluster_memberships", "diffusion_coordinates", "neighbour_graph", "pseudo_labels"]

Floats = npt.NDArray[np.float32]

_NEIGHBOURS = 15
_SHARPNESS = 3  # power of similarities: of the nearest neighbours, the nearer ones count more
_DIFFUSION = 0.95  # a
_DIMENSIONS = 128
_SCALES = (8, 16, 32, 64, 128)  # clusters
_LEAST_CLUSTER = 10  # images, on average
_PREFERENCE = 8  # power of clearness by which a scale counts
_TEMPERATURE = 0.1
_LEAST_MEMBERSHIP = 0.02


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Pseudo labels.

    Attributes:
        memberships: float32 (n, C) of length 1: inner products say how alike two images are, from 0 to 1.
        fineness: By which share the clearest scale is clearer than the coarsest; 0 where the coarsest is the clearest.
    """

    memberships: Floats
    fineness: float


def neighbour_graph(features: Floats, n_neighbours: int = _NEIGHBOURS) -> csr_matrix:
    """S, the symmetric graph of nearest neighbours by the cosine of centred features, normalised by degrees.

    Args:
        features: float32 (n, D).
        n_neighbours: k, at most n - 1.

    Returns:
        Sparse float32 (n, n), eigenvalues in -1..1.
    """
    n, k = len(features), min(n_neighbours, len(features) - 1)
    centred = _unit(features - features.mean(axis=0))
    cosines, found = faiss.knn(centred, centred, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    other = found != np.arange(n)[:, None]
    other[other.all(axis=1), -1] = False  # where copies push an image out of its neighbours, the last is left out
    weights = np.clip(cosines[other].reshape(n, k), 0, 1) ** _SHARPNESS
    graph = csr_matrix((weights.ravel(), (np.repeat(np.arange(n), k), found[other])), (n, n))
    graph = (graph + graph.T) / 2
    scale = diags(np.asarray(graph.sum(axis=1)).ravel().clip(1e-9) ** -0.5)
    return csr_matrix(scale @ graph @ scale, dtype=np.float32)


def diffusion_coordinates(graph: csr_matrix, dimensions: int = _DIMENSIONS) -> Floats:
    """Coordinates of the images, of length 1, whose inner products are similarities diffused over the graph.

    Args:
        graph: S, as ``neighbour_graph`` gives it, of n images.
        dimensions: Leading eigenvectors that are used, fewer where there are hardly more images.

    Returns:
        float32 (n, dimensions).
    """
    n = graph.shape[0]
    start = np.random.default_rng(0).random(n)  # else the solver draws its own
    values, vectors = eigsh(graph, k=min(dimensions, n - 2), which="LA", v0=start.astype(graph.dtype))
    return _unit(vectors / np.sqrt((1 - _DIFFUSION * values).clip(1e-3)))


def cluster_memberships(coordinates: Floats, n_clusters: int, seed: int = 0) -> tuple[Floats, float]:
    """How much every image belongs to clusters (spherical k-means), and how clear that is.

    Args:
        coordinates: float32 (n, d), of length 1.
        n_clusters: C, at most n.
        seed: Of the first centroids.

    Returns:
        Memberships float32 (n, C), of length 1: the softmax of the cosines with the centroids, small ones left out. The
        mean over images of how much nearer the nearest centroid is than the next, by their cosines.
    """
    # Centroids that start far apart (k-means++): drawn at random, some of many clusters hardly ever get one.
    apart = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    means = faiss.Kmeans(
        coordinates.shape[1], n_clusters, niter=30, nredo=4, seed=seed, spherical=True, min_points_per_centroid=1,
        init_method=apart,
    )  # fmt: skip
    means.train(coordinates)
    cosines = coordinates @ np.asarray(means.centroids).T
    first, second = np.sort(cosines, axis=1)[:, :-3:-1].T
    return _unit(_shares(cosines)), float((first - second).mean())


def pseudo_labels(features: Floats, seed: int = 0, *, given: npt.NDArray[np.bool_] | None = None) -> PseudoLabels:
    """Labels of images that have none: their clusters on several scales, and labels of their neighbours.

    There are 8, 16, 32, 64 and 128 clusters, as far as these have 10 images on average, or else one scale of as many
    as do. Features are those of the backbone's last map, averaged over locations: earlier maps know more of texture
    than of what is shown.

    Args:
        features: float32 (n, D), of at least 20 images.
        seed: Of the clusters.
        given: bool (n, classes), the labels of the images that have any. Such an image is learned by its labels alone;
            another belongs to the classes of the labelled images that it is like, the more the more it is like them,
            and for the rest to its clusters.

    Returns:
        Memberships in clusters, and in the classes given, which come last.

    Raises:
        InputError: All images look the same.

    >>> rng = np.random.default_rng(0)
    >>> centres = rng.normal(size=(8, 20)) * 5
    >>> features = (centres[np.arange(120) % 8] + rng.normal(size=(120, 20))).astype(np.float32)
    >>> found = pseudo_labels(features)
    >>> alike = found.memberships @ found.memberships.T
    >>> bool(alike[0, 8::8].mean() > 0.9), bool(alike[0, 1::8].mean() < 0.01)
    (True, True)
    """
    n = len(features)
    graph = neighbour_graph(features)
    if not graph.count_nonzero():
        raise InputError("all images look the same to the backbone; give images that differ")
    coordinates = diffusion_coordinates(graph)
    scales = [scale for scale in _SCALES if scale * _LEAST_CLUSTER <= n] or [n // _LEAST_CLUSTER]
    found = [cluster_memberships(coordinates, scale, seed) for scale in scales]
    clearness = np.array([clear for _, clear in found]).clip(1e-3)  # that of few images can be about nothing
    weights = (clearness / clearness.max()) ** _PREFERENCE
    weights = np.sqrt(weights / weights.sum()).astype(np.float32)
    clusters = np.concatenate([weight * members for weight, (members, _) in zip(weights, found, strict=True)], axis=1)
    fineness = float(clearness.max() / clearness[0]) - 1
    if given is None:
        return PseudoLabels(clusters, fineness)
    classes, trust = _spread(coordinates, given)
    return PseudoLabels(np.concatenate([np.sqrt(1 - trust**2) * clusters, trust * classes], axis=1), fineness)


def _spread(coordinates: Floats, given: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """How much every image belongs to classes, of length 1, and how much that is to be believed, 0..1 (n, 1).

    An image is as like a class as the most similar of its labelled images.
    """
    known = np.flatnonzero(given.any(axis=1))
    similarities = (coordinates @ coordinates[known].T).clip(0, 1)
    alike = np.zeros(given.shape, np.float32)
    for c, members in enumerate(given[known].T):
        if members.any():
            alike[:, c] = similarities[:, members].max(axis=1)
    shares, trust = _shares(alike), alike.max(axis=1, keepdims=True)
    shares[known], trust[known] = given[known], 1
    return _unit(shares), trust


def _shares(similarities: Floats) -> Floats:
    """Softmax of every row, small shares left out."""
    shares: Floats = np.exp((similarities - similarities.max(axis=1, keepdims=True)) / _TEMPERATURE)
    shares /= shares.sum(axis=1, keepdims=True)
    shares[shares < np.minimum(_LEAST_MEMBERSHIP, shares.max(axis=1, keepdims=True))] = 0
    return shares


def _unit(vectors: npt.NDArray[np.floating]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / lengths.clip(1e-9), dtype=np.float32)
