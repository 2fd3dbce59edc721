import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from ordhash.codes import OrdinalCodes, Searched
from ordhash.learn.calibrating import Calibrations, measured_on
from ordhash.learn.crossfitting import crossfitted_calibrations
from ordhash.learn.loop import Validation
from ordhash.learn.outputs import parts_of, scores_of
from ordhash.learn.validation import calibrations_of
from ordhash.model import FeatureMaps

FABRIC = Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def held():
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    maps = rng.normal(size=(60, 6, 5, 5)) + 2 * rng.normal(size=(3, 6, 1, 1))[classes]
    return Validation(FeatureMaps.of(maps.astype(np.float16)), np.eye(3, dtype=bool)[classes])


def test_distances_mean_what_held_out_images_say_with_parts_and_without(attending_head, held):
    scores = scores_of(attending_head, held.inputs, FABRIC)
    found = measured_on(attending_head, held, [torch.from_numpy(scores)], FABRIC)
    ordinal, asymmetric = crossfitted_calibrations([scores], held.labels)
    assert (found.calibration, found.asymmetric_calibration) == (ordinal, asymmetric)
    parts = parts_of(attending_head, held.inputs, FABRIC)
    assert len(parts) > 10
    codes = OrdinalCodes.from_scores(scores)
    searched = Searched(codes, parts)
    nearer = searched.ordinal(codes) < Searched(codes).ordinal(codes)
    assert nearer.any()
    expected = calibrations_of(searched.ordinal(codes), searched.asymmetric(scores), held.labels)
    assert (found.calibration_with_parts, found.asymmetric_calibration_with_parts) == expected
    assert found.calibration_with_parts != ordinal


def test_without_held_out_images_nothing_is_known(attending_head, held):
    none = Validation(held.inputs.subset(np.arange(0)), held.labels[:0])
    assert measured_on(attending_head, none, [], FABRIC) == Calibrations()
