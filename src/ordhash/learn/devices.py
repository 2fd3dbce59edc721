"""Where training runs: Lightning Fabric set up from the settings, and whether to fine-tune on this device."""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning_fabric import Fabric

from ordhash.errors import InputError
from ordhash.learn.batches import check_shares
from ordhash.learn.config import TrainConfig
from ordhash.support import available_cores

__all__ = ["finetunes", "start_fabric"]


def start_fabric(settings: TrainConfig) -> Fabric:
    """Set up Lightning Fabric on the requested devices; starts the processes if there are several.

    Args:
        settings: Accelerator, devices and precision. `fabric run` overrides all of them, `torchrun` the numbers of
            processes and machines.

    Raises:
        InputError: The devices are not available, or cannot share a batch evenly.
    """
    # `fabric run` has already started the processes, and Fabric then rejects other options.
    launched = os.environ.get("LT_CLI_USED", "0") == "1"
    try:
        given: Any = {name: getattr(settings, name) for name in ("accelerator", "devices", "precision")}
        if torch.distributed.is_torchelastic_launched():  # so has `torchrun`, which sets their number
            given["devices"] = int(os.environ["LOCAL_WORLD_SIZE"])
            given["num_nodes"] = int(os.environ["GROUP_WORLD_SIZE"])
        fabric = Fabric(**({} if launched else given))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"accelerator {settings.accelerator!r} with {settings.devices!r} devices cannot be used here ({error}); "
            "choose 'cpu', or leave both out"
        ) from error
    _check_number(fabric, settings)
    if not launched:
        fabric.launch()
    return fabric


def _check_number(fabric: Fabric, settings: TrainConfig) -> None:
    """Refuse a number of processes before they start, and compute features."""
    check_shares(settings.batch_size, fabric.world_size)
    if settings.devices != "auto" and fabric.device.type == "cpu" and settings.devices > available_cores():
        raise InputError(
            f"devices is {settings.devices}; this machine has {available_cores()} cores, and each process takes one"
        )


def finetunes(settings: TrainConfig, fabric: Fabric) -> bool:
    """Whether the backbone is trained too: if the settings say so, or in mode ``auto`` on an accelerator."""
    chosen = settings.mode == "auto" and not settings.from_neighbourhoods and fabric.device.type != "cpu"
    return settings.mode == "finetune" or chosen
