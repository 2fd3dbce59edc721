"""Training state that survives an interruption, in one file that is replaced atomically."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import ordhash
from ordhash.data import ImageSet
from ordhash.errors import DataError, InputError
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.validation import latest_as_good
from ordhash.support import replace_file

__all__ = ["TrainingState", "training_digest"]


@dataclass
class TrainingState:
    """State of a training.

    Attributes:
        digest: Hash of everything that affects the result.
        epoch: Last validated epoch.
        kept_map: Validation mAP of the epoch that is kept so far; None without validation images.
        kept_epoch: That epoch, from 1: the latest that is as good as the best (``ordhash.learn.validation``).
        seconds: Training time so far.
        history: One entry per validated epoch: epoch, loss terms, validation mAP.
        wrong_labels: Estimated share of wrong training labels; None if it was not estimated, or the features predict
            labels too badly.
        kept: Weights of the kept epoch.
        precisions: One entry per validated epoch: average precisions of the validation images, float64 (q,).
        scores: One entry per validated epoch: scores of the validation images that calibrate, float32 (n, n_segments,
            arity).
    """

    digest: str
    epoch: int = 0
    kept_map: float | None = None
    kept_epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    wrong_labels: float | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)
    precisions: list[Tensor] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)

    def keep(
        self, epoch: int, precisions: npt.NDArray[np.float64], learner: nn.Module, terms: dict[str, float]
    ) -> None:
        """Record an epoch, and its weights if it is as good as the best so far.

        Args:
            epoch: The epoch, from 1.
            precisions: Average precisions of the validation images, float64 (q,); empty without any.
            learner: Network and loss.
            terms: Mean loss terms of the epoch.
        """
        entry = {"epoch": float(epoch), **{name: round(value, 5) for name, value in terms.items()}}
        quality = float(precisions.mean()) if len(precisions) else None
        if quality is not None:
            entry["validation_map"] = round(quality, 5)
        self.history.append(entry)
        self.precisions.append(torch.from_numpy(precisions))
        if latest_as_good([values.cpu().numpy() for values in self.precisions]) == len(self.precisions) - 1:
            self.kept_map, self.kept_epoch = quality, epoch
            self.kept = {name: value.detach().cpu().clone() for name, value in learner.state_dict().items()}

    def save(self, out: Path, fabric: Fabric, learner: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write ``out/checkpoint.pt``; one process writes, the others wait."""
        if fabric.is_global_zero:
            out.mkdir(parents=True, exist_ok=True)
            values = {
                "state": dataclasses.asdict(self),
                "learner": learner.state_dict(),
                "optimizer": optimizer.state_dict(),
                "precision": fabric.strategy.precision.state_dict(),
            }
            # Via memory, because torch reports a full disk as an unrelated RuntimeError.
            buffer = io.BytesIO()
            torch.save(values, buffer)
            replace_file(out / "checkpoint.pt", lambda file: file.write(buffer.getbuffer()))
        fabric.barrier()

    def load(
        self, out: Path, fabric: Fabric, learner: nn.Module, optimizer: torch.optim.Optimizer, *, overwrite: bool
    ) -> None:
        """Resume from ``out/checkpoint.pt``, if it exists.

        Raises:
            DataError: It is damaged.
            InputError: It belongs to another training, and ``overwrite`` is not set.
        """
        path = out / "checkpoint.pt"
        if not path.exists():
            return
        try:
            values: dict[str, Any] = torch.load(path, map_location=fabric.device, weights_only=True)
            found = values["state"]["digest"]
        except Exception as error:  # torch raises many unrelated types here
            raise DataError(f"{path} is damaged ({str(error)[:80]}); delete it to start again") from error
        if found != self.digest:
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
        fabric.strategy.precision.load_state_dict(values["precision"])


def training_digest(
    images: ImageSet,
    validation: ImageSet | None,
    config: DOHConfig,
    settings: TrainConfig,
    *,
    finetune: bool,
    backgrounds: ImageSet | None = None,
) -> str:
    """16 hexadecimal digits: a hash of everything that affects the result of a training.

    Args:
        images: Training images.
        validation: Validation images, if given.
        config: The network and its objective; files of weights and of a graph are hashed by content.
        settings: How to train.
        finetune: Whether the backbone is trained too.
        backgrounds: What training images are pasted into, if given.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(
        json.dumps([config.to_json(), settings.to_json(), finetune, ordhash.__version__], sort_keys=True).encode()
    )
    for file in config.files:
        digest.update(file.read_bytes())
    for role, part in (("images", images), ("validation", validation), ("backgrounds", backgrounds)):
        if part is not None:
            digest.update(role.encode())
            digest.update(
                "\0".join(str(key) for key in part.keys).encode("utf-8", "surrogateescape")
                + b"".join(part.content_ids())
            )
            if part.labels is not None:
                digest.update("\0".join(part.class_names).encode("utf-8", "surrogateescape"))
                digest.update(np.packbits(part.labels, axis=1).tobytes())
    return digest.hexdigest()
