"""Where a training stands: what survives an interruption, in one file that is replaced whole."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ordhash.errors import DataError, InputError
from ordhash.support import replace_file

__all__ = ["TrainingState"]


@dataclass
class TrainingState:
    """Where a training stands.

    Attributes:
        fingerprint: Digest of what decides the result of the training.
        epoch: Epochs that are done and validated.
        best_map: Validation mAP of the best epoch so far; None where nothing validates.
        best_epoch: That epoch, from 1.
        seconds: Time so far.
        history: One entry an epoch that was validated: epoch, loss terms, validation mAP.
        wrong_labels: Estimated share of wrong labels among the training images; None where nobody looked, or
            features say too little.
        best: Weights of the best epoch.
    """

    fingerprint: str
    epoch: int = 0
    best_map: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    wrong_labels: float | None = None
    best: dict[str, Tensor] = field(default_factory=dict)

    def keep(self, epoch: int, quality: float | None, learner: nn.Module, terms: dict[str, float]) -> None:
        """Note how an epoch went, and its weights if it is the best so far."""
        entry = {"epoch": float(epoch), **{name: round(value, 5) for name, value in terms.items()}}
        if quality is not None:
            entry["validation_map"] = round(quality, 5)
        self.history.append(entry)
        # Of equals the later one: it has learned longer.
        if quality is None or self.best_map is None or quality >= self.best_map:
            self.best_map, self.best_epoch = quality, epoch
            self.best = {name: value.detach().cpu().clone() for name, value in learner.state_dict().items()}

    def save(self, out: Path, fabric: Fabric, learner: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write everything into ``out/checkpoint.pt``; one process does, and the others wait."""
        if fabric.is_global_zero:
            out.mkdir(parents=True, exist_ok=True)
            values = {
                "state": dataclasses.asdict(self),
                "learner": learner.state_dict(),
                "optimizer": optimizer.state_dict(),
            }
            # Through memory, because torch turns a full disk into a RuntimeError about its own archive.
            buffer = io.BytesIO()
            torch.save(values, buffer)
            replace_file(out / "checkpoint.pt", lambda file: file.write(buffer.getbuffer()))
        fabric.barrier()

    def load(
        self, out: Path, fabric: Fabric, learner: nn.Module, optimizer: torch.optim.Optimizer, *, overwrite: bool
    ) -> None:
        """Go on from ``out/checkpoint.pt``, if there is one.

        Raises:
            DataError: It is damaged.
            InputError: It is another training's, and may not be given up (``overwrite``).
        """
        path = out / "checkpoint.pt"
        if not path.exists():
            return
        try:
            values: dict[str, Any] = torch.load(path, map_location=fabric.device, weights_only=True)
            fingerprint = values["state"]["fingerprint"]
        except Exception as error:  # torch raises half a dozen unrelated classes here
            raise DataError(f"{path} is damaged ({str(error)[:80]}); delete it to start again") from error
        if fingerprint != self.fingerprint:
            if overwrite:
                return
            raise InputError(
                f"{path} belongs to an unfinished training with other images or settings; finish that one, choose "
                "another folder, or allow overwriting it"
            )
        for name, value in values["state"].items():
            setattr(self, name, value)
        learner.load_state_dict(values["learner"])
        optimizer.load_state_dict(values["optimizer"])
