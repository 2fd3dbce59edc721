"""The convolutions of AlexNet and VGG-16 (torchvision's layers), to compare with results that papers report on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision import models

__all__ = ["TRUNKS", "Trunk", "convolution_names", "make_trunk"]

TRUNKS = {"alexnet": models.alexnet, "vgg16": models.vgg16}


class Trunk(nn.Module):
    """Convolutions, ReLUs and max poolings, with timm's interface for feature maps.

    Args:
        features: The layers; each pooling ends a stage, and the last layer is a pooling.
    """

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.num_features = [part.out_channels for part in features if isinstance(part, nn.Conv2d)][-1]

    def forward_features(self, images: Tensor) -> Tensor:
        """Last feature map, float (n, D, h, w), of normalised pictures (n, 3, size, size)."""
        features: Tensor = self.features(images)
        return features

    def forward_intermediates(
        self, images: Tensor, indices: Sequence[int] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The last map, and the maps after some poolings.

        Args:
            images: Normalised pictures (n, 3, size, size).
            indices: Indices of the poolings, ascending; None returns all, including the last.
        """
        maps = []
        for part in self.features:
            images = part(images)
            if isinstance(part, nn.MaxPool2d):
                maps.append(images)
        return images, maps if indices is None else [maps[index] for index in indices]


def make_trunk(name: str) -> Trunk:
    """Build a trunk by its name in ``TRUNKS``, with random weights from torch's random state.

    >>> make_trunk("alexnet").forward_features(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 256, 6, 6])
    """
    features = _layers(name).to_empty(device="cpu")
    for part in features:
        if isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(part.bias)
    return Trunk(features)


def _layers(name: str) -> nn.Sequential:
    with torch.device("meta"):  # no storage: the classifier, nine tenths of the network, is never allocated
        features: nn.Sequential = TRUNKS[name](weights=None).features
    return features


def convolution_names(name: str) -> list[str]:
    """Names of a trunk's convolutions in its state dict, in order."""
    return [f"features.{key}" for key, part in _layers(name).named_children() if isinstance(part, nn.Conv2d)]
