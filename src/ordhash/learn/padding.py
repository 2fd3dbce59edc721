"""Padding that depends on the size of the picture, as TensorFlow's does, fixed where it is the same for all sizes."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn
from torch.nn import functional

from ordhash.data import STEP

__all__ = ["with_fixed_padding"]

_Module = TypeVar("_Module", bound=nn.Module)


class _FixedPadding(nn.Module):
    """A convolution that was padded by what a rule said for its input, and is padded by numbers."""

    def __init__(self, convolution: Conv2dSame, sides: tuple[int, ...]) -> None:
        super().__init__()
        self.convolution = convolution
        self.sides = sides

    def forward(self, maps: Tensor) -> Tensor:
        layer = self.convolution
        padded = functional.pad(maps, self.sides)
        return functional.conv2d(padded, layer.weight, layer.bias, layer.stride, (0, 0), layer.dilation, layer.groups)


def with_fixed_padding(backbone: _Module) -> _Module:
    """A backbone whose padding does not depend on the size of pictures, if sides are multiples of ``STEP``; a copy.

    A layer of stride 2 whose input has an even side needs the same padding whatever the side. An export for any height
    and width needs that: the rule's formula, layer in layer, would keep it busy for hours.

    Args:
        backbone: Takes pictures uint8 (n, h, w, 3); in evaluation mode.
    """
    if not any(isinstance(layer, Conv2dSame) for layer in backbone.modules()):
        return backbone
    fixed = copy.deepcopy(backbone)
    sides: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        rules = zip(inputs[0].shape[2:], layer.kernel_size, layer.stride, layer.dilation, strict=True)  # type: ignore[arg-type]
        down, across = (get_same_padding(*rule) for rule in rules)
        sides[layer] = (across // 2, across - across // 2, down // 2, down - down // 2)

    layers = {name: layer for name, layer in fixed.named_modules() if isinstance(layer, Conv2dSame)}
    hooks = [layer.register_forward_pre_hook(note) for layer in layers.values()]
    with torch.inference_mode():
        fixed(torch.zeros(1, 2 * STEP, 2 * STEP, 3, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        fixed.set_submodule(name, _FixedPadding(layer, sides[layer]))
    return fixed
