"""The default: the objective that was best on held-out images for the given kind of labels.

Ours. The choice by kind of labels (docs/experiments.md has the numbers):

- several labels per image: pairs of whole images, the paper's objective;
- one label, many images per class: pairs of blended images, which rank ambiguous images by confidence; no blending and
  no fitted segments if the features of a frozen backbone predict classes too badly;
- one label, few images per class: also codewords, which need far fewer training steps than pairs;
- scenes of these images too: no fitted segments, since features of a whole picture do not find what is small in it;
- no given labels, but memberships in clusters: pairs of whole images, and a classifier on the symbols, with more weight
  the clearer fine clusters are than coarse ones.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ordhash.learn.objectives.base import MANY_IMAGES, Objective, Task
from ordhash.learn.objectives.codewords import DOHCodewords
from ordhash.learn.objectives.doh import DOH
from ordhash.learn.objectives.mixup import DOHMixup
from ordhash.learn.objectives.symbols import DOHSymbols

__all__ = ["Default"]

# Estimated accuracy of the features' class predictions, below which blending and fitted segments do harm.
_LEAST_ACCURACY = 0.78


@dataclass(frozen=True)
class Default(Objective):
    """Selects one of this package's objectives; has no settings.

    >>> from ordhash.codes import CodeSpec
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=10, n_images=5000)).name
    'doh-mixup'
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=10, n_images=5000, accuracy=0.7)).mixup
    0.0
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=81, n_images=2640)).name
    'doh-codewords'
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=81, n_images=2640, scenes=True)).fitted_share
    0.0
    >>> Default().suited(Task(CodeSpec(48, 4), n_classes=248, n_images=5000, soft=True, fineness=0.5)).symbol_weight
    0.25
    """

    name: ClassVar[str] = "ordhash"
    citation: ClassVar[str] = "ordhash: of doh, doh-mixup, doh-codewords and doh-symbols the one that suits the labels"
    supervision: ClassVar[str] = "pairwise + classes"
    binary: ClassVar[bool] = False

    def suited(self, task: Task) -> Objective:
        """The objective for a task. An unknown number of images counts as many per class.

        Features count as good while ``accuracy`` is unknown.
        """
        if task.soft:
            return DOHSymbols(symbol_weight=min(1.0, task.fineness**2))
        if task.multilabel:
            return DOH()
        chosen: DOH = DOHCodewords()
        if task.n_images is None or task.n_images >= MANY_IMAGES * task.n_classes:
            weak = task.accuracy is not None and task.accuracy < _LEAST_ACCURACY
            chosen = DOHMixup(mixup=0.0, fitted_share=0.0) if weak else DOHMixup()
        return dataclasses.replace(chosen, fitted_share=0.0) if task.scenes else chosen

    def fitted_segments(self, task: Task) -> int:
        """Those of the selected objective."""
        return self.suited(task).fitted_segments(task)

    def loss(self, task: Task) -> nn.Module:
        """The loss module of the selected objective."""
        return self.suited(task).build(task)
