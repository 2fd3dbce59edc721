"""Weights that were trained elsewhere: those that packages contain, those that timm fetches, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import timm
from torch import Tensor, nn

from ordhash.errors import MissingPartError, first_line
from ordhash.learn.pretrained.efficientnet import PACKAGED_WEIGHTS, classifier_state
from ordhash.learn.pretrained.file import load_weights, state_from_file
from ordhash.learn.pretrained.keras import resnet50_state
from ordhash.learn.pretrained.lpips import LPIPS_WEIGHTS, lpips_state

__all__ = ["PACKAGED_WEIGHTS", "classifier_state", "give_weights"]


def give_weights(network: nn.Module, name: str, weights: Literal["pretrained"] | Path) -> None:
    """Load weights into a backbone's network.

    Args:
        network: The network.
        name: Its name.
        weights: ``pretrained``, or a file.

    Raises:
        InputError: The file is not one of weights, or they do not fit.
        MissingPartError: The weights are not at hand, and cannot be fetched.
        DataError: Fetched weights are damaged.
    """
    load_weights(network, name, _pretrained_state(name) if weights == "pretrained" else state_from_file(Path(weights)))


def _pretrained_state(name: str) -> dict[str, Tensor]:
    if name in PACKAGED_WEIGHTS:
        return classifier_state(name)
    if name in LPIPS_WEIGHTS:
        return lpips_state(name)
    if name == "resnet50_v1":
        return resnet50_state(name)
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # the hub client and its transport raise many types
        raise MissingPartError(
            f"no pretrained weights of {name} are at hand and fetching them failed ({first_line(error)[:120]}); "
            f"give a file of weights, or choose one of {', '.join(PACKAGED_WEIGHTS)}, which need no network"
        ) from error
    return dict(network.state_dict())
