"""The training loop: one function that reads from top to bottom, for heads and for whole networks."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ordhash.codes import OrdinalCodes
from ordhash.errors import DivergedError
from ordhash.learn.batches import Batches, PictureBatches, Share, epoch_order, shown_labels
from ordhash.learn.checkpoint import TrainingState
from ordhash.learn.config import DOHConfig, TrainConfig
from ordhash.learn.fitted import refit, rescale
from ordhash.learn.lesson import Lesson
from ordhash.learn.network import HashingHead, HashingNetwork, HeadOutput
from ordhash.learn.outputs import scores_of
from ordhash.learn.validation import calibrated_rows, leave_one_out_precisions
from ordhash.model import FeatureMaps
from ordhash.support import progress_bar

__all__ = [
    "TrainingRun",
    "Validation",
    "configured_head",
    "fit",
    "rate_factor",
]


@dataclass(frozen=True)
class Validation:
    """Held-out images, which choose the epoch and calibrate.

    Attributes:
        inputs: Feature maps, or pictures if the backbone is trained too.
        labels: bool (n, n_classes).
    """

    inputs: FeatureMaps | PictureBatches
    labels: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingRun:
    """How and where to train, and where checkpoints are kept.

    Attributes:
        settings: How to train.
        fabric: Where to train.
        state: A new state; a checkpoint in ``out`` replaces its values.
        out: Folder for checkpoints; None writes none.
        overwrite: Whether to discard another training's checkpoint.
        progress: Whether to show bars.
    """

    settings: TrainConfig
    fabric: Fabric
    state: TrainingState
    out: Path | None = None
    overwrite: bool = False
    progress: bool = False


def configured_head(  # every argument of a head that is not in its configuration
    config: DOHConfig, in_dim: int, n_classes: int, *, multilabel: bool, n_fitted: int = 0, fitted_channels: int = 0
) -> HashingHead:
    """The configured head, with random weights.

    Args:
        config: The network, [decided][ordhash.learn.DOHConfig.decided].
        in_dim: D, channels of the feature map.
        n_classes: Columns of the label matrix.
        multilabel: Whether images carry several labels.
        n_fitted: Number of segments that are fitted instead of trained.
        fitted_channels: Number of channels that these see, the first ones; 0 for all.
    """
    return HashingHead(
        in_dim,
        n_classes,
        config.spec,
        multilabel=multilabel,
        hidden=config.hidden,
        local_hidden=config.local_hidden,
        use_global=config.use_global,
        use_local=config.use_local,
        attention=config.attention_for(scenes=False),
        dropout=config.dropout,
        hidden_dropout=config.hidden_dropout,
        n_fitted=n_fitted,
        fitted_channels=fitted_channels,
    )


def fit(
    network: HashingHead | HashingNetwork, lesson: Lesson, batches: Batches, validation: Validation, run: TrainingRun
) -> None:
    """Train, then load the weights of the latest epoch that is as good as the best on the validation images.

    Seeds PyTorch's random state in every epoch and does not restore it.

    Args:
        network: A head, which reads feature maps, or the whole network, which reads pictures.
        lesson: Objective and labels.
        batches: Training images.
        validation: If empty, the last epoch is kept.
        run: How and where to train.

    Raises:
        DivergedError: The loss became NaN or infinite.
        DataError: The checkpoint is damaged.
        InputError: The checkpoint belongs to another training.
    """
    settings, fabric, state = run.settings, run.fabric, run.state
    share = Share(fabric.global_rank, fabric.world_size)
    objective, targets = lesson.objective, lesson.labels
    head = cast(HashingHead, network.head if isinstance(network, HashingNetwork) else network)
    loss = objective.build(dataclasses.replace(lesson.task, spec=head.learned))
    learner = _Learner(network, loss, head.learned.n_segments, fabric)
    if head.fitted is not None:
        refit(network, head.fitted, batches, targets, settings, fabric)
    parts = [{"params": [*head.parameters(), *loss.parameters()], "lr": settings.learning_rate}]
    if isinstance(network, HashingNetwork):
        parts.append({"params": list(network.backbone.parameters()), "lr": settings.backbone_learning_rate})
    scaled = getattr(fabric.strategy.precision, "scaler", None) is not None
    # Fused is faster, but it does not allow clipping 16-bit gradients.
    fused = fabric.device.type == "cpu" and not scaled
    adamw = torch.optim.AdamW(parts, weight_decay=settings.weight_decay, fused=fused)
    model, optimizer = fabric.setup(learner, adamw)
    if run.out:
        state.load(run.out, fabric, learner, optimizer, overwrite=run.overwrite)
    steps_an_epoch = len(epoch_order(len(batches), settings.batch_size, 0, share))
    total = steps_an_epoch * settings.epochs
    done = steps_an_epoch * state.epoch
    schedule = LambdaLR(adamw, lambda step: rate_factor(step / total, settings.warmup), last_epoch=done - 1)

    started = time.perf_counter()
    with progress_bar("Training", total, show=run.progress, done=done) as advance:
        for epoch in range(state.epoch + 1, settings.epochs + 1):
            # Randomness depends only on seed and epoch, so a resumed run repeats the lost epochs exactly.
            seed = settings.seed * 100_003 + epoch
            torch.manual_seed(seed * share.processes + share.rank)
            model.train()
            sums: dict[str, Tensor] = {}
            overflow = torch.zeros((), dtype=torch.bool, device=fabric.device)
            order = epoch_order(len(batches), settings.batch_size, seed, share)
            for batch in batches.epoch(order, seed, clutter=True):
                groups = [
                    (
                        batches.on_device(inputs.to(fabric.device), members, seed),
                        shown_labels(targets, members, multilabel=lesson.task.multilabel).to(fabric.device),
                    )
                    for inputs, members in batch
                ]
                inputs, labels = zip(*(objective.blend(*group) for group in groups), strict=True)
                terms = model(inputs, torch.cat(labels))
                fabric.backward(torch.stack(list(terms.values())).sum())
                norm = fabric.clip_gradients(model, optimizer, max_norm=settings.clip_norm, error_if_nonfinite=False)
                optimizer.step()
                _advance(schedule, scaled=scaled)
                optimizer.zero_grad()
                advance(1)
                # Kept on the device, to avoid a synchronisation per step.
                if isinstance(norm, Tensor) and not scaled:  # a scaler finds its scale by overflows, and skips the step
                    overflow |= ~norm.isfinite()
                for name, value in terms.items():
                    sums[name] = sums[name] + value.detach() if name in sums else value.detach()
            terms_of_epoch = {name: float(value) / len(order) for name, value in sums.items()}
            if bool(overflow) or not all(math.isfinite(value) for value in terms_of_epoch.values()):
                raise DivergedError(f"the loss became NaN or infinite in epoch {epoch}; lower the learning rate")
            if epoch % settings.validate_every == 0 or epoch == settings.epochs:
                if head.fitted is not None:
                    if head.attends or isinstance(network, HashingNetwork):  # what they read has changed
                        refit(network, head.fitted, batches, targets, settings, fabric)
                    rescale(network, head.fitted, batches, settings.batch_size, fabric)
                precisions = np.zeros(0)
                if len(validation.labels):
                    scores = scores_of(network, validation.inputs, fabric)
                    precisions = leave_one_out_precisions(OrdinalCodes.from_scores(scores), validation.labels)
                    state.scores.append(torch.from_numpy(scores[calibrated_rows(len(scores))]))
                state.keep(epoch, precisions, learner, terms_of_epoch)
                state.epoch = epoch
                state.seconds += time.perf_counter() - started
                started = time.perf_counter()
                if run.out:
                    state.save(run.out, fabric, learner, optimizer)
    learner.load_state_dict(state.kept)


def _advance(schedule: LambdaLR, *, scaled: bool) -> None:
    """Go on to the next learning rate."""
    with warnings.catch_warnings() if scaled else nullcontext():
        if scaled:  # it warns where the scaler has skipped the first step
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step", category=UserWarning)
        schedule.step()


class _Learner(nn.Module):
    """Network and loss in one module, so that Fabric wraps both when several processes train."""

    def __init__(self, network: nn.Module, loss: nn.Module, n_learned: int, fabric: Fabric) -> None:
        super().__init__()
        self.n_learned = n_learned
        self.network = network
        self.loss = loss
        self._fabric = fabric

    def forward(self, inputs: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        outputs: list[HeadOutput] = [self.network(group) for group in inputs]
        scores = torch.cat([output.scores for output in outputs])
        logits = [torch.cat(layer) for layer in zip(*(output.class_logits for output in outputs), strict=True)]
        parts = [scores[:, : self.n_learned], *logits]
        if self._fabric.world_size > 1:
            # Pairs are formed over the batches of all processes, so the result does not depend on their number.
            gathered = [self._fabric.all_gather(part, sync_grads=True) for part in (*parts, labels)]
            *parts, labels = (part.flatten(0, 1) for part in gathered)  # type: ignore[union-attr]
        with torch.autocast(labels.device.type, enabled=False):
            scores, *logits = (part.float() for part in parts)
            terms: dict[str, Tensor] = self.loss(HeadOutput(scores, tuple(logits)), labels)
        # Class layers that the objective does not use get a zero gradient: with several processes, a parameter without
        # a gradient is an error.
        name = next(iter(terms))
        terms[name] = terms[name] + 0.0 * sum(part.sum() for part in logits)
        return terms


def rate_factor(done: float, warmup: float) -> float:
    """Factor on the peak learning rate: linear warmup, then half a cosine down to 0.

    The schedules of PyTorch and timm round the warmup to whole steps and start at another value.

    Args:
        done: Share of all steps that are done, 0 to 1.
        warmup: Share of all steps that are warmup.

    >>> [round(rate_factor(done, 0.5), 3) for done in (0.0, 0.25, 0.5, 0.75, 1.0)]
    [0.002, 0.5, 1.0, 0.5, 0.0]
    """
    if done < warmup:
        return max(done, 1e-3) / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1e-9, 1 - warmup)))
