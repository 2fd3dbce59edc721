"""Batches for objectives that make binary codes."""

import numpy as np
import pytest
import torch

from ordhash.learn.network import HeadOutput


@pytest.fixture(params=[False, True], ids=["one label", "many labels"])
def multilabel(request):
    return request.param


@pytest.fixture
def binary_batch(multilabel):
    """Output of a head for 7 images in 3 classes, their labels, and u: float64 (7, 12), NumPy's."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(7, 12, 2))
    if multilabel:
        labels = (rng.random((7, 3)) < 0.4).astype(float)
        labels[0], labels[1], labels[2] = (1, 1, 0), (0, 0, 1), (1, 0, 1)
    else:
        labels = np.eye(3)[[0, 1, 2, 0, 0, 1, 2]]
    output = HeadOutput(torch.from_numpy(scores), (), torch.ones(7, 1, 1))
    return output, torch.from_numpy(labels), scores[:, :, 1] - scores[:, :, 0]
