"""Training batches: cached feature maps of a frozen backbone, or pictures decoded and augmented on the fly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from ordhash.data import ImageSet, drawn_scene, open_rgb
from ordhash.errors import InputError
from ordhash.model import FeatureMaps, Preprocessing, grouped

Rows = npt.NDArray[np.intp]
Group: TypeAlias = tuple[Tensor, Rows]
"""Inputs of one shape, and their rows."""

_KEPT_IN_MEMORY = 4 << 30  # bytes of feature maps
_ERASED = 0.25  # probability of erasing a rectangle, with strong augmentation
_GREY = 127  # close to zero after normalisation
_COLOURS = (0.7, 1.3)  # brightness, contrast and saturation of augmented pictures, as factors
_LUMINANCE = (0.2989, 0.587, 0.114)

__all__ = ["Batches", "FeatureBatches", "Group", "PictureBatches", "Share", "coloured", "epoch_order"]


@dataclass(frozen=True)
class Share:
    """One process's part of every batch: rows ``rank``, ``rank + processes``, ..."""

    rank: int = 0
    processes: int = 1


class Batches(Protocol):
    """Source of training batches: ``labels`` of the whole set, and whether scenes of it are learned from too."""

    labels: Tensor
    has_scenes: bool

    def __len__(self) -> int:
        """Number of training images."""
        ...

    def epoch(self, order: list[Rows], seed: int, *, clutter: bool = False) -> Iterator[list[Group]]:
        """Yield the inputs of every batch in ``order``, augmented from ``seed``, in a group for every shape.

        With ``clutter``, every other batch is of scenes of the images, if there are any.
        """
        ...

    def on_device(self, inputs: Tensor, rows: Rows, seed: int) -> Tensor:
        """Finish a group from ``epoch`` on the network's device, where that is faster."""
        ...


def epoch_order(n: int, batch_size: int, seed: int, share: Share) -> list[npt.NDArray[np.intp]]:
    """This process's rows of every batch of an epoch.

    Every process draws the same order. All batches except perhaps the last are full; remaining images that do not
    divide among the processes or do not form a pair are dropped in this epoch.

    Raises:
        InputError: ``batch_size`` is not a multiple of the number of processes.

    >>> [batch.tolist() for batch in epoch_order(5, 2, 0, Share())]
    [[2, 4], [3, 0]]
    """
    if batch_size % share.processes:
        raise InputError(
            f"batch_size is {batch_size}; with {share.processes} processes it must be a multiple of {share.processes}"
        )
    order = np.random.default_rng(seed).permutation(n)
    batches = [order[start : start + batch_size] for start in range(0, n, batch_size)]
    rest = len(batches[-1]) - len(batches[-1]) % share.processes
    batches[-1] = batches[-1][:rest]
    if len(batches[-1]) < 2 and len(batches) > 1:
        batches.pop()
    return [batch[share.rank :: share.processes] for batch in batches]


class FeatureBatches:
    """Batches of feature maps, optionally of the picture or its mirror image at random.

    Args:
        maps: Maps of n images.
        mirrored: Maps of the mirror images, or None.
        labels: bool (n, n_classes), or float32 for soft labels.
        cluttered: Maps of scenes of the n images, any number of sets; a batch of scenes is of one of them, at random.
    """

    def __init__(
        self,
        maps: FeatureMaps,
        mirrored: FeatureMaps | None,
        labels: npt.NDArray[Any],
        cluttered: Sequence[FeatureMaps] = (),
    ) -> None:
        sets = [maps, *([] if mirrored is None else [mirrored]), *cluttered]
        float_bytes = sum(4 * int(part.sizes.sum()) for part in sets)
        # If they fit in memory, read and convert to float32 once: per batch it takes as long as the network itself.
        held = [part.in_memory() for part in sets] if float_bytes <= _KEPT_IN_MEMORY else sets
        self._plain, self._mirrored = held[0], None if mirrored is None else held[1]
        self._cluttered = held[len(sets) - len(cluttered) :]
        self.has_scenes = bool(cluttered)
        self.maps = maps
        self.labels = torch.from_numpy(labels.astype(np.float32))

    def __len__(self) -> int:
        return len(self.labels)

    def epoch(self, order: list[Rows], seed: int, *, clutter: bool = False) -> Iterator[list[Group]]:
        """See ``Batches``."""
        flipped = np.random.default_rng([seed, 1]).random(len(self)) < 0.5
        drawn = np.random.default_rng([seed, 2])
        for number, rows in enumerate(order):
            scenes = clutter and self.has_scenes and _is_of_scenes(number, seed)
            source = self._cluttered[drawn.integers(len(self._cluttered))] if scenes else self._plain
            groups: list[Group] = []
            for group, values in source.groups(rows):
                chosen = rows[group]
                if self._mirrored is not None and not scenes and flipped[chosen].any():
                    values[flipped[chosen]] = self._mirrored.read(chosen[flipped[chosen]])
                groups.append((torch.from_numpy(values), chosen))
            yield groups

    def on_device(self, inputs: Tensor, rows: Rows, seed: int) -> Tensor:
        """See ``Batches``; nothing to do."""
        return inputs


_Wanted: TypeAlias = tuple[int, int, bool]
"""Seed of the epoch, row, and whether a scene of the picture is wanted."""


class _Pictures(Dataset[Tensor]):
    """Pictures, indexed by what is wanted."""

    def __init__(
        self,
        images: ImageSet,
        preprocessing: Preprocessing,
        crop: float | None,
        strong: bool,
        backgrounds: ImageSet | None,
    ) -> None:
        self.images = images
        self.backgrounds = backgrounds
        self.preprocessing = preprocessing
        self.transform = None
        if crop is not None:
            self._least_side = math.ceil(max(2.0, crop**-0.5) * preprocessing.size)
            self.transform = v2.Compose(
                [
                    v2.RandomResizedCrop(preprocessing.size, scale=(crop, 1.0), antialias=True),
                    v2.RandomHorizontalFlip(),
                    *([v2.TrivialAugmentWide(fill=[_GREY])] if strong else []),
                    v2.PILToTensor(),
                    *([v2.RandomErasing(p=_ERASED, value=_GREY)] if strong else []),
                ]
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, wanted: _Wanted) -> Tensor:
        seed, row, in_scene = wanted
        if in_scene and self.backgrounds is not None:
            return self._scene(seed, row, self.backgrounds)
        if self.transform is None:
            return torch.from_numpy(np.ascontiguousarray(self.preprocessing.read(self.images, row)))
        # Large enough that the smallest crop has at least the network's input size.
        picture = open_rgb(self.images.images[row], name=self.images.name(row), least_side=self._least_side)
        # Augmentation depends only on seed, epoch and image, not on the worker.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(_seed_of(seed, row))
            channels_first: Tensor = self.transform(picture)
        return channels_first.permute(1, 2, 0).contiguous()

    def _scene(self, seed: int, row: int, backgrounds: ImageSet) -> Tensor:
        """A scene of a picture, mirrored at random; not cropped, which could take the picture away."""
        scene = drawn_scene(self.images.images[row], backgrounds, draw=f"{seed}/{row}")
        pixels = self.preprocessing.read(ImageSet([scene]), 0)
        mirrored = self.transform is not None and np.random.default_rng([_seed_of(seed, row), 1]).random() < 0.5
        return torch.from_numpy(np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels))


class PictureBatches:
    """Pictures uint8 (b, h, w, 3), decoded, cropped and mirrored at random in worker processes.

    Colour jitter runs on the network's device: it takes as long as everything else together, and a GPU has time for it.

    Args:
        images: n images with labels, all usable.
        preprocessing: How pictures are prepared.
        crop: Smallest share of the area that a random crop keeps; None disables augmentation.
        workers: Processes that decode.
        strong: Whether to augment more, see ``TrainConfig.strong_augment``.
        backgrounds: Photographs that pictures are pasted into, anew in every epoch; None for no scenes.
    """

    def __init__(
        self,
        images: ImageSet,
        preprocessing: Preprocessing,
        *,
        crop: float | None,
        workers: int,
        strong: bool = False,
        backgrounds: ImageSet | None = None,
    ) -> None:
        if images.labels is None:
            raise ValueError("images need labels")  # the trainer has checked
        self.images = images
        self.labels = torch.from_numpy(images.labels.astype(np.float32))
        self.has_scenes = backgrounds is not None
        self._augment = crop is not None
        self._batches: list[list[_Wanted]] = []  # of this epoch; the loader reads it at its start
        self._loader: DataLoader[Any] = DataLoader(
            _Pictures(images, preprocessing, crop, strong, backgrounds),
            batch_sampler=self._batches,
            num_workers=workers,
            persistent_workers=workers > 0,  # starting them takes longer than a short epoch
            collate_fn=_in_groups,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # keeps seeding of workers out of the training's random state
        )

    def __len__(self) -> int:
        return len(self.images)

    def epoch(self, order: list[Rows], seed: int, *, clutter: bool = False) -> Iterator[list[Group]]:
        """See ``Batches``."""
        in_scenes = [clutter and self.has_scenes and _is_of_scenes(number, seed) for number in range(len(order))]
        self._batches[:] = [
            [(seed, row, scenes) for row in rows.tolist()] for rows, scenes in zip(order, in_scenes, strict=True)
        ]
        for groups, rows in zip(self._loader, order, strict=True):
            yield [(pictures, rows[group]) for pictures, group in groups]

    def on_device(self, inputs: Tensor, rows: Rows, seed: int) -> Tensor:
        """See ``Batches``."""
        if not self._augment:
            return inputs
        drawn = [np.random.default_rng(_seed_of(seed, row)).uniform(*_COLOURS, 3) for row in rows.tolist()]
        return coloured(inputs, torch.tensor(np.array(drawn), dtype=torch.float32, device=inputs.device))


def _is_of_scenes(number: int, seed: int) -> bool:
    """Whether the batch of that number is of scenes: every other one is, and in the next epoch the others are."""
    return (number + seed) % 2 == 1


def _in_groups(pictures: Sequence[Tensor]) -> list[Group]:
    """Pictures of a batch, stacked where they have the same shape, and which of them they are."""
    groups = grouped([tuple(picture.shape) for picture in pictures])
    return [(torch.stack([pictures[place] for place in group]), group) for group in groups]


def _seed_of(seed: int, row: int) -> int:
    return (seed * 1_000_003 + row) % 2**63


def coloured(pictures: Tensor, factors: Tensor) -> Tensor:
    """Adjust brightness, contrast and saturation, in this order, as torchvision does.

    Args:
        pictures: uint8 (n, h, w, 3).
        factors: float (n, 3): 0 gives black, grey, colourless pictures; 1 changes nothing.

    Returns:
        uint8 (n, h, w, 3).

    >>> coloured(torch.full((1, 1, 1, 3), 100, dtype=torch.uint8), torch.tensor([[1.5, 1.0, 0.0]])).tolist()
    [[[[150, 150, 150]]]]
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    values = (pictures.float() * brightness).clamp(0, 255)
    grey = (values @ values.new_tensor(_LUMINANCE))[..., None]
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    values = (mean + contrast * (values - mean)).clamp(0, 255)
    grey = (values @ values.new_tensor(_LUMINANCE))[..., None]
    return (grey + saturation * (values - grey)).clamp(0, 255).round().to(torch.uint8)
