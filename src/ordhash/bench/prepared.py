"""A protocol as methods see it: features of its images, computed once and shared by all of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.data import ImageSet
from ordhash.data.protocols import Protocol
from ordhash.errors import DataError
from ordhash.learn import DOHConfig, exported_backbone, labelled, labels_of
from ordhash.model import FeatureMaps, FeatureStore
from ordhash.support import replace_file

__all__ = ["Part", "Prepared", "prepare_protocol"]


@dataclass(frozen=True, eq=False)
class Part:
    """Images of a protocol.

    Attributes:
        maps: Their feature maps.
        pooled: The same, averaged over locations: maps (n, D, 1, 1). A global stream sees no more.
        labels: bool (n, n_classes), or pseudo labels, float32.
        images: The images.
    """

    maps: FeatureMaps
    pooled: FeatureMaps
    labels: npt.NDArray[Any]
    images: ImageSet

    def subset(self, picked: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Part:
        """Some of the images: a boolean mask, or positions."""
        return Part(
            self.maps.subset(picked), self.pooled.subset(picked), self.labels[picked], self.images.subset(picked)
        )

    def averages(self) -> npt.NDArray[np.float32]:
        """Feature maps averaged over locations, float32 (n, D)."""
        return self.pooled.read(np.arange(len(self.pooled)))[:, :, 0, 0]

    def seen(self, *, whole_maps: bool) -> FeatureMaps:
        """What a network reads."""
        return self.maps if whole_maps else self.pooled


@dataclass(frozen=True, eq=False)
class Prepared:
    """A protocol with its features.

    Attributes:
        protocol: The protocol.
        hash: Its hash.
        train: Training images with a label.
        validation: Its own validation images, if it has any.
        query: Queries.
        database: Database.
        last_channels: Channels of the backbone's last map, which stand first.
    """

    protocol: Protocol
    hash: str
    train: Part
    validation: Part | None
    query: Part
    database: Part
    last_channels: int


def prepare_protocol(protocol: Protocol, config: DOHConfig, cache: Path, *, progress: bool = False) -> Prepared:
    """Compute the features of a protocol's images, or find them in the cache.

    Args:
        protocol: The protocol.
        config: Names the backbone.
        cache: Folder of feature maps and exported backbones.
        progress: Whether to show bars.

    Raises:
        DataError: An image cannot be used: numbers on parts of a protocol are not comparable.
    """
    backbone, frozen = exported_backbone(config, cache)
    store, found_hash = FeatureStore(cache / "features"), protocol.hash()

    def part(name: str, images: ImageSet) -> Part:
        maps = store.maps(images, frozen, progress=progress)
        if maps.failures:
            raise DataError(f"protocol {protocol.name}: {maps.failures[0]}; a benchmark needs every image")
        path = cache / "pooled" / f"{found_hash}-{name}-{frozen.folder_name}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pooled = maps.pooled()
            replace_file(path, lambda file: np.save(file, pooled))
        pooled = np.load(path, mmap_mode="r")
        rows = np.arange(len(pooled))
        one_place = dataclasses.replace(maps, store=pooled[:, :, None, None], positions=rows)
        return Part(maps, one_place, labels_of(images), images)

    return Prepared(
        protocol,
        found_hash,
        part("train", labelled(protocol.train)),
        None if protocol.validation is None else part("validation", labelled(protocol.validation)),
        part("query", protocol.query),
        part("database", protocol.database),
        backbone.last_channels,
    )
