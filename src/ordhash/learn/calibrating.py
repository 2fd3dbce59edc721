"""What is measured of a trained network on held-out images, for its model file: what distances mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_fabric import Fabric
from torch import Tensor, nn

from ordhash.codes import OrdinalCodes, Searched
from ordhash.learn.crossfitting import crossfitted_calibrations
from ordhash.learn.loop import Validation
from ordhash.learn.outputs import parts_of, scores_of
from ordhash.learn.validation import calibrated_rows, calibrations_of
from ordhash.model import Calibration, FeatureMaps

__all__ = ["Calibrations", "measured_on"]


@dataclass(frozen=True)
class Calibrations:
    """What distances mean, as [ModelInfo][ordhash.model.ModelInfo] names it; None where nothing could tell."""

    calibration: Calibration | None = None
    asymmetric_calibration: Calibration | None = None
    calibration_with_parts: Calibration | None = None
    asymmetric_calibration_with_parts: Calibration | None = None


def measured_on(network: nn.Module, held: Validation, epochs: Sequence[Tensor], fabric: Fabric) -> Calibrations:
    """Search held-out images among each other, and among each other's parts.

    Args:
        network: With the weights of the kept epoch.
        held: The images; with none, nothing can tell. Parts are looked at where the backbone is frozen.
        epochs: Their scores at every validated epoch, of which each pair is measured at the one that others choose;
            distances to parts are measured at the kept one.
        fabric: Where the network is.
    """
    if not len(held.labels):
        return Calibrations()
    rows = calibrated_rows(len(held.labels))
    labels = held.labels[rows]
    of_whole = crossfitted_calibrations([scores.cpu().numpy() for scores in epochs], labels)
    if not isinstance(held.inputs, FeatureMaps):
        return Calibrations(*of_whole)
    maps = held.inputs.subset(rows)
    scores = scores_of(network, maps, fabric)
    codes = OrdinalCodes.from_scores(scores)
    searched = Searched(codes, parts_of(network, maps, fabric))
    return Calibrations(*of_whole, *calibrations_of(searched.ordinal(codes), searched.asymmetric(scores), labels))
