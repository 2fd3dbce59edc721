"""Segments that are fitted, not trained: what features say, with more weight on what labels add to them.

A network that learns to tell classes apart forgets what distinguishes images of other classes. Ours: part of the
segments are linear in the features, which they keep. Features (of length 1, minus their mean) are first whitened by how
they vary within classes,

    f = (S_W + rho I)^(-1/2) x,

as in speaker recognition (Hatch, Kajarekar and Stolcke, Interspeech 2006). S_W is the scatter of what labels leave
unexplained; the fewer classes there are, the less it says about others, so rho is ``WITHIN_RIDGE`` / C of its mean
variance. Then f is joined with its projections on the directions W that correlate most with the labels (canonical
correlation analysis with a ridge), where these are as long as f in the mean,

    g = (f, c W^T f),

and g is reduced to its (K - 1) R largest principal components, rotated, and cut into R parts. The K scores of a segment
are the inner products of its part with the corners of a regular simplex, so the symbol is the nearest corner. The
rotation minimises the squared distance to these corners, by turns with the symbols, as that of ITQ does (Gong and
Lazebnik, CVPR 2011), which is the case K = 2.
"""

from __future__ import annotations

import itertools
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor

from ordhash.codes import CodeSpec
from ordhash.learn.batches import Batches
from ordhash.learn.config import TrainConfig
from ordhash.learn.directions import canonical_directions
from ordhash.learn.network import FittedSegments, HashingHead, HashingNetwork
from ordhash.learn.outputs import features_of
from ordhash.learn.rotation import rotations, simplex
from ordhash.support import spread_rows, unit_rows

__all__ = ["RIDGE", "WITHIN_RIDGE", "fit_segments", "refit", "rescale"]

# Both chosen on held-out classes of training images: docs/experiments.md
WITHIN_RIDGE = 150.0
RIDGE = 10.0
_MOST_IMAGES = 20_000
_SCALED_IMAGES = 1000

Weights = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
Matrix = npt.NDArray[np.float64]


def fit_segments(
    features: npt.NDArray[np.floating], labels: npt.NDArray[np.floating], spec: CodeSpec, seed: int
) -> Weights:
    """Weights of the scores of fitted segments: scores = W f + b for features f of length 1.

    Args:
        features: float (n, D), finite.
        labels: float (n, n_classes), the shares of classes in images.
        spec: Shape of the segments.
        seed: Seed of the first rotation.

    Returns:
        W, float32 (n_segments * arity, D), and b, float32 (n_segments * arity,).

    >>> features = np.random.default_rng(0).normal(size=(50, 8))
    >>> weight, bias = fit_segments(features, np.eye(2)[np.arange(50) % 2], CodeSpec(8, 4), seed=0)
    >>> weight.shape, bias.shape
    ((16, 8), (16,))
    """
    rows = spread_rows(len(features), _MOST_IMAGES)
    units = unit_rows(features[rows].astype(np.float64))
    mean = units.mean(axis=0)
    centred, dimensions = units - mean, spec.n_segments * (spec.arity - 1)
    joined = _joined(centred, labels[rows])
    _, axes = np.linalg.eigh(joined.T @ (centred.T @ centred) @ joined)
    leading = axes[:, ::-1][:, :dimensions]
    projection = np.zeros((features.shape[1], dimensions))
    projection[:, : leading.shape[1]] = joined @ leading
    *_, rotation = rotations(centred @ projection, spec, seed)
    parts = (projection @ rotation).reshape(-1, spec.n_segments, spec.arity - 1)
    weight = np.einsum("ka,dra->rkd", simplex(spec.arity), parts).reshape(-1, features.shape[1])
    return weight.astype(np.float32), (-weight @ mean).astype(np.float32)


def _joined(centred: Matrix, labels: npt.NDArray[np.floating]) -> Matrix:
    """The map x -> (f, c W^T f), float64 (D, D + directions); x alone where labels say nothing."""
    targets = labels[:, labels.any(axis=0)].astype(np.float64)
    targets -= targets.mean(axis=0) if len(targets) else 0.0
    if not targets.any() or not centred.any():
        return np.eye(centred.shape[1])
    whitening = _whitening(centred, targets)
    white = centred @ whitening
    directions, correlations = canonical_directions(white, targets, RIDGE)
    directions = directions * correlations
    longer = np.sqrt(np.square(white).sum() / np.square(white @ directions).sum())
    return np.hstack([whitening, longer * whitening @ directions])


def _whitening(centred: Matrix, targets: Matrix) -> Matrix:
    """(S_W + rho I)^(-1/2), float64 (D, D), times a number; identity where images of a class do not vary."""
    residual = centred - targets @ np.linalg.lstsq(targets, centred)[0]
    variances, axes = np.linalg.eigh(residual.T @ residual / len(residual))
    rho = WITHIN_RIDGE / targets.shape[1] * variances.mean()
    if rho <= 1e-12 * np.square(centred).mean():
        return np.eye(len(axes))
    return np.asarray(axes / np.sqrt(variances / rho + 1) @ axes.T)


def refit(
    network: HashingHead | HashingNetwork,
    fitted: FittedSegments,
    batches: Batches,
    targets: Tensor,
    settings: TrainConfig,
    fabric: Fabric,
) -> None:
    """Fit the segments of a network that are not trained to its features of the training images.

    Args:
        network: The network, of which ``fitted`` is a part.
        fitted: The segments.
        batches: Training images.
        targets: Their labels, float (n, n_classes).
        settings: Gives batch size and seed.
        fabric: Where the network is.

    Raises:
        DataError: The features are not finite.
    """
    features = features_of(network, batches, settings.batch_size, fabric, lambda output: output.attended)
    seen, labels = features[:, : fitted.weight.shape[1]].numpy(), targets.cpu().numpy()
    found = fit_segments(seen, labels, fitted.spec, settings.seed) if fabric.is_global_zero else None
    weight, bias = cast(Weights, fabric.broadcast(found))
    fitted.weight.copy_(torch.from_numpy(weight))
    fitted.bias.copy_(torch.from_numpy(bias))


def rescale(
    network: HashingHead | HashingNetwork, fitted: FittedSegments, batches: Batches, batch_size: int, fabric: Fabric
) -> None:
    """Give fitted segments scores as large as those of trained ones: asymmetric distances add them up.

    Leaves the network in evaluation mode.

    Args:
        network: The network, of which ``fitted`` is a part.
        fitted: The segments.
        batches: Training images.
        batch_size: Images at once.
        fabric: Where the network is.
    """
    rows = spread_rows(len(batches), _SCALED_IMAGES)
    order = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    network.eval()
    with torch.inference_mode():
        found = []
        for inputs, _ in itertools.chain.from_iterable(batches.epoch(order, 0)):
            with fabric.autocast():
                found.append(network(inputs.to(fabric.device)).scores.float())
        scores = torch.cat(found)
        apart = (scores - scores.mean(dim=2, keepdim=True)).square().mean(dim=(0, 2))
        trained = len(apart) - fitted.spec.n_segments
        factor = (apart[:trained].mean() / apart[trained:].mean().clamp_min(1e-12)).sqrt()
    fitted.scale.mul_(fabric.broadcast(factor.clone()))
