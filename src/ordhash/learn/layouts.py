"""How networks of timm lay out what they see of each location, and how it becomes a map (n, D, h, w).

Convolutional networks give the map itself. Some hierarchical transformers give it with the channels last; others, and
plain transformers, give a row of tokens: one for each location, and before them prefix tokens (a class token,
registers), which belong to no location and are left out. A few end with a class token alone, or with several maps;
their last stage is taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import timm
from torch import Tensor, nn

from ordhash.data import STEP, step_for

__all__ = [
    "Layout",
    "alike",
    "as_map",
    "earlier_stages",
    "is_for_one_size",
    "layout_of",
    "plain_attention",
    "resize",
    "sized_network",
    "step_of",
]

Layout: TypeAlias = Literal["map", "channels last", "tokens", "stage"]


def layout_of(last: Any, stage: Tensor) -> Layout:
    """How a network lays out its output.

    Args:
        last: What the network gives.
        stage: Its last intermediate map (n, D, h, w).

    >>> import torch
    >>> stage = torch.zeros(1, 8, 7, 7)
    >>> layout_of(torch.zeros(1, 50, 8), stage), layout_of(torch.zeros(1, 7, 7, 8), stage)
    ('tokens', 'channels last')
    """
    sides = stage.shape[2:]
    if isinstance(last, Tensor) and last.ndim == 3 and last.shape[1] >= sides.numel():
        return "tokens"
    if isinstance(last, Tensor) and last.ndim == 4:
        turned = last.shape[1:3] == sides and last.shape[3] == stage.shape[1] and last.shape != stage.shape
        return "channels last" if turned else "map"
    return "stage"


def as_map(last: Tensor, stage: Tensor, layout: Layout) -> Tensor:
    """The map (n, D, h, w) in a network's output.

    Args:
        last: What the network gives.
        stage: Its last intermediate map (n, D, h, w).
        layout: As ``layout_of`` found it.

    >>> import torch
    >>> as_map(torch.arange(7.0).reshape(1, 7, 1), torch.zeros(1, 1, 2, 3), "tokens").tolist()  # 0 is a class token
    [[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]
    """
    if layout == "stage":
        return stage
    if layout == "channels last":
        return last.permute(0, 3, 1, 2)
    if layout == "tokens":
        height, width = stage.shape[2:]
        located = last[:, last.shape[1] - height * width :]
        return located.transpose(1, 2).reshape(last.shape[0], last.shape[2], height, width)
    return last


def alike(stages: list[Tensor]) -> bool:
    """Whether all maps of a network have one shape, as in plain transformers, whose blocks are alike."""
    return len({stage.shape for stage in stages}) == 1


def earlier_stages(last: Tensor, stages: list[Tensor]) -> tuple[int, ...]:
    """Which maps can be joined to the last one: timm's indices, latest first.

    Args:
        last: The last map (n, D, h, w).
        stages: All intermediate maps. Where there is one for each of many blocks that are alike, those after three
            quarters, half and a quarter of the blocks count as stages.
    """
    if alike(stages):
        return tuple(dict.fromkeys(round(len(stages) * quarters / 4) - 1 for quarters in (3, 2, 1)))
    # Many networks end with their last stage; others, like EfficientNet, add another layer after it.
    return tuple(index for index in reversed(range(len(stages))) if stages[index].shape != last.shape)


def sized_network(name: str) -> Any:
    """A network of timm with random weights and no classifier, which takes pictures of other sizes if it can.

    A plain transformer then interpolates what it has learned of positions. Those with windows could take other sizes
    too, but the export of such a network takes many minutes.
    """
    network = timm.create_model(name, pretrained=False, num_classes=0)
    if getattr(network, "dynamic_img_size", None) is False and hasattr(network, "pos_embed"):
        network = timm.create_model(name, pretrained=False, num_classes=0, dynamic_img_size=True)
    return network


def resize(network: Any, image_size: int) -> None:
    """Prepare a network that is made for one size of picture for another.

    Args:
        network: From ``sized_network``, with its weights; changed in place.
        image_size: Side of the pictures, in pixels.
    """
    own = getattr(network, "pretrained_cfg", {}).get("input_size", (3, 0, 0))[1:]
    if is_for_one_size(network) and own != (image_size, image_size):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of torch, about how timm interpolates
            network.set_input_size((image_size, image_size))


@contextmanager
def plain_attention(network: nn.Module) -> Iterator[None]:
    """Compute attention of transformers step by step: PyTorch's one operator for it has no ONNX form in all layouts."""
    parts = [part for part in network.modules() if getattr(part, "fused_attn", False)]
    for part in parts:
        part.fused_attn = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for part in parts:
            part.fused_attn = True  # type: ignore[assignment]


def is_for_one_size(network: Any) -> bool:
    """Whether the windows or positions of a network are made for one size, though it can be changed."""
    return hasattr(network, "set_input_size") and not getattr(network, "dynamic_img_size", False)


def step_of(network: Any) -> int:
    """What the sides of pictures in their own aspect are multiples of.

    It is ``STEP``, unless a location of the map is as wide as a number of pixels that does not divide it.
    """
    stages = getattr(network, "feature_info", None)
    reduction = stages[-1]["reduction"] if isinstance(stages, list) and stages else STEP
    return step_for(int(reduction))
