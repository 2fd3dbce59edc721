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

from ordhash.data import ImageSet, companions, drawn_scene, open_rgb
from ordhash.errors import InputError
from ordhash.model import FeatureMaps, Preprocessing
from ordhash.support import grouped

Rows = npt.NDArray[np.intp]
Group: TypeAlias = tuple[Tensor, Rows]
"""b inputs of one shape, and which images each shows, intp (b, k): one, or the k that are pasted into a scene."""

_KEPT_IN_MEMORY = 4 << 30  # bytes of feature maps
_ERASED = 0.25  # probability of erasing a rectangle, with strong augmentation
_GREY = 127  # close to zero after normalisation
_COLOURS = (0.7, 1.3)  # brightness, contrast and saturation of augmented pictures, as factors
_LUMINANCE = (0.2989, 0.587, 0.114)

__all__ = [
    "THINGS",
    "Batches",
    "FeatureBatches",
    "Group",
    "PictureBatches",
    "SceneMaps",
    "Share",
    "check_shares",
    "coloured",
    "epoch_order",
    "shown_labels",
]

THINGS = (1, 3)
"""How many images the scenes of a training show, by turns."""


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

    def on_device(self, inputs: Tensor, members: Rows, seed: int) -> Tensor:
        """Finish a group from ``epoch`` on the network's device, where that is faster."""
        ...


def check_shares(batch_size: int, processes: int) -> None:
    """Check that processes can share a batch evenly.

    Raises:
        InputError: ``batch_size`` is not a multiple of the number of processes.
    """
    if batch_size % processes:
        raise InputError(f"batch_size is {batch_size}; with {processes} processes it must be a multiple of {processes}")


def epoch_order(n: int, batch_size: int, seed: int, share: Share) -> list[npt.NDArray[np.intp]]:
    """This process's rows of every batch of an epoch.

    Every process draws the same order. All batches except perhaps the last are full; remaining images that do not
    divide among the processes or do not form a pair are dropped in this epoch.

    Raises:
        InputError: ``batch_size`` is not a multiple of the number of processes.

    >>> [batch.tolist() for batch in epoch_order(5, 2, 0, Share())]
    [[2, 4], [3, 0]]
    """
    check_shares(batch_size, share.processes)
    order = np.random.default_rng(seed).permutation(n)
    batches = [order[start : start + batch_size] for start in range(0, n, batch_size)]
    rest = len(batches[-1]) - len(batches[-1]) % share.processes
    batches[-1] = batches[-1][:rest]
    if len(batches[-1]) < 2 and len(batches) > 1:
        batches.pop()
    return [batch[share.rank :: share.processes] for batch in batches]


@dataclass(frozen=True, eq=False)
class SceneMaps:
    """A set of scenes of training images.

    Attributes:
        maps: Feature maps of m scenes.
        members: intp (m, k), the images that each shows.
    """

    maps: FeatureMaps
    members: Rows

    def among(self, picked: npt.NDArray[np.bool_] | Rows, n: int) -> SceneMaps:
        """The scenes that show nothing but some of the images, which are counted anew.

        Args:
            picked: The images, by mask or positions.
            n: Number of images so far.
        """
        rows = np.flatnonzero(picked) if picked.dtype == bool else picked
        place = np.full(n, -1, dtype=np.intp)
        place[rows] = np.arange(len(rows))
        members = place[self.members]
        left = (members >= 0).all(axis=1)
        return SceneMaps(self.maps.subset(left), members[left])


def shown_labels(targets: Tensor, members: Rows, *, multilabel: bool) -> Tensor:
    """Labels of inputs that show one image or several: shares of their classes, or all of them.

    Args:
        targets: Labels of the images, float (n, n_classes).
        members: intp (b, k), the images of each input.
        multilabel: Whether images carry several labels.

    Returns:
        float (b, n_classes).

    >>> shown_labels(torch.eye(2), np.array([[0, 1], [1, 1]]), multilabel=False).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    labels = targets[torch.from_numpy(members)]
    return labels.amax(dim=1) if multilabel else labels.mean(dim=1)


class FeatureBatches:
    """Batches of feature maps, optionally of the picture or its mirror image at random.

    Args:
        maps: Maps of n images.
        mirrored: Maps of the mirror images, or None.
        labels: bool (n, n_classes), or float32 for soft labels.
        cluttered: Scenes of the n images, any number of sets; a batch of scenes is of one of them, at random.
    """

    def __init__(
        self,
        maps: FeatureMaps,
        mirrored: FeatureMaps | None,
        labels: npt.NDArray[Any],
        cluttered: Sequence[SceneMaps] = (),
    ) -> None:
        cluttered = [scenes for scenes in cluttered if len(scenes.maps)]
        sets = [maps, *([] if mirrored is None else [mirrored]), *(scenes.maps for scenes in cluttered)]
        float_bytes = sum(4 * int(part.sizes.sum()) for part in sets)
        # If they fit in memory, read and convert to float32 once: per batch it takes as long as the network itself.
        held = [part.in_memory() for part in sets] if float_bytes <= _KEPT_IN_MEMORY else sets
        self._plain, self._mirrored = held[0], None if mirrored is None else held[1]
        of_scenes = held[len(sets) - len(cluttered) :]
        self._cluttered = [SceneMaps(part, one.members) for part, one in zip(of_scenes, cluttered, strict=True)]
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
            if clutter and self.has_scenes and _is_of_scenes(number, seed):
                scenes = self._cluttered[drawn.integers(len(self._cluttered))]
                wanted = rows % len(scenes.maps)  # a few are left out where images are held out
                found = scenes.maps.groups(wanted)
                yield [(torch.from_numpy(values), scenes.members[wanted[group]]) for group, values in found]
                continue
            groups: list[Group] = []
            for group, values in self._plain.groups(rows):
                chosen = rows[group]
                if self._mirrored is not None and flipped[chosen].any():
                    values[flipped[chosen]] = self._mirrored.read(chosen[flipped[chosen]])
                groups.append((torch.from_numpy(values), chosen[:, None]))
            yield groups

    def on_device(self, inputs: Tensor, members: Rows, seed: int) -> Tensor:
        """See ``Batches``; nothing to do."""
        return inputs


_Wanted: TypeAlias = tuple[int, tuple[int, ...], bool]
"""Seed of the epoch, the pictures to show, and whether in a scene."""


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
        seed, members, in_scene = wanted
        if in_scene and self.backgrounds is not None:
            return self._scene(seed, members, self.backgrounds)
        (row,) = members
        if self.transform is None:
            return torch.from_numpy(np.ascontiguousarray(self.preprocessing.read(self.images, row)))
        # Large enough that the smallest crop has at least the network's input size.
        picture = open_rgb(self.images.images[row], name=self.images.name(row), least_side=self._least_side)
        # Augmentation depends only on seed, epoch and image, not on the worker.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(_seed_of(seed, row))
            channels_first: Tensor = self.transform(picture)
        return channels_first.permute(1, 2, 0).contiguous()

    def _scene(self, seed: int, members: tuple[int, ...], backgrounds: ImageSet) -> Tensor:
        """A scene of pictures, mirrored at random; not cropped, which could take one away."""
        things, first = [self.images.images[row] for row in members], members[0]
        pixels = self.preprocessing.read(ImageSet([drawn_scene(things, backgrounds, draw=f"{seed}/{first}")]), 0)
        mirrored = self.transform is not None and np.random.default_rng([_seed_of(seed, first), 1]).random() < 0.5
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
        drawn = np.random.default_rng([seed, 2])
        members, trios = [], companions(drawn.permutation(len(self)), min(max(THINGS), len(self)))
        for rows, scenes in zip(order, in_scenes, strict=True):
            each = int(drawn.choice(THINGS)) if scenes else 1
            members.append(trios[rows, :each])
        self._batches[:] = [
            [(seed, tuple(shown), scenes) for shown in of_batch.tolist()]
            for of_batch, scenes in zip(members, in_scenes, strict=True)
        ]
        for groups, of_batch in zip(self._loader, members, strict=True):
            yield [(pictures, of_batch[group]) for pictures, group in groups]

    def on_device(self, inputs: Tensor, members: Rows, seed: int) -> Tensor:
        """See ``Batches``."""
        if not self._augment:
            return inputs
        firsts = members[:, 0].tolist()
        drawn = [np.random.default_rng(_seed_of(seed, row)).uniform(*_COLOURS, 3) for row in firsts]
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
