"""What is trained (DOHConfig) and how (TrainConfig): frozen, checked when made, stored in the model file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ordhash.codes import CodeSpec
from ordhash.errors import InputError

if TYPE_CHECKING:
    from ordhash.learn.objectives import Objective

__all__ = ["DEFAULT_CACHE", "DOHConfig", "TrainConfig"]

DEFAULT_CACHE = Path(".cache")


@dataclass(frozen=True)
class DOHConfig:
    """The network and its objective.

    Attributes:
        code_bits: Length of a code in bits.
        arity: K, the scores that compete in a segment; a power of two from 2 to 256.
        objective: Name of an objective (``ordhash.learn.objectives.OBJECTIVES``) or an objective with its settings.
        backbone: A timm name, or ``alexnet``; ``tf_efficientnet_lite0``, ``1`` and ``2`` need no network.
        weights: ``pretrained``, a file of weights for the backbone, or None for random ones.
        image_size: Side of the square image that the backbone sees, in pixels.
        stages: Feature maps of the backbone that are joined: 1 is the last one alone, 3 adds the outputs of the two
            stages before it, which know more of texture and parts.
        mirror: Whether features are averaged over a picture and its mirror image: better codes for twice the time.
        fit: ``squash`` shows the whole photograph, ``crop`` its middle square.
        hidden: Width of the global stream (fc6, fc7).
        local_hidden: Channels of the local stream (conv6, conv7).
        use_global: Switch of the global stream.
        use_local: Switch of the local stream.
        use_attention: Switch of the spatial attention inside the local stream.
        dropout: Share of features dropped in training.
        hidden_dropout: Share of the global stream's hidden values dropped in training.

    Raises:
        InputError: A value outside what is allowed.

    >>> DOHConfig(code_bits=48, arity=4).spec.n_segments
    24
    """

    code_bits: int = 48
    arity: int = 4
    objective: str | Objective = "ordhash"
    backbone: str = "tf_efficientnet_lite0"
    weights: Literal["pretrained"] | Path | None = "pretrained"
    image_size: int = 160
    stages: int = 1
    mirror: bool = False
    fit: Literal["squash", "crop"] = "squash"
    hidden: int = 1024
    local_hidden: int = 128
    use_global: bool = True
    use_local: bool = True
    use_attention: bool = True
    dropout: float = 0.5
    hidden_dropout: float = 0.3
    spec: CodeSpec = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", CodeSpec(self.code_bits, self.arity))
        objective = _objective(self.objective)
        objective.check_spec(self.spec)  # here, and not only where the loss is built, after minutes of reading images
        object.__setattr__(self, "objective", objective)
        if not (self.use_global or self.use_local):
            raise InputError("both streams are switched off; leave use_global or use_local on")
        if self.use_attention and not self.use_local:
            # Attention lives in the local stream; without it the switch would be an argument that does nothing.
            object.__setattr__(self, "use_attention", False)
        _check_range("dropout", self.dropout, 0.0, 0.95)
        _check_range("hidden_dropout", self.hidden_dropout, 0.0, 0.95)
        _check_range("image_size", self.image_size, 32, 1024)
        _check_range("stages", self.stages, 1, 16)
        _check_range("hidden", self.hidden, 1, 65536)
        _check_range("local_hidden", self.local_hidden, 1, 65536)
        if self.fit not in ("squash", "crop"):
            raise InputError(f"fit is {self.fit!r}; allowed are 'squash' and 'crop'")

    def to_json(self) -> dict[str, Any]:
        """Settings as JSON values; the objective with its name and settings."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        objective = _objective(self.objective)
        values["objective"] = {"name": objective.name, **dataclasses.asdict(objective)}  # type: ignore[call-overload]
        values["weights"] = None if self.weights is None else str(self.weights)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DOHConfig:
        """The settings that ``to_json`` gave.

        >>> config = DOHConfig(objective="doh", weights=None)
        >>> DOHConfig.from_json(config.to_json()) == config
        True
        """
        settings = dict(values["objective"])
        objective = type(_objective(settings.pop("name")))(**settings)
        weights = values["weights"]
        path = weights if weights in (None, "pretrained") else Path(weights)
        return cls(**{**values, "objective": objective, "weights": path})


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        seed: Seed of the split, the initial weights, the order and the augmentation.
        mode: ``frozen`` trains the head on features computed once, ``finetune`` trains everything, ``auto`` is
            ``finetune`` where there is an accelerator and ``frozen`` on a CPU.
        use_labels: Whether to learn from labels; without them from the images' own neighbourhoods
            (``ordhash.learn.pseudolabels``), with a frozen backbone. ``spread`` is both: images without a label take
            part, and get a share in the labels of their neighbours.
        correct_labels: Whether to replace labels that are probably wrong before learning, where they are a tenth or
            more (``ordhash.learn.correction``); None leaves that to the objective: ``doh-mixup``, which is the default
            where every image has one label and classes have a hundred images on average, does.
        epochs: Passes over the training images.
        batch_size: Images a step, over all processes together.
        learning_rate: Highest learning rate of the head (AdamW).
        backbone_learning_rate: Highest learning rate of the backbone when fine-tuning. On CIFAR-10 5e-4 is better than
            this cautious default (docs/experiments.md).
        weight_decay: Of AdamW.
        warmup: Share of all steps in which the learning rate rises; afterwards it falls along a cosine to 0.
        clip_norm: Largest norm of the gradient.
        augment: Mirror images, and when fine-tuning also crop them at random and change their colours.
        crop: Least share of a picture's area that such a crop keeps.
        strong_augment: When fine-tuning, one more change to every picture (TrivialAugment, arXiv:2103.10158) and a
            rectangle erased from every fourth (arXiv:1708.04896); for few images and many epochs.
        validation_fraction: Share of the images, a class, held out to choose the checkpoint, where no validation set is
            given.
        validate_every: Epochs between two looks at the validation set; the last epoch is always looked at.
        precision: As Lightning Fabric names it: ``32-true``, ``bf16-mixed``, ``16-mixed``.
        accelerator: As Lightning Fabric names it: ``auto``, ``cpu``, ``cuda``.
        devices: Processes on this machine, or ``auto``; under ``fabric run`` and ``torchrun`` their options decide.
        workers: Processes that decode images when fine-tuning, as many again for validation images.

    Raises:
        InputError: A value outside what is allowed.
    """

    seed: int = 0
    mode: Literal["auto", "frozen", "finetune"] = "auto"
    use_labels: bool | Literal["spread"] = True
    correct_labels: bool | None = None
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 2e-3
    backbone_learning_rate: float = 2e-4
    weight_decay: float = 1e-2
    warmup: float = 0.1
    clip_norm: float = 5.0
    augment: bool = True
    crop: float = 0.4
    strong_augment: bool = False
    validation_fraction: float = 0.1
    validate_every: int = 5
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    workers: int = 2

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "frozen", "finetune"):
            raise InputError(f"mode is {self.mode!r}; allowed are 'auto', 'frozen' and 'finetune'")
        if self.strong_augment and not self.augment:
            raise InputError("strong_augment is on and augment is off; switch augment on, or strong_augment off")
        if not isinstance(self.use_labels, bool) and self.use_labels != "spread":
            raise InputError(f"use_labels is {self.use_labels!r}; allowed are true, false and 'spread'")
        if self.mode == "finetune" and self.from_neighbourhoods:
            raise InputError("mode 'finetune' needs labels of all images; set mode to 'frozen', or use_labels to true")
        if not isinstance(self.correct_labels, bool | None):
            raise InputError(f"correct_labels is {self.correct_labels!r}; allowed are true, false and None")
        if self.correct_labels and self.from_neighbourhoods:
            raise InputError("correct_labels needs use_labels = true; set that, or leave correct_labels out")
        _check_range("seed", self.seed, 0, 2**31 - 1)
        _check_range("epochs", self.epochs, 1, 100_000)
        _check_range("batch_size", self.batch_size, 2, 1_000_000)
        _check_range("warmup", self.warmup, 0.0, 1.0)
        _check_range("weight_decay", self.weight_decay, 0.0, 10.0)
        _check_range("validation_fraction", self.validation_fraction, 0.0, 0.9)
        _check_range("validate_every", self.validate_every, 1, 100_000)
        _check_range("crop", self.crop, 0.01, 1.0)
        _check_range("workers", self.workers, 0, 1024)
        if self.precision not in ("32-true", "bf16-mixed", "16-mixed"):
            raise InputError(f"precision is {self.precision!r}; allowed are '32-true', 'bf16-mixed' and '16-mixed'")
        if self.devices != "auto" and not (isinstance(self.devices, int) and self.devices >= 1):
            raise InputError(f"devices is {self.devices!r}; allowed are 'auto' and whole numbers from 1")
        for name in ("learning_rate", "backbone_learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0")

    @property
    def from_neighbourhoods(self) -> bool:
        """Whether the images' neighbourhoods are learned from, by themselves or with labels spread over them."""
        return self.use_labels is not True

    def to_json(self) -> dict[str, Any]:
        """Settings as JSON values."""
        return dataclasses.asdict(self)


def _objective(objective: str | Objective) -> Objective:
    from ordhash.learn.objectives import find_objective  # here: objectives load PyTorch, names of settings need not

    return find_objective(objective)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; allowed is {low} to {high}")
