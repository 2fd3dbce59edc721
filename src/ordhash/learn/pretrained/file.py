"""Weights in a file, and their way into a network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ordhash.errors import InputError, first_line

__all__ = ["load_weights", "state_from_file"]


def state_from_file(path: Path) -> dict[str, Tensor]:
    """A state dict, as ``torch.save`` writes it.

    Raises:
        InputError: The file does not exist, or holds something else; nothing of a pickle that runs code is run.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give a file of weights")
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many unrelated types here
        reason = first_line(error)[:120]
        raise InputError(f"{path} is not a file of PyTorch weights ({reason}); give another") from error


def load_weights(network: nn.Module, name: str, state: dict[str, Tensor]) -> None:
    """Load weights into a network. Those it has no place for, like a classifier's, are left out.

    Args:
        network: The network.
        name: Its name, for messages.
        state: Its weights.

    Raises:
        InputError: Some are missing, or have another shape.
    """
    try:
        missing, _ = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # mismatched shapes, one per line below a heading
        raise InputError(
            f"the weights do not fit {name} ({str(error).splitlines()[-1].strip()[:160]}); give weights of this network"
        ) from error
    if missing:
        raise InputError(
            f"the weights do not fit {name}: {len(missing)} parts are missing, the first {missing[0]}; give weights of "
            "this network"
        )
