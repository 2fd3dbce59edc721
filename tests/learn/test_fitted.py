import dataclasses

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from scipy.linalg import sqrtm

from ordhash.codes import CodeSpec, OrdinalCodes
from ordhash.errors import InputError
from ordhash.learn import FeatureBatches, Lesson, TrainConfig, TrainingRun, TrainingState, Validation, fit
from ordhash.learn.directions import canonical_directions
from ordhash.learn.fitted import RIDGE, WITHIN_RIDGE, fit_segments
from ordhash.learn.network import FittedSegments, HashingHead
from ordhash.learn.objectives import DOH, OBJECTIVES, Default, DOHCodewords, DOHMixup, Task, find_objective
from ordhash.learn.outputs import features_of
from ordhash.learn.rotation import rotations, simplex
from ordhash.learn.validation import leave_one_out_map
from ordhash.model import FeatureMaps

SPEC = CodeSpec(24, 4)


def clouds(seed, classes, per_class=30, dimensions=24):
    """Features of classes around their centres, and the classes."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(classes), per_class)
    centres = rng.normal(size=(classes, dimensions))
    return (centres[rows] + 0.5 * rng.normal(size=(len(rows), dimensions))).astype(np.float32), rows


@pytest.mark.parametrize("arity", [2, 3, 4, 16])
def test_the_corners_of_a_simplex_are_equally_far_apart(arity):
    corners = simplex(arity)
    assert corners.shape == (arity, arity - 1)
    np.testing.assert_allclose(corners @ corners.T, np.where(np.eye(arity), 1, -1 / (arity - 1)), atol=1e-9)
    np.testing.assert_allclose(corners.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("arity", [2, 4])
def test_every_rotation_brings_the_values_nearer_to_their_corners(arity):
    spec = CodeSpec.of_segments(6, arity)
    values, corners = np.random.default_rng(0).normal(size=(200, 6 * (arity - 1))), simplex(arity)
    losses = []
    for rotation in rotations(values, spec, seed=0):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(len(rotation)), atol=1e-9)
        parts = (values @ rotation).reshape(-1, 1, arity - 1)
        losses.append(np.square(parts - corners).sum(axis=2).min(axis=1).sum())
    assert (np.diff(losses) <= 1e-9).all()
    assert losses[-1] < losses[0]


def test_weights_are_those_of_the_definition():
    features, rows = clouds(0, 3)
    labels, spec = np.eye(3)[rows], CodeSpec.of_segments(3, 4)
    weight, bias = fit_segments(features, labels, spec, seed=5)
    units = features.astype(np.float64) / np.linalg.norm(features, axis=1, keepdims=True)
    centred = units - units.mean(axis=0)
    # Scores of a segment sum to 0, and each is the product with a corner: so differences of corners tell distances.
    scores = (units @ weight.T + bias).reshape(-1, 3, 4)
    np.testing.assert_allclose(scores.sum(axis=2), 0, atol=1e-5)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-5)
    parts = scores @ np.linalg.pinv(simplex(4)).T  # (n, 3, 3): nine values of an image
    # They are a rotation of the nine leading principal components of whitened features and what labels say of them.
    within = np.zeros((24, 24))
    for unit, row in zip(units, rows, strict=True):
        apart = unit - units[rows == row].mean(axis=0)
        within += np.outer(apart, apart) / len(units)
    rho = WITHIN_RIDGE / 3 * np.trace(within) / 24
    white = centred @ np.real(sqrtm(np.linalg.inv(within / rho + np.eye(24))))
    targets = labels - labels.mean(axis=0)
    directions, correlations = canonical_directions(white, targets, RIDGE)
    along = white @ (directions * correlations)
    along *= np.linalg.norm(white) / np.linalg.norm(along)
    joined = np.hstack([white, along])
    _, _, axes = np.linalg.svd(joined, full_matrices=False)
    leading = joined @ axes[:9].T
    np.testing.assert_allclose(
        parts.reshape(len(parts), -1) @ parts.reshape(len(parts), -1).T, leading @ leading.T, atol=1e-4
    )


def test_classes_that_were_not_learned_are_told_apart():
    features, rows = clouds(1, 12)
    seen = rows < 8
    weight, bias = fit_segments(features[seen], np.eye(12)[rows[seen]], SPEC, seed=0)
    segments = FittedSegments(24, SPEC)
    segments.weight.copy_(torch.from_numpy(weight))
    segments.bias.copy_(torch.from_numpy(bias))
    scores = segments(torch.from_numpy(features[~seen])).numpy()
    quality = leave_one_out_map(OrdinalCodes.from_scores(scores), np.eye(12, dtype=bool)[rows[~seen]])
    assert quality > 0.6  # chance is a quarter


@pytest.mark.parametrize("labels", ["none", "one class", "a class an image"])
@pytest.mark.parametrize("alike", [False, True])
def test_what_says_nothing_gives_codes_all_the_same(labels, alike):
    features, rows = clouds(2, 2, dimensions=4)  # fewer dimensions than values of the segments
    if alike:
        features[:] = 1
    given = np.zeros((len(rows), 3))
    given[:, 0] = labels == "one class"
    if labels == "a class an image":
        given = np.eye(len(rows))
    weight, bias = fit_segments(features, given, SPEC, seed=0)
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()


def test_fitted_segments_come_last_and_see_the_first_channels():
    head = HashingHead(6, 3, SPEC, hidden=8, local_hidden=8, n_fitted=5, fitted_channels=4).eval()
    assert head.learned == CodeSpec.of_segments(7, 4)
    head.fitted.weight.copy_(torch.randn(20, 4))
    head.fitted.scale.fill_(2.0)
    features = torch.rand(2, 6, 3, 3)
    output = head(features)
    found = output.scores
    assert found.shape == (2, 12, 4)
    seen = output.attended[:, :4]
    expected = 2 * (seen / seen.norm(dim=1, keepdim=True)) @ head.fitted.weight.T
    torch.testing.assert_close(found[:, 7:], expected.reshape(2, 5, 4))
    assert not dict(head.fitted.named_parameters())


@pytest.mark.parametrize(
    ("spec", "few", "many"),
    [
        (CodeSpec(48, 4), 12, 12),
        (CodeSpec(24, 4), 6, 6),
        (CodeSpec(12, 4), 2, 1),
        (CodeSpec(8, 4), 0, 0),
        (CodeSpec(12, 2), 6, 2),
        (CodeSpec(256, 256), 16, 16),
    ],
)
def test_half_of_the_segments_are_fitted_but_enough_are_trained_to_tell_classes_apart(spec, few, many):
    mixup, codewords = Task(spec, 10, n_images=5000), Task(spec, 81, n_images=2000)
    assert DOHMixup().fitted_segments(mixup) == Default().fitted_segments(mixup) == few
    assert DOHCodewords().fitted_segments(codewords) == Default().fitted_segments(codewords) == many
    assert DOHMixup(fitted_share=0.0).fitted_segments(mixup) == 0
    assert Default().fitted_segments(dataclasses.replace(mixup, multilabel=True)) == 0


@pytest.mark.parametrize("objective", [DOH, DOHMixup, DOHCodewords])
def test_a_share_that_leaves_nothing_to_train_is_refused(objective):
    with pytest.raises(InputError, match="fitted_share is 1; it must be below 1"):
        objective(fitted_share=1)


@pytest.mark.parametrize("name", sorted(OBJECTIVES.keys() - {"ordhash", "doh-mixup", "doh-codewords"}))
def test_other_objectives_train_every_segment(name):
    assert OBJECTIVES[name]().fitted_segments(Task(SPEC, 10, n_images=5000)) == 0


@pytest.mark.parametrize("attention", ["learned", "none"])
def test_segments_are_fitted_to_what_the_trained_network_attends_to(attention):
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    values = rng.normal(size=(60, 6, 2, 2)) + rng.normal(size=(3, 6, 1, 1))[classes]
    batches = FeatureBatches(FeatureMaps.of(values.astype(np.float16)), None, np.eye(3, dtype=bool)[classes])
    spec, settings = CodeSpec(24, 4), TrainConfig(epochs=4, batch_size=16, learning_rate=0.05, accelerator="cpu")
    objective = find_objective("doh-codewords")
    task = Task(spec, 3, n_images=60)
    n_fitted = objective.fitted_segments(task)
    torch.manual_seed(0)
    head = HashingHead(6, 3, spec, hidden=8, local_hidden=8, n_fitted=n_fitted, attention=attention)
    fabric = Fabric(accelerator="cpu", devices=1)
    none = Validation(batches.maps.subset([]), np.zeros((0, 3), bool))
    run = TrainingRun(settings, fabric, TrainingState("digest"))
    fit(head, Lesson(objective, task, batches.labels), batches, none, run)
    seen = features_of(head, batches, 16, fabric, lambda output: output.attended).numpy()
    averages = features_of(head, batches, 16, fabric, lambda output: output.features).numpy()
    assert np.allclose(seen, averages, atol=1e-3) == (attention == "none")
    weight, _ = fit_segments(seen, np.eye(3)[classes], head.fitted.spec, settings.seed)
    np.testing.assert_allclose(head.fitted.weight.numpy(), weight, atol=1e-4)
