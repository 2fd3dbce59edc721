"""Pseudo labels: clusters of unlabelled photographs in their nearest-neighbour graph.

Features of a pretrained backbone measure similarity well between near neighbours and badly between distant images. So
only the nearest neighbours are used, and similarity spreads from neighbour to neighbour (diffusion; Zhou et al., NIPS
2003, and for retrieval Iscen et al., CVPR 2017):

    W_ij = max(0, cos(x_i - m, x_j - m))^3 for the k nearest of each image, made symmetric,    S = D^-1/2 W D^-1/2,
    F = (I - a S)^-1,

whose leading eigenvectors u_1, u_2, ... with eigenvalues l_1 > l_2 > ... give every image the coordinates
u_d / sqrt(1 - a l_d), normalised to length 1, so that their inner products are the diffused similarities. Clusters of
these coordinates are the labels. They are soft: an image between two clusters belongs to both, in proportion. They
have several scales, from few large clusters to many small ones, because it is unknown at which scale images will count
as similar; together the scales rank better than any single one (docs/experiments.md). Scales with clearer clusters get
more weight,

    w_s ~ c_s^8,    c_s = mean over images of (cosine with the nearest centroid - cosine with the next).

If some images have labels, these spread to the others by the same similarities.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import eigsh

from ordhash.errors import InputError
from ordhash.support import unit_rows

__all__ = ["PseudoLabels", "cluster_memberships", "diffusion_coordinates", "neighbour_graph", "pseudo_labels"]

Floats = npt.NDArray[np.float32]

_NEIGHBOURS = 15
_SHARPNESS = 3  # power of the cosines: nearer neighbours count more
_DIFFUSION = 0.95  # a
_DIMENSIONS = 128
_SCALES = (8, 16, 32, 64, 128)  # clusters
_LEAST_CLUSTER = 10  # mean images per cluster
_PREFERENCE = 8  # power of a scale's clearness in its weight
_TEMPERATURE = 0.1
_LEAST_MEMBERSHIP = 0.02


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Pseudo labels.

    Attributes:
        memberships: float32 (n, C), rows of length 1; inner products are similarities of two images, from 0 to 1.
        fineness: How much clearer the clearest scale is than the coarsest, relatively; 0 if the coarsest is clearest.
    """

    memberships: Floats
    fineness: float


def neighbour_graph(features: Floats, n_neighbours: int = _NEIGHBOURS) -> csr_matrix:
    """S, the symmetric, degree-normalised nearest-neighbour graph of centred features by cosine.

    Args:
        features: float32 (n, D).
        n_neighbours: k, at most n - 1.

    Returns:
        Sparse float32 (n, n), eigenvalues in -1..1.
    """
    n, k = len(features), min(n_neighbours, len(features) - 1)
    centred = unit_rows(features - features.mean(axis=0))
    cosines, found = faiss.knn(centred, centred, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    other = found != np.arange(n)[:, None]
    other[other.all(axis=1), -1] = False  # if duplicates displace the image itself, drop the last neighbour
    weights = np.clip(cosines[other].reshape(n, k), 0, 1) ** _SHARPNESS
    graph = csr_matrix((weights.ravel(), (np.repeat(np.arange(n), k), found[other])), (n, n))
    graph = (graph + graph.T) / 2
    scale = diags(np.asarray(graph.sum(axis=1)).ravel().clip(1e-9) ** -0.5)
    return csr_matrix(scale @ graph @ scale, dtype=np.float32)


def diffusion_coordinates(graph: csr_matrix, dimensions: int = _DIMENSIONS) -> Floats:
    """Unit vectors whose inner products are the similarities diffused over the graph.

    Args:
        graph: S from ``neighbour_graph``, of n images.
        dimensions: Number of leading eigenvectors; fewer for fewer than ``dimensions + 2`` images.

    Returns:
        float32 (n, dimensions).
    """
    n = graph.shape[0]
    start = np.random.default_rng(0).random(n)  # otherwise the solver draws a random start
    values, vectors = eigsh(graph, k=min(dimensions, n - 2), which="LA", v0=start.astype(graph.dtype))
    return unit_rows(vectors / np.sqrt((1 - _DIFFUSION * values).clip(1e-3)))


def cluster_memberships(coordinates: Floats, n_clusters: int, seed: int = 0) -> tuple[Floats, float]:
    """Soft memberships in clusters (spherical k-means), and how clear the clusters are.

    Args:
        coordinates: float32 (n, d), of length 1.
        n_clusters: C, at most n.
        seed: Seed of the initial centroids.

    Returns:
        Memberships float32 (n, C), rows of length 1: the softmax of the cosines with the centroids, without small
        values. And the clearness: the mean difference between the cosines with the nearest and the next centroid.
    """
    # k-means++, because uniformly drawn centroids often miss some of many clusters.
    apart = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    means = faiss.Kmeans(
        coordinates.shape[1], n_clusters, niter=30, nredo=4, seed=seed, spherical=True, min_points_per_centroid=1,
        init_method=apart,
    )  # fmt: skip
    means.train(coordinates)
    cosines = coordinates @ np.asarray(means.centroids).T
    first, second = np.sort(cosines, axis=1)[:, :-3:-1].T
    return unit_rows(_shares(cosines)), float((first - second).mean())


def pseudo_labels(features: Floats, seed: int = 0, *, given: npt.NDArray[np.bool_] | None = None) -> PseudoLabels:
    """Pseudo labels of images: clusters on several scales, and labels spread from labelled neighbours.

    The scales have 8, 16, 32, 64 and 128 clusters; scales with fewer than 10 images per cluster on average are left
    out. If none is left, there is one scale with 10 images per cluster. Features should come from the backbone's last
    map, averaged over locations: earlier maps describe texture rather than content.

    Args:
        features: float32 (n, D), of at least 20 images.
        seed: Seed of the clusters.
        given: bool (n, classes), the labels of the labelled images. A labelled image belongs only to its classes; any
            other belongs to the classes of similar labelled images, in proportion to the similarity, and for the rest
            to its clusters.

    Returns:
        Memberships in clusters, followed by those in the given classes.

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
    clearness = np.array([clear for _, clear in found]).clip(1e-3)  # with few images it can be close to 0
    weights = (clearness / clearness.max()) ** _PREFERENCE
    weights = np.sqrt(weights / weights.sum()).astype(np.float32)
    clusters = np.concatenate([weight * members for weight, (members, _) in zip(weights, found, strict=True)], axis=1)
    fineness = float(clearness.max() / clearness[0]) - 1
    if given is None:
        return PseudoLabels(clusters, fineness)
    classes, trust = _spread(coordinates, given)
    return PseudoLabels(np.concatenate([np.sqrt(1 - trust**2) * clusters, trust * classes], axis=1), fineness)


def _spread(coordinates: Floats, given: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Soft memberships in classes, rows of length 1, and their weight against clusters, 0..1 (n, 1).

    The similarity to a class is that to its most similar labelled image.
    """
    known = np.flatnonzero(given.any(axis=1))
    similarities = (coordinates @ coordinates[known].T).clip(0, 1)
    alike = np.zeros(given.shape, np.float32)
    for c, members in enumerate(given[known].T):
        if members.any():
            alike[:, c] = similarities[:, members].max(axis=1)
    shares, trust = _shares(alike), alike.max(axis=1, keepdims=True)
    shares[known], trust[known] = given[known], 1
    return unit_rows(shares), trust


def _shares(similarities: Floats) -> Floats:
    """Softmax of every row, with small shares set to 0."""
    shares: Floats = np.exp((similarities - similarities.max(axis=1, keepdims=True)) / _TEMPERATURE)
    shares /= shares.sum(axis=1, keepdims=True)
    shares[shares < np.minimum(_LEAST_MEMBERSHIP, shares.max(axis=1, keepdims=True))] = 0
    return shares
