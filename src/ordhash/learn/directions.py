"""Directions of the features that say most about the labels: canonical correlation analysis with a ridge."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["canonical_directions"]

Matrix = npt.NDArray[np.float64]


def canonical_directions(features: Matrix, labels: Matrix, ridge: float) -> tuple[Matrix, Matrix]:
    """Directions w_k of the features that correlate most with the labels.

    Args:
        features: X, float (n, D), centred, not all 0.
        labels: Y, float (n, n_classes), centred, not all 0.
        ridge: Above 0, in units of the mean variance of a column.

    Returns:
        w_k as columns, float64 (D, k) with k = min(D, n_classes), with w^T (X^T X / n + rho I) w = 1; and lambda_k,
        float64 (k,), descending, in [0, 1).

    >>> x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> directions, correlations = canonical_directions(x, x[:, :1], ridge=1e-9)
    >>> np.abs(directions).round(3).tolist(), correlations.round(3).tolist()
    ([[1.0], [0.0]], [1.0])
    """
    root_x, root_y = (_cholesky(matrix, ridge) for matrix in (features, labels))
    # With each bracket factored as C C^T, the problem is a singular value decomposition of this product.
    whitened = np.linalg.solve(root_y, np.linalg.solve(root_x, features.T @ labels / len(features)).T).T
    left, correlations, _ = np.linalg.svd(whitened, full_matrices=False)
    return np.linalg.solve(root_x.T, left), correlations


def _cholesky(matrix: Matrix, ridge: float) -> Matrix:
    covariance = matrix.T @ matrix / len(matrix)
    rho = ridge * np.trace(covariance) / len(covariance)
    root: Matrix = np.linalg.cholesky(covariance + rho * np.eye(len(covariance)))
    return root
