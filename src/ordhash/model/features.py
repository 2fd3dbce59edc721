"""Spatial feature maps of a frozen backbone, computed once and kept on disk.

A map is identified by what it was made from: the content of the image, the backbone (its weights too) and the
preprocessing. Any set of images that shares pictures with an earlier one shares their maps.
"""

from __future__ import annotations

import fcntl
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ordhash.data import ImageSet
from ordhash.errors import DataError, ImageError
from ordhash.model.inference import Preprocessing, open_session, output_shape, run_images
from ordhash.support import available_cores, progress_bar, replace_file, some_usable

__all__ = ["FeatureMaps", "FeatureStore", "FrozenBackbone"]

_DIGEST = 16  # bytes


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


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Feature maps of the usable images of a set, possibly none.

    Attributes:
        store: float16 (m, D, h, w), on disk.
        positions: Row of ``store`` for each usable image.
        rows: Rows of the image set that could be used; ascending, unless ``subset`` has put them in another order.
        failures: The others.
        computed: How many maps were computed in this call; the others were on disk.
    """

    store: npt.NDArray[np.float16]
    positions: npt.NDArray[np.int64]
    rows: npt.NDArray[np.intp]
    failures: list[ImageError]
    computed: int

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, h, w) of a map."""
        depth, height, width = self.store.shape[1:]
        return depth, height, width

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
        return FeatureMaps(self.store, self.positions[chosen], self.rows[chosen], [], 0)

    def read(self, picked: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Maps of some of the usable images, float32 (len(picked), D, h, w)."""
        return self.stored(picked).astype(np.float32)

    def stored(self, picked: npt.ArrayLike) -> npt.NDArray[np.float16]:
        """The same as they are on disk, float16."""
        return self.store[self.positions[np.asarray(picked, dtype=np.intp)]]

    def batches(self, batch_size: int = 256) -> Iterator[npt.NDArray[np.float32]]:
        """All maps in order, some at a time."""
        for start in range(0, len(self), batch_size):
            yield self.read(np.arange(start, min(start + batch_size, len(self))))

    def pooled(self) -> npt.NDArray[np.float32]:
        """Average over locations, float32 (n, D)."""
        parts = [batch.mean(axis=(2, 3)) for batch in self.batches()]
        return np.concatenate(parts) if parts else np.zeros((0, self.shape[0]), np.float32)


class FeatureStore:
    """A folder of feature maps, one sub-folder a backbone.

    Maps are appended to one file and their digests to another, maps first: an interruption leaves at most maps without
    a digest, which the next opening cuts off. One process appends at a time; a second waits.

    Args:
        folder: Made if missing. It is a cache: deleting it costs time and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def maps(
        self, images: ImageSet, backbone: FrozenBackbone, *, progress: bool = False, batch_size: int = 8
    ) -> FeatureMaps:
        """Feature maps of ``images``; those that are not on disk are computed.

        Images that cannot be used are reported, not raised, even if none is usable. The shape of zero maps is
        that of the maps on disk, or else of the backbone's output.

        Args:
            images: n images.
            backbone: The graph that makes the maps.
            progress: Whether to show a bar.
            batch_size: Images a run.

        Raises:
            DataError: The backbone gives values that float16 cannot hold.
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
        reasons = {digest: error.reason for digest, error in zip(broken, errors, strict=True)}
        failures = [ImageError(images.name(row), reasons[ids[row]]) for row in range(len(ids)) if ids[row] in reasons]
        rows = np.array([row for row, digest in enumerate(ids) if digest in known], dtype=np.intp)
        positions = np.array([known[ids[row]] for row in rows], dtype=np.int64)
        return FeatureMaps(_open(folder, len(known), backbone), positions, rows, failures, len(missing) - len(errors))

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
            (folder / "maps.f16").open("ab") as maps,
            (folder / "digests").open("ab") as digests,
        ):
            batches = run_images(
                session, ["features"], images, backbone.preprocessing, batch_size=batch_size, workers=available_cores()
            )
            for batch in batches:
                if len(batch.rows):
                    values = batch.outputs[0]
                    if not np.isfinite(values).all() or np.abs(values).max() > np.finfo(np.float16).max:
                        raise DataError(
                            f"{backbone.name} gives features that float16 cannot hold; use another backbone"
                        )
                    _write_shape(folder, values.shape[1:])
                    maps.write(values.astype(np.float16).tobytes())
                    maps.flush()
                    digests.write(b"".join(ids[row] for row in batch.rows))
                    digests.flush()
                failures += batch.failures
                advance(batch.size)
        return failures


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, also by a crash
        yield


def _open(folder: Path, n: int, backbone: FrozenBackbone) -> npt.NDArray[np.float16]:
    if n:
        return np.memmap(folder / "maps.f16", dtype=np.float16, mode="r", shape=(n, *_read_shape(folder)))
    # An empty file cannot be mapped, and there may never have been a map to take the shape from.
    return np.zeros((0, *output_shape(open_session(backbone.graph), "features", backbone.preprocessing)), np.float16)


def _read_shape(folder: Path) -> tuple[int, ...]:
    path = folder / "shape"
    return tuple(int(part) for part in path.read_text().split()) if path.exists() else ()


def _write_shape(folder: Path, shape: tuple[int, ...]) -> None:
    # Once and whole: others read it without the lock, and half a shape would cut good maps to pieces.
    if _read_shape(folder) != shape:
        replace_file(folder / "shape", lambda file: file.write(" ".join(str(part) for part in shape).encode()))


def _read_digests(folder: Path) -> dict[bytes, int]:
    """Digest -> row of the maps on disk; what an interruption left half written is cut off."""
    maps, digests = folder / "maps.f16", folder / "digests"
    shape = _read_shape(folder)
    if not shape or not maps.exists() or not digests.exists():
        for path in (maps, digests):
            path.write_bytes(b"")
        return {}
    row_bytes = 2 * math.prod(shape)
    complete = min(maps.stat().st_size // row_bytes, digests.stat().st_size // _DIGEST)
    for path, width in ((maps, row_bytes), (digests, _DIGEST)):
        if path.stat().st_size != complete * width:
            with path.open("rb+") as file:
                file.truncate(complete * width)
    raw = digests.read_bytes()
    return {raw[i * _DIGEST : (i + 1) * _DIGEST]: i for i in range(complete)}
