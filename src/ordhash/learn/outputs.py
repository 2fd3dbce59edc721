"""What a network gives for many images: scores, and features averaged over locations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ordhash.codes import PartCodes
from ordhash.errors import DataError, InputError
from ordhash.learn.batches import Batches, Group, PictureBatches, Share
from ordhash.learn.network import HeadOutput
from ordhash.model import FeatureMaps, part_codes
from ordhash.support import grouped

__all__ = ["averages_of", "features_of", "parts_of", "scores_of"]

_AT_ONCE = 64


def features_of(
    network: nn.Module, batches: Batches, batch_size: int, fabric: Fabric, pooled: Callable[[Any], Tensor]
) -> Tensor:
    """Pooled features of every training image, float32 (n, D), on the CPU; the same in every process.

    Leaves the network on the training device, in evaluation mode. Pictures are cropped and mirrored at random.

    Args:
        network: The network, or what it begins with.
        batches: Training images.
        batch_size: Images at once.
        fabric: Where the network is.
        pooled: Takes float (n, D) from what the network gives for n images.

    Raises:
        DataError: They are not finite.
        InputError: There are fewer images than processes.
    """
    share = Share(fabric.global_rank, fabric.world_size)
    if len(batches) < share.processes:
        raise InputError(
            f"there are {len(batches)} training images for {share.processes} processes; take at most as many processes"
        )
    network.to(fabric.device).eval()
    mine = np.arange(share.rank, len(batches), share.processes)
    order = [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]
    features: Tensor | None = None
    with torch.inference_mode():
        for inputs, members in itertools.chain.from_iterable(batches.epoch(order, 0)):
            with fabric.autocast():
                part = pooled(network(inputs.to(fabric.device)))
            if features is None:
                features = torch.zeros(len(batches), part.shape[1], device=fabric.device)
            features[torch.from_numpy(members[:, 0]).to(fabric.device)] = part.float()
        if features is None:
            raise TypeError("there are images")  # for the type checker
        together = fabric.all_reduce(features, reduce_op="sum")  # other processes' rows are 0
        if not isinstance(together, Tensor):
            raise TypeError("a tensor is reduced to a tensor")  # for the type checker
        if not bool(together.isfinite().all()):
            raise DataError("the backbone gives NaN or infinite features; choose other weights")
        return together.cpu()


def scores_of(network: nn.Module, inputs: FeatureMaps | PictureBatches, fabric: Fabric) -> npt.NDArray[np.float32]:
    """Scores float32 (n, n_segments, arity) of n >= 1 images; leaves the network in evaluation mode."""
    return _outputs_of(network, inputs, fabric, lambda output: output.scores)


def averages_of(network: nn.Module, inputs: FeatureMaps | PictureBatches, fabric: Fabric) -> npt.NDArray[np.float32]:
    """Features averaged over locations, float32 (n, D), of n >= 1 images; leaves the network in evaluation mode."""
    return _outputs_of(network, inputs, fabric, lambda output: output.features)


def parts_of(network: nn.Module, maps: FeatureMaps, fabric: Fabric) -> PartCodes:
    """Codes of the parts of n >= 1 images, as a model file with this head gives them; leaves it in evaluation mode.

    Args:
        network: A head.
        maps: Feature maps of the images.
        fabric: Where the head is.
    """
    network.eval()
    several, counts = [], []

    def outputs(features: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        output: HeadOutput = network(torch.from_numpy(features).to(fabric.device))
        if output.attention is None:
            raise TypeError("a head gives attention")  # for the type checker
        return output.scores.float().cpu().numpy(), output.attention.float().cpu().numpy()

    def scores_of_maps(given: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        groups = grouped([one.shape for one in given])
        found = [outputs(np.stack([given[place] for place in group]).astype(np.float32))[0] for group in groups]
        return np.concatenate(found)[np.argsort(np.concatenate(groups))]

    with torch.inference_mode(), fabric.autocast():
        for start in range(0, len(maps), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(maps)))
            looked: list[tuple[npt.NDArray[np.float32], ...]] = [()] * len(rows)
            for group, features in maps.groups(rows):
                for place, *one in zip(group.tolist(), features, *outputs(features), strict=True):
                    looked[place] = tuple(one)
            features_of_rows, scores, attention = zip(*looked, strict=True)
            several.append(part_codes(np.stack(scores), features_of_rows, attention, scores_of_maps))
            counts.append(len(rows))
    return PartCodes.joined(several, counts)


def _outputs_of(
    network: nn.Module, inputs: FeatureMaps | PictureBatches, fabric: Fabric, part: Callable[[HeadOutput], Any]
) -> npt.NDArray[np.float32]:
    network.eval()
    groups: Iterator[Group]
    order = [np.arange(start, min(start + _AT_ONCE, len(inputs))) for start in range(0, len(inputs), _AT_ONCE)]
    if isinstance(inputs, FeatureMaps):
        groups = (
            (torch.from_numpy(maps), rows[group][:, None]) for rows in order for group, maps in inputs.groups(rows)
        )
    else:
        groups = itertools.chain.from_iterable(inputs.epoch(order, 0))
    rows, values = [], []
    with torch.inference_mode(), fabric.autocast():
        for some, members in groups:
            rows.append(members[:, 0])
            values.append(part(network(some.to(fabric.device))).float().cpu().numpy())
    return np.concatenate(values)[np.argsort(np.concatenate(rows))]
