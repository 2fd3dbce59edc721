"""Networks that timm lacks: the convolutions of AlexNet and VGG-16, as in papers, and ResNet-50 in its first form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

__all__ = ["TRUNKS", "PlainTrunk", "ResNetTrunk", "Trunk", "convolution_names", "make_trunk"]

TRUNKS = ("alexnet", "vgg16", "resnet50_v1")
_PLAIN = {"alexnet": models.alexnet, "vgg16": models.vgg16}


class Trunk(nn.Module, ABC):
    """A network up to its last feature map, with timm's interface for feature maps."""

    @abstractmethod
    def maps(self, images: Tensor) -> list[Tensor]:
        """The map after each stage, float (n, D, h, w), of normalised pictures (n, 3, H, W)."""

    def forward_features(self, images: Tensor) -> Tensor:
        """Last feature map, float (n, D, h, w), of normalised pictures (n, 3, H, W)."""
        return self.maps(images)[-1]

    def forward_intermediates(
        self, images: Tensor, indices: Sequence[int] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The last map, and the maps after some stages.

        Args:
            images: Normalised pictures (n, 3, H, W).
            indices: Indices of the stages, ascending; None returns all, including the last.
        """
        maps = self.maps(images)
        return maps[-1], maps if indices is None else [maps[index] for index in indices]


class PlainTrunk(Trunk):
    """Convolutions, ReLUs and max poolings.

    Args:
        features: The layers; each pooling ends a stage, and the last layer is a pooling.
    """

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features

    def maps(self, images: Tensor) -> list[Tensor]:
        """The map after each pooling."""
        found = []
        for part in self.features:
            images = part(images)
            if isinstance(part, nn.MaxPool2d):
                found.append(images)
        return found


class ResNetTrunk(Trunk):
    """ResNet-50 as first published (He et al., CVPR 2016).

    A stage halves the map in its first convolution, of 1 x 1; torchvision and timm do so in the second, of 3 x 3.
    """

    def __init__(self) -> None:
        super().__init__()
        network = models.resnet50(weights=None)
        for name, part in network.named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, part)
        for stage in self._stages()[1:]:
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eps = 1e-3  # Keras's

    def _stages(self) -> list[Any]:
        return [getattr(self, f"layer{number}") for number in range(1, 5)]

    def maps(self, images: Tensor) -> list[Tensor]:
        """The map after each of the four stages."""
        trunk: Any = self
        found, current = [], trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(images))))
        for stage in self._stages():
            current = stage(current)
            found.append(current)
        return found


def make_trunk(name: str) -> Trunk:
    """Build a trunk by its name in ``TRUNKS``, with random weights from torch's random state.

    >>> make_trunk("alexnet").forward_features(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 256, 6, 6])
    """
    if name == "resnet50_v1":
        return ResNetTrunk()
    features = _layers(name).to_empty(device="cpu")
    for part in features:
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(part.bias)
    return PlainTrunk(features)


def _layers(name: str) -> nn.Sequential:
    with torch.device("meta"):  # no storage: the classifier, nine tenths of the network, is never allocated
        features: nn.Sequential = _PLAIN[name](weights=None).features
    return features


def convolution_names(name: str) -> list[str]:
    """Names of a trunk's convolutions in its state dict, in order."""
    return [f"features.{key}" for key, part in _layers(name).named_children() if isinstance(part, nn.Conv2d)]
