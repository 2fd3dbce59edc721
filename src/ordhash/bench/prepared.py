"""A protocol with the features of its images, computed once and shared by all methods."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ordhash.data import ImageSet
from ordhash.data.protocols import Protocol
from ordhash.errors import DataError
from ordhash.learn import DOHConfig, SceneMaps, exported_backbone, labelled, labels_of, training_scenes
from ordhash.model import FeatureMaps, FeatureStore, FrozenBackbone
from ordhash.support import replace_file

__all__ = ["Part", "Prepared", "prepare_protocol"]


@dataclass(frozen=True, eq=False)
class Scenes:
    """A set of scenes of training images, to train with too.

    Attributes:
        maps: Their feature maps, and which images each shows.
        pooled: The same with maps averaged over locations.
    """

    maps: SceneMaps
    pooled: SceneMaps

    def seen(self, *, whole_maps: bool) -> SceneMaps:
        """The network's input: whole maps or averages."""
        return self.maps if whole_maps else self.pooled


@dataclass(frozen=True, eq=False)
class Part:
    """Images of a protocol.

    Attributes:
        maps: Their feature maps.
        pooled: The maps averaged over locations; enough for a global stream.
        labels: bool (n, n_classes), or pseudo labels, float32.
        images: The images.
        cluttered: Sets of scenes of these images.
    """

    maps: FeatureMaps
    pooled: FeatureMaps
    labels: npt.NDArray[Any]
    images: ImageSet
    cluttered: tuple[Scenes, ...] = ()

    def subset(self, picked: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Part:
        """A subset, by boolean mask or positions, and the scenes that show nothing else."""
        n = len(self.images)
        return Part(
            self.maps.subset(picked),
            self.pooled.subset(picked),
            self.labels[picked],
            self.images.subset(picked),
            tuple(Scenes(one.maps.among(picked, n), one.pooled.among(picked, n)) for one in self.cluttered),
        )

    def averages(self) -> npt.NDArray[np.float32]:
        """Feature maps averaged over locations, float32 (n, D)."""
        return self.pooled.pooled()

    def seen(self, *, whole_maps: bool) -> FeatureMaps:
        """The network's input: whole maps or averages."""
        return self.maps if whole_maps else self.pooled


@dataclass(frozen=True, eq=False)
class Prepared:
    """A protocol with its features.

    Attributes:
        protocol: The protocol.
        hash: Its hash.
        train: Labelled training images.
        validation: The protocol's validation images, if any.
        query: Queries.
        database: Database.
        last_channels: Number of channels of the backbone's last map, which come first.
        mirrored: Mirror images of the training images; None where the backbone gives the same features either way.
    """

    protocol: Protocol
    hash: str
    train: Part
    validation: Part | None
    query: Part
    database: Part
    last_channels: int
    mirrored: Part | None = None

    @property
    def database_is_learned(self) -> bool:
        """Whether most of the database is made of training images."""
        return bool(np.isin(self.database.images.keys, self.train.images.keys).mean() > 0.5)


def prepare_protocol(protocol: Protocol, config: DOHConfig, cache: Path, *, progress: bool = False) -> Prepared:
    """Compute the features of a protocol's images, or read them from the cache.

    Args:
        protocol: The protocol.
        config: Names the backbone.
        cache: Folder of feature maps and exported backbones.
        progress: Whether to show bars.

    Raises:
        DataError: An image cannot be used; results on part of a protocol are not comparable.
    """
    backbone, frozen = exported_backbone(config, cache)
    store, found_hash = FeatureStore(cache / "features"), protocol.hash()

    def part(name: str, images: ImageSet, frozen: FrozenBackbone = frozen) -> Part:
        maps = store.maps(images, frozen, progress=progress)
        if maps.failures:
            raise DataError(f"protocol {protocol.name}: {maps.failures[0]}; a benchmark needs every image")
        path = cache / "pooled" / f"{found_hash}-{name}-{frozen.folder_name}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pooled = maps.pooled()
            replace_file(path, lambda file: np.save(file, pooled))
        pooled = np.load(path, mmap_mode="r")
        return Part(maps, FeatureMaps.of(pooled[:, :, None, None], maps.rows), labels_of(images), images)

    images = labelled(protocol.train)
    cluttered = []
    if protocol.backgrounds is not None:
        for number, (scenes, members) in enumerate(training_scenes(images, protocol.backgrounds)):
            drawn = hashlib.blake2b(b"".join(scenes.content_ids()), digest_size=8).hexdigest()
            found = part(f"scenes{number}-{drawn}", scenes)
            cluttered.append(Scenes(SceneMaps(found.maps, members), SceneMaps(found.pooled, members)))
    return Prepared(
        protocol,
        found_hash,
        dataclasses.replace(part("train", images), cluttered=tuple(cluttered)),
        None if protocol.validation is None else part("validation", labelled(protocol.validation)),
        part("query", protocol.query),
        part("database", protocol.database),
        backbone.last_channels,
        None if backbone.mirror else part("train", images, frozen.mirrored),
    )
