"""What is trained (DOHConfig) and how (TrainConfig): frozen, validated on creation, stored in the model file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_type_hints

from ordhash.codes import CodeSpec
from ordhash.data import Fit
from ordhash.errors import InputError
from ordhash.learn.normalisation import NormalisationName
from ordhash.support import check_types

if TYPE_CHECKING:
    from ordhash.learn.objectives import Objective

__all__ = ["DEFAULT_CACHE", "Attention", "DOHConfig", "TrainConfig", "is_graph"]

DEFAULT_CACHE = Path(".cache")

Attention: TypeAlias = Literal["cam", "learned", "none"]
"""How the local stream chooses locations: ``cam`` takes the class activation maps as the paper does, ``learned`` is
trained for it, ``none`` takes all alike."""

_SIZE = 224  # docs/backbones.md
_SIZE_OF_SCENES = 320  # docs/experiments.md, "Objects in scenes"


def is_graph(backbone: str) -> bool:
    """Whether the name of a backbone is that of an ONNX file."""
    return backbone.endswith(".onnx")


@dataclass(frozen=True)
class DOHConfig:
    """The network and its objective.

    Attributes:
        code_bits: Length of a code in bits.
        arity: K, the number of scores that compete in a segment; a power of two from 2 to 256.
        objective: Name of an objective (``ordhash.learn.objectives.OBJECTIVES``) or an objective with its settings.
        backbone: A timm name, ``alexnet``, ``vgg16``, ``resnet50_v1``, or an ONNX file;
            ``tf_efficientnet_lite0``, ``1`` and ``2`` need no download.
        weights: ``pretrained``, a weights file for the backbone, or None for random weights.
        image_size: Shorter side of what the backbone sees, in pixels; None is 320 in training with ``backgrounds`` (and
            ``scenes`` of them, as always below), and 224 without.
        stages: Number of feature maps to concatenate: 1 uses only the last, 3 adds the outputs of the two stages
            before it, which carry more texture and parts.
        mirror: Whether to average features over a picture and its mirror image: better codes at twice the cost.
        fit: ``whole`` uses the whole photograph in its own aspect, ``squash`` squeezes it into a square, ``crop`` uses
            its centre square.
        normalisation: How pixels become the backbone's input (``NORMALISATIONS``); ``own`` is what timm states, and an
            ONNX file needs another.
        tensor: Name of the tensor of an ONNX file that holds the feature map; None takes its only output.
        hidden: Width of the global stream (fc6, fc7).
        local_hidden: Channels of the local stream (conv6, conv7).
        use_global: Whether to use the global stream.
        use_local: Whether to use the local stream.
        attention: How the local stream chooses locations: ``cam`` takes the activation maps of the predicted classes as
            the paper does, ``learned`` is trained for it, and all streams read through it, ``none`` averages over all.
            ``auto`` is ``learned`` with backgrounds, and ``cam`` without, where learned attention overfits
            (docs/experiments.md).
        dropout: Dropout rate of the features.
        hidden_dropout: Dropout rate of the global stream's hidden layers.

    Raises:
        InputError: A value is of another type, or out of range.

    >>> DOHConfig(code_bits=48, arity=4).spec.n_segments
    24
    """

    code_bits: int = 48
    arity: int = 4
    objective: str | Objective = "ordhash"
    backbone: str = "tf_efficientnet_lite0"
    weights: Literal["pretrained"] | Path | None = "pretrained"
    image_size: int | None = None
    stages: int = 1
    mirror: bool = False
    fit: Fit = "whole"
    normalisation: NormalisationName = "own"
    tensor: str | None = None
    hidden: int = 1024
    local_hidden: int = 128
    use_global: bool = True
    use_local: bool = True
    attention: Literal["auto", Attention] = "auto"
    dropout: float = 0.5
    hidden_dropout: float = 0.3
    spec: CodeSpec = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from ordhash.learn.objectives import Objective  # here, as in ``_objective``

        check_types(vars(self), get_type_hints(DOHConfig, localns={"Objective": Objective}))
        object.__setattr__(self, "spec", CodeSpec(self.code_bits, self.arity))
        objective = _objective(self.objective)
        objective.check_spec(self.spec)  # fail now, not when the loss is built after minutes of reading images
        object.__setattr__(self, "objective", objective)
        if not (self.use_global or self.use_local):
            raise InputError("both streams are switched off; leave use_global or use_local on")
        if not self.use_local:
            # Attention is part of the local stream; without that stream the option would have no effect.
            object.__setattr__(self, "attention", "none")
        _check_range("dropout", self.dropout, 0.0, 0.95)
        _check_range("hidden_dropout", self.hidden_dropout, 0.0, 0.95)
        if self.image_size is not None:
            _check_range("image_size", self.image_size, 32, 1024)
        _check_range("stages", self.stages, 1, 16)
        _check_range("hidden", self.hidden, 1, 65536)
        _check_range("local_hidden", self.local_hidden, 1, 65536)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the network is read from: of weights, or an ONNX graph and its weights; those that exist."""
        named = [self.weights] if isinstance(self.weights, Path) else []
        if is_graph(self.backbone):
            from ordhash.learn.graphs import files_of_graph  # here, because it imports ONNX and settings must not

            named += files_of_graph(Path(self.backbone))
        return tuple(path for path in named if path.is_file())

    def attention_for(self, *, scenes: bool) -> Attention:
        """How the local stream attends, ``auto`` decided.

        Args:
            scenes: Whether training images are pasted into backgrounds.

        >>> DOHConfig().attention_for(scenes=True), DOHConfig(attention="none").attention_for(scenes=True)
        ('learned', 'none')
        """
        if self.attention != "auto":
            return self.attention
        return "learned" if scenes else "cam"

    def size_for(self, *, scenes: bool) -> int:
        """Shorter side of what the backbone sees in pixels, ``None`` decided.

        Args:
            scenes: Whether training images are pasted into backgrounds.

        >>> DOHConfig().size_for(scenes=False), DOHConfig(image_size=160).size_for(scenes=True)
        (224, 160)
        """
        return self.image_size or (_SIZE_OF_SCENES if scenes else _SIZE)

    def decided(self, *, scenes: bool) -> DOHConfig:
        """The same configuration without ``None`` and ``auto``.

        Args:
            scenes: Whether training images are pasted into backgrounds.
        """
        return dataclasses.replace(
            self, image_size=self.size_for(scenes=scenes), attention=self.attention_for(scenes=scenes)
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values; the objective becomes its name and settings."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        objective = _objective(self.objective)
        values["objective"] = {"name": objective.name, **dataclasses.asdict(objective)}  # type: ignore[call-overload]
        values["weights"] = None if self.weights is None else str(self.weights)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DOHConfig:
        """The inverse of ``to_json``.

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
        seed: Seed of the split, the initial weights, the batch order and the augmentation.
        mode: ``frozen`` trains the head on features computed once, ``finetune`` trains the backbone too, ``auto`` is
            ``finetune`` on an accelerator and ``frozen`` on a CPU.
        use_labels: Whether to learn from labels. False learns from the images' neighbourhoods instead
            (``ordhash.learn.pseudolabels``), with a frozen backbone. ``spread`` combines both: unlabelled images also
            train, with labels spread from their neighbours.
        correct_labels: Whether to replace probably wrong labels before learning, if at least a tenth are wrong
            (``ordhash.learn.correction``). None leaves this to the objective; ``doh-mixup``, the default for one label
            per image and at least 100 images per class on average, does it.
        epochs: Passes over the training images.
        batch_size: Images per step, over all processes.
        learning_rate: Peak learning rate of the head (AdamW).
        backbone_learning_rate: Peak learning rate of the backbone when fine-tuning. On CIFAR-10, 3e-4 was far
            better than 1e-4 (docs/experiments.md), and the recipes use 5e-4 and 7e-4.
        weight_decay: Weight decay of AdamW.
        warmup: Share of all steps in which the learning rate rises; afterwards it follows a cosine down to 0.
        clip_norm: Maximum gradient norm.
        augment: Whether to mirror images at random; when fine-tuning, also random crops and colour jitter.
        crop: Smallest share of a picture's area that a random crop keeps.
        strong_augment: When fine-tuning, also apply TrivialAugment (arXiv:2103.10158) to every picture and erase a
            rectangle from a quarter of them (arXiv:1708.04896); for few images and many epochs.
        scenes: Sets of as many scenes as training images, if there are backgrounds to paste these into: by turns of one
            image each and of three. Every other batch is of scenes. When fine-tuning they are made anew in every epoch,
            unless this is 0.
        validation_fraction: Share of each class held out to choose the checkpoint, if no validation set is given.
        validate_every: Epochs between validations; the last epoch is always validated.
        precision: A Lightning Fabric precision: ``32-true``, ``bf16-mixed``, ``16-mixed``.
        accelerator: A Lightning Fabric accelerator: ``auto``, ``cpu``, ``cuda``.
        devices: Processes on this machine, or ``auto``; ``fabric run`` and ``torchrun`` override it.
        workers: Processes that decode images when fine-tuning, and as many again for validation images.

    Raises:
        InputError: A value is of another type, or out of range.
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
    scenes: int = 3
    validation_fraction: float = 0.1
    validate_every: int = 5
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: str = "auto"
    devices: int | Literal["auto"] = 1
    workers: int = 2

    def __post_init__(self) -> None:
        check_types(vars(self), get_type_hints(TrainConfig))
        if self.strong_augment and not self.augment:
            raise InputError("strong_augment is on and augment is off; switch augment on, or strong_augment off")
        if self.mode == "finetune" and self.from_neighbourhoods:
            raise InputError("mode 'finetune' needs labels of all images; set mode to 'frozen', or use_labels to true")
        if self.correct_labels and self.from_neighbourhoods:
            raise InputError("correct_labels needs use_labels = true; set that, or leave correct_labels out")
        _check_range("seed", self.seed, 0, 2**31 - 1)
        _check_range("epochs", self.epochs, 1, 100_000)
        _check_range("batch_size", self.batch_size, 2, 1_000_000)
        _check_range("warmup", self.warmup, 0.0, 1.0)
        _check_range("weight_decay", self.weight_decay, 0.0, 10.0)
        _check_range("validation_fraction", self.validation_fraction, 0.0, 0.9)
        _check_range("scenes", self.scenes, 0, 100)
        _check_range("validate_every", self.validate_every, 1, 100_000)
        _check_range("crop", self.crop, 0.01, 1.0)
        _check_range("workers", self.workers, 0, 1024)
        if self.devices != "auto":
            _check_range("devices", self.devices, 1, 1024)
        for name in ("learning_rate", "backbone_learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}; it must be a number above 0")

    @property
    def from_neighbourhoods(self) -> bool:
        """Whether training uses the images' neighbourhoods, alone or with labels spread over them."""
        return self.use_labels is not True

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def _objective(objective: str | Objective) -> Objective:
    from ordhash.learn.objectives import find_objective  # here, because objectives import PyTorch and settings must not

    return find_objective(objective)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; allowed is {low} to {high}")
