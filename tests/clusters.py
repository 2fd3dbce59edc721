"""Features in clusters, and what a head makes of features, for tests of the shallow methods."""

import numpy as np
import torch


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
