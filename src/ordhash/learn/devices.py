"""Where a training runs: Lightning Fabric as settings ask for it, and which pipeline suits the device."""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning_fabric import Fabric

from ordhash.errors import InputError
from ordhash.learn.config import TrainConfig

__all__ = ["finetunes", "start_fabric"]


def start_fabric(settings: TrainConfig) -> Fabric:
    """Set up the devices that settings name; starts the processes if there are several.

    Args:
        settings: Names accelerator, devices and precision. Under `fabric run` its own options decide, under `torchrun`
            its numbers of processes and machines.

    Raises:
        InputError: These devices are not available.
    """
    # `fabric run` has started the processes already, and Fabric refuses any options beside its own.
    launched = os.environ.get("LT_CLI_USED", "0") == "1"
    try:
        given: Any = {name: getattr(settings, name) for name in ("accelerator", "devices", "precision")}
        if torch.distributed.is_torchelastic_launched():  # `torchrun` has too, and says how many there are
            given["devices"] = int(os.environ["LOCAL_WORLD_SIZE"])
            given["num_nodes"] = int(os.environ["GROUP_WORLD_SIZE"])
        fabric = Fabric(**({} if launched else given))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"accelerator {settings.accelerator!r} with {settings.devices!r} devices cannot be used here ({error}); "
            "choose 'cpu', or leave both out"
        ) from error
    if not launched:
        fabric.launch()
    return fabric


def finetunes(settings: TrainConfig, fabric: Fabric) -> bool:
    """Whether the backbone learns too: where settings say so, or leave it open and there is an accelerator."""
    chosen = settings.mode == "auto" and not settings.from_neighbourhoods and fabric.device.type != "cpu"
    return settings.mode == "finetune" or chosen
