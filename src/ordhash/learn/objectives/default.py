"""The default: the objective that taught most on held-out images with labels of the kind there are.

Ours. Kinds of labels want different things (docs/experiments.md has the numbers):

- several labels an image: pairs of whole images, the paper's objective;
- one label, many images a class: pairs of blended images, which rank doubtful images by their doubt; nothing is
  blended where features of a frozen backbone say too little;
- one label, few images a class: codewords besides, which teach in a few steps what pairs would take many to;
- memberships in clusters, without given labels: pairs of whole images, and classes read from the symbols, the
  more the clearer fine clusters are than coarse ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ordhash.learn.objectives.base import MANY_IMAGES, Objective, Task
from ordhash.learn.objectives.codewords import DOHCodewords
from ordhash.learn.objectives.doh import DOH
from ordhash.learn.objectives.mixup import DOHMixup
from ordhash.learn.objectives.symbols import DOHSymbols

__all__ = ["Default"]

# Of images whose class features predict; with less, blending costs more than it gives.
_LEAST_ACCURACY = 0.78


@dataclass(frozen=True)
class Default(Objective):
    """Choice among the objectives of this package; it has no settings.

    >>> from ordhash.codes import CodeSpec
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=10, n_images=5000)).name
    'doh-mixup'
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=10, n_images=5000, accuracy=0.7)).mixup
    0.0
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=81, n_images=2640)).name
    'doh-codewords'
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=248, n_images=5000, soft=True, fineness=0.5)).symbol_weight
    0.25
    """

    name: ClassVar[str] = "ordhash"
    citation: ClassVar[str] = "ordhash: of doh, doh-mixup, doh-codewords and doh-symbols the one that suits the labels"
    supervision: ClassVar[str] = "pairwise + classes"
    binary: ClassVar[bool] = False

    def suited(self, task: Task) -> Objective:
        """The objective for a task: several labels, few images a class, or many, which an unknown number counts as.

        Features count as good until they have been looked at.
        """
        if task.soft:
            return DOHSymbols(symbol_weight=min(1.0, task.fineness**2))
        if task.multilabel:
            return DOH()
        if task.n_images is None or task.n_images >= MANY_IMAGES * task.n_classes:
            weak = task.accuracy is not None and task.accuracy < _LEAST_ACCURACY
            return DOHMixup(mixup=0.0) if weak else DOHMixup()
        return DOHCodewords()

    def loss(self, task: Task) -> nn.Module:
        """The loss module of the objective that suits the task."""
        return self.suited(task).build(task)
