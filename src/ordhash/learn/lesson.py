"""What a training learns: its objective and its labels, both chosen by the data and what frozen features say of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from ordhash.learn.batches import Batches
from ordhash.learn.config import TrainConfig
from ordhash.learn.correction import LEAST_CLASSES, Correction, check_one_label, correct_labels
from ordhash.learn.objectives import MANY_IMAGES, Objective, Task
from ordhash.learn.outputs import features_of

__all__ = ["Lesson", "choose_lesson", "class_means", "looks_at_labels"]

_MOST_PROBABILITIES = 200_000_000  # images x classes; more are not corrected by default, at 40 bytes each


@dataclass(frozen=True)
class Lesson:
    """What is to be learned.

    Attributes:
        objective: Builds the loss and blends batches.
        task: Data and code that the loss is built for, with the class features or accuracy that it needs.
        labels: float32 (n, n_classes).
        correction: Which of the given labels were replaced; None if they are used as given.
    """

    objective: Objective
    task: Task
    labels: Tensor
    correction: Correction | None = None


def choose_lesson(
    asked: Objective,
    task: Task,
    batches: Batches,
    settings: TrainConfig,
    fabric: Fabric,
    backbone: nn.Module | None = None,
) -> Lesson:
    """Choose objective and labels, before the network is built: its segments depend on the objective.

    Args:
        asked: An objective, or one that selects others by the task.
        task: What is known of the data.
        batches: Training images.
        settings: Say whether labels are corrected; give the batch size.
        fabric: Where features are computed.
        backbone: The backbone, if it is trained too; the objective then does not depend on its features, which change.

    Raises:
        DataError: The features are not finite.
        InputError: Labels cannot be corrected.
    """
    objective, labels, correction = asked.suited(task), batches.labels, None
    corrects = _corrects(settings, objective, task)
    chooses = asked is not objective and looks_at_labels(objective, task) and backbone is None
    if corrects or chooses or objective.wants_class_features:
        reading = nn.Identity() if backbone is None else backbone
        features = features_of(reading, batches, settings.batch_size, fabric, lambda maps: maps.mean(dim=(2, 3)))
        if corrects or chooses:
            given = labels.argmax(dim=1).numpy()
            looked = correct_labels(features.numpy(), given) if fabric.is_global_zero else None
            found = cast(Correction, fabric.broadcast(looked))
            if corrects:
                correction = found
                labels = functional.one_hot(torch.from_numpy(found.classes), task.n_classes).float()
            if chooses:
                task = dataclasses.replace(task, accuracy=found.accuracy)
                objective = asked.suited(task)
        if objective.wants_class_features:
            task = dataclasses.replace(task, class_features=class_means(features, labels))
    return Lesson(objective, task, labels, correction)


def _corrects(settings: TrainConfig, objective: Objective, task: Task) -> bool:
    """Whether to replace probably wrong labels: as the settings say, else if objective and data allow it."""
    if settings.correct_labels is not None:
        if settings.correct_labels:
            check_one_label(task.multilabel)
        return settings.correct_labels
    return looks_at_labels(objective, task)


def looks_at_labels(objective: Objective, task: Task) -> bool:
    """Whether objective and data allow comparing labels with predictions from the features.

    Args:
        objective: The objective chosen for the task.
        task: Gives the numbers of images and classes.
    """
    possible = not task.multilabel and not task.soft and task.n_classes >= LEAST_CLASSES
    n_images = task.n_images or 0
    small = n_images * task.n_classes <= _MOST_PROBABILITIES
    return possible and objective.corrects_labels and n_images >= MANY_IMAGES * task.n_classes and small


def class_means(features: Tensor, labels: Tensor) -> Tensor:
    """Mean features of each class minus the mean of all images, float32 (n_classes, D); 0 for a class without images.

    Args:
        features: float32 (n, D).
        labels: float32 (n, n_classes).
    """
    counts = labels.sum(dim=0)[:, None]
    means = labels.T @ features / counts.clamp(min=1)
    return torch.where(counts > 0, means - features.mean(dim=0), 0.0)
