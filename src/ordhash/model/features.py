"""Spatial feature maps of a frozen backbone, computed once and kept on disk.

A map is identified by what it was made from: the content of the image, the backbone (its weights too) and the
preprocessing. Any set of images that shares pictures with an earlier one shares their maps.
"""

from __future__ import annotations

import dataclasses
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ordhash.data import ImageSet, content_id
from ordhash.errors import DataError, ImageError
from ordhash.model.inference import Preprocessing, depth_of, open_session, run_images
from ordhash.support import available_cores, grouped, progress_bar, some_usable

__all__ = ["FeatureMaps", "FeatureStore", "FrozenBackbone"]

_VALUES, _RECORDS = "values.f16", "maps"
_RECORD = np.dtype([("digest", "V16"), ("depth", "<u4"), ("height", "<u4"), ("width", "<u4")])
_POOLED_AT_ONCE = 256


@dataclass(frozen=True)
class FrozenBackbone:
    """A backbone as an ONNX graph with the output ``features`` (n, D, h, w), and how it wants its pictures.

    Attributes:
        graph: The graph.
        preprocessing: How pictures are prepared.
        name: Name of it.
        weights_id: Digest of its weights: with the name and the preprocessing it names the maps on disk.
    """

    graph: bytes = field(repr=False)
    preprocessing: Preprocessing
    name: str
    weights_id: str

    @property
    def folder_name(self) -> str:
        """Where its maps are kept: readable, and different for whatever gives different maps."""
        mirror = "-mirror" if self.preprocessing.mirror else ""
        return f"{self.name}-{self.preprocessing.size}-{self.preprocessing.fit}{mirror}-{self.weights_id}"

    @property
    def mirrored(self) -> FrozenBackbone:
        """The same backbone, which sees the mirror image of every picture."""
        return dataclasses.replace(self, preprocessing=dataclasses.replace(self.preprocessing, mirror=True))


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Feature maps of the usable images of a set, possibly none; pictures of several shapes have maps of several.

    Attributes:
        values: float16 or float32, maps (depth, h, w) one after the other, on disk.
        starts: Where in ``values`` the map of each usable image starts, int64 (m,).
        sides: h and w of each, int64 (m, 2).
        depth: D, channels.
        rows: Rows of the image set that could be used; ascending, unless ``subset`` has put them in another order.
        failures: The others.
        computed: How many maps were computed in this call; the others were on disk.
    """

    values: npt.NDArray[np.floating]
    starts: npt.NDArray[np.int64]
    sides: npt.NDArray[np.int64]
    depth: int
    rows: npt.NDArray[np.intp]
    failures: list[ImageError]
    computed: int

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def of(cls, maps: npt.NDArray[np.floating], rows: npt.NDArray[np.intp] | None = None) -> FeatureMaps:
        """Maps of one shape that are in an array.

        Args:
            maps: float16 or float32 (n, D, h, w).
            rows: As the attribute; None for 0 to n - 1.
        """
        n, depth, h, w = maps.shape
        starts = depth * h * w * np.arange(n, dtype=np.int64)
        sides = np.tile(np.array([h, w], np.int64), (n, 1))
        return cls(maps.reshape(-1), starts, sides, depth, np.arange(n) if rows is None else rows, [], 0)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Numbers in each map, int64 (m,)."""
        return np.asarray(self.depth * self.sides.prod(axis=1), dtype=np.int64)

    def at_least_one(self) -> FeatureMaps:
        """These maps, if there is at least one.

        Raises:
            InputError: None of the images can be used.
        """
        some_usable(len(self), self.failures)
        return self

    def subset(self, picked: npt.ArrayLike) -> FeatureMaps:
        """Maps of some of the usable images; nothing is read, computed or looked up.

        ``rows`` still counts in the image set that the maps were asked for. The failures of that set stay behind: they
        belong to no part of it.

        Args:
            picked: Positions among the usable images, or a boolean mask (n,); the maps stand in that order.
        """
        chosen = np.asarray(picked)
        chosen = np.arange(len(self))[chosen if chosen.size else chosen.astype(np.intp)]
        return FeatureMaps(
            self.values, self.starts[chosen], self.sides[chosen], self.depth, self.rows[chosen], [], computed=0
        )

    def in_memory(self) -> FeatureMaps:
        """The same maps as float32 in memory."""
        starts = np.cumsum(self.sizes) - self.sizes
        values = np.empty(int(self.sizes.sum()), np.float32)
        for start, one in zip(starts.tolist(), self.stored(np.arange(len(self))), strict=True):
            values[start : start + one.size] = one.ravel()
        return dataclasses.replace(self, values=values, starts=starts)

    def stored(self, picked: npt.ArrayLike) -> list[npt.NDArray[np.floating]]:
        """Maps (D, h, w) of some of the usable images, as they are stored: views."""
        chosen = np.asarray(picked, dtype=np.intp)
        values = np.asarray(self.values)
        return [
            values[start : start + self.depth * h * w].reshape(self.depth, h, w)
            for start, (h, w) in zip(self.starts[chosen].tolist(), self.sides[chosen].tolist(), strict=True)
        ]

    def read(self, picked: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Maps of some of the usable images, of one shape, float32 (len(picked), D, h, w)."""
        maps = self.stored(picked)
        return np.stack(maps).astype(np.float32, copy=False) if maps else np.zeros((0, self.depth, 0, 0), np.float32)

    def groups(self, picked: npt.ArrayLike) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]:
        """Maps of some of the usable images by shape: which of ``picked``, and float32 (g, D, h, w)."""
        chosen = np.asarray(picked, dtype=np.intp)
        shapes = [(h, w) for h, w in self.sides[chosen].tolist()]
        return [(group, self.read(chosen[group])) for group in grouped(shapes)]

    def pooled(self) -> npt.NDArray[np.float32]:
        """Average over locations, float32 (n, D)."""
        found = np.empty((len(self), self.depth), np.float32)
        for start in range(0, len(self), _POOLED_AT_ONCE):
            rows = np.arange(start, min(start + _POOLED_AT_ONCE, len(self)))
            for group, maps in self.groups(rows):
                found[rows[group]] = maps.mean(axis=(2, 3))
        return found


class FeatureStore:
    """A folder of feature maps, one sub-folder a backbone.

    Maps are appended to one file, and their digests and shapes to another, maps first: an interruption leaves at most
    a map without a digest, which the next opening cuts off. One process appends at a time; a second waits.

    Args:
        folder: Made if missing. It is a cache: deleting it costs time and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def maps(
        self, images: ImageSet, backbone: FrozenBackbone, *, progress: bool = False, batch_size: int = 8
    ) -> FeatureMaps:
        """Feature maps of ``images``; those that are not on disk are computed.

        Images that cannot be used are reported, not raised, even if none is usable.

        Args:
            images: n images.
            backbone: The graph that makes the maps.
            progress: Whether to show a bar.
            batch_size: Images a run.

        Raises:
            DataError: The backbone gives values that float16 cannot hold, or an image was changed meanwhile.
        """
        folder = self.folder / backbone.folder_name
        folder.mkdir(parents=True, exist_ok=True)
        ids = images.content_ids()
        with _exclusive(folder / "lock"):
            known = _read_digests(folder)
            missing = [row for row, digest in enumerate(ids) if digest not in known]
            # Equal pictures inside one set are computed once.
            missing = list({ids[row]: row for row in reversed(missing)}.values())[::-1]
            errors: list[ImageError] = []
            if missing:
                wanted = [ids[row] for row in missing]
                errors = self._append(folder, images.subset(missing), wanted, backbone, progress, batch_size)
                known = _read_digests(folder)
        broken = [ids[row] for row in missing if ids[row] not in known]
        found = dict(zip(broken, errors, strict=True))
        failures = [
            type(error)(images.name(row), error.reason) for row in range(len(ids)) if (error := found.get(ids[row]))
        ]
        rows = np.array([row for row, digest in enumerate(ids) if digest in known], dtype=np.intp)
        positions = np.array([known[ids[row]] for row in rows], dtype=np.intp)
        values, records = _open(folder)
        return FeatureMaps(
            values,
            _ends(records)[positions] - _sizes(records)[positions],
            np.stack([records["height"][positions], records["width"][positions]], axis=1).astype(np.int64),
            int(records["depth"][0]) if len(records) else depth_of(backbone.graph),
            rows,
            failures,
            len(missing) - len(errors),
        )

    def _append(
        self,
        folder: Path,
        images: ImageSet,
        ids: list[bytes],
        backbone: FrozenBackbone,
        progress: bool,
        batch_size: int,
    ) -> list[ImageError]:
        session = open_session(backbone.graph, threads=1)
        failures: list[ImageError] = []
        with (
            progress_bar(f"Features ({backbone.name})", len(images), show=progress) as advance,
            (folder / _VALUES).open("ab") as values,
            (folder / _RECORDS).open("ab") as records,
        ):
            batches = run_images(
                session, ["features"], images, backbone.preprocessing, batch_size=batch_size, workers=available_cores()
            )
            for batch in batches:
                for row, found in zip(batch.rows, batch.outputs[0], strict=True):
                    if content_id(images.images[row]) != ids[row]:
                        raise DataError(f"{images.name(row)} was changed while it was read; run the command again")
                    if not np.isfinite(found).all() or np.abs(found).max() > np.finfo(np.float16).max:
                        raise DataError(
                            f"{backbone.name} gives features that float16 cannot hold; use another backbone"
                        )
                    values.write(found.astype(np.float16).tobytes())
                    values.flush()
                    records.write(np.array([(ids[row], *found.shape)], _RECORD).tobytes())
                    records.flush()
                failures += batch.failures
                advance(batch.size)
        return failures


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, also by a crash
        yield


def _open(folder: Path) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.void]]:
    records = np.fromfile(folder / _RECORDS, _RECORD)
    if not len(records):  # an empty file cannot be mapped
        return np.zeros(0, np.float16), records
    return np.memmap(folder / _VALUES, dtype=np.float16, mode="r", shape=(int(_ends(records)[-1]),)), records


def _sizes(records: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Numbers in each map."""
    return np.asarray(records["depth"].astype(np.int64) * records["height"] * records["width"], dtype=np.int64)


def _ends(records: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    return np.cumsum(_sizes(records))


def _read_digests(folder: Path) -> dict[bytes, int]:
    """Digest -> number of the map on disk; what an interruption left half written is cut off."""
    paths = (folder / _VALUES, folder / _RECORDS)
    for path in paths:
        path.touch()
    whole = paths[1].stat().st_size // _RECORD.itemsize
    records = np.fromfile(paths[1], _RECORD, count=whole)
    ends = 2 * _ends(records)
    complete = int(np.searchsorted(ends, paths[0].stat().st_size, side="right"))
    wanted = (int(ends[complete - 1]) if complete else 0, complete * _RECORD.itemsize)
    for path, size in zip(paths, wanted, strict=True):
        if path.stat().st_size != size:
            with path.open("rb+") as file:
                file.truncate(size)
    return {digest: number for number, digest in enumerate(records["digest"][:complete].tolist())}
