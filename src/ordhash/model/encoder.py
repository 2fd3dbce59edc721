"""Encoder: a model file, images in, scores, codes and attention maps out. Needs no PyTorch."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from ordhash.codes import CodeSpec, CodeTable, OrdinalCodes, PartCodes
from ordhash.data import Images, ImageSet, as_image_set
from ordhash.errors import ImageError
from ordhash.model.features import FeatureStore, FrozenBackbone
from ordhash.model.file import Model, load_model
from ordhash.model.inference import Batch, open_session, run_images, run_in_groups
from ordhash.model.info import ModelInfo
from ordhash.model.parts import check_sees_all, part_codes
from ordhash.support import available_cores, integer_at_least, progress_bar

__all__ = ["Encoded", "Encoder"]

Scores = npt.NDArray[np.float32]

_MAPS_AT_ONCE = 16  # widened to float32 they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Encoded:
    """The output of a model for some images.

    Attributes:
        rows: Positions of the usable images in what was given, int (m,), ascending.
        scores: float32 (m, n_segments, arity).
        attention: m maps float32 (h, w), each adding up to 1; h and w follow the shape of the picture if ``fit`` is
            ``whole``.
        failures: The images that could not be used, and why.
        model_id: The model.
        pixels: m pictures uint8 (h, w, 3), what the network saw; None unless requested.
        unlike: bool (m,), whether an image is unlike anything that the model learned from; None where the model cannot
            tell.
        parts: Codes of parts of the usable images, which are numbered from 0; None unless requested.
    """

    rows: npt.NDArray[np.intp]
    scores: Scores
    attention: list[npt.NDArray[np.float32]]
    failures: list[ImageError]
    model_id: str
    pixels: list[npt.NDArray[np.uint8]] | None = None
    unlike: npt.NDArray[np.bool_] | None = None
    parts: PartCodes | None = None

    @property
    def codes(self) -> OrdinalCodes:
        """Ordinal codes of the usable images."""
        return OrdinalCodes.from_scores(self.scores, model_id=self.model_id)


class Encoder:
    """Turns images into scores, ordinal codes and attention maps with a model file.

    Args:
        model: Path of a model file.
        features: Cache of feature maps; images whose maps are in it skip the backbone, others are added to it. Maps are
            kept as float16, so scores differ from those without a cache in the third decimal.
        batch_size: Images a run of the network; small batches stay in the processor's cache.
        threads: Threads of the network; None takes every core.
        progress: Whether to show bars on stderr.

    Raises:
        InputError: ``batch_size`` or ``threads`` is not an integer of at least 1.
        ModelFileError: The file is not a model of this package.

    Example::

        encoder = Encoder("runs/c10-48/model.onnx")
        codes = encoder.encode(["cat.jpg"])  # OrdinalCodes (1, 24)
    """

    def __init__(
        self,
        model: str | Path,
        *,
        features: FeatureStore | None = None,
        batch_size: int = 8,
        threads: int | None = None,
        progress: bool = False,
    ) -> None:
        self._batch_size = integer_at_least(batch_size, 1, "batch_size")
        self._threads = available_cores() if threads is None else integer_at_least(threads, 1, "threads")
        self._model: Model = load_model(model)
        self._features = features
        self._progress = progress
        self._graph = self._model.graph if features is None else self._model.head(half=True)
        self._session = open_session(self._graph, threads=self._threads)

    @functools.cached_property
    def _one_thread(self) -> onnxruntime.InferenceSession:
        """For many batches at once, each on one thread."""
        return self._session if self._threads == 1 else open_session(self._graph, threads=1)

    @functools.cached_property
    def _with_features(self) -> onnxruntime.InferenceSession:
        """Gives the feature maps too, whose windows are parts; for many batches at once."""
        return open_session(self._model.with_features(), threads=1)

    @functools.cached_property
    def _head(self) -> onnxruntime.InferenceSession:
        """The head alone, for these windows."""
        graph = self._model.head(half=self._features is not None, outputs=["scores"])
        return open_session(graph, threads=1)

    @property
    def info(self) -> ModelInfo:
        """Metadata of the model file."""
        return self._model.info

    @property
    def path(self) -> Path:
        """Path of the model file."""
        return self._model.path

    @property
    def content(self) -> bytes:
        """Content of the model file."""
        return self._model.graph

    @property
    def spec(self) -> CodeSpec:
        """Shape of the codes."""
        return self.info.spec

    @property
    def model_id(self) -> str:
        """Digest of the model file."""
        return self._model.id

    def frozen_backbone(self) -> FrozenBackbone:
        """The backbone inside the model, for its feature maps."""
        return self._model.backbone()

    def __repr__(self) -> str:
        size = self.info.preprocessing.size
        return f"Encoder({self.path}: {self.spec.code_bits} bits, {self.info.backbone} at {size} px)"

    def run(self, images: Images, *, pixels: bool = False, parts: bool = False) -> Encoded:
        """Scores and attention of every usable image; the others are reported, not raised.

        Args:
            images: An ImageSet, a list of paths, file contents or open pictures, or uint8 (n, h, w, 3).
            pixels: Whether to keep what the network saw.
            parts: Whether to encode parts of the images too.

        Raises:
            InputError: Parts are asked of a model that sees the middle of a picture alone.
        """
        batches = list(self.stream(as_image_set(images), pixels=pixels, parts=parts))
        if not batches:
            nothing = Batch(np.zeros(0, np.intp), [[] for _ in self._outputs(parts)], [], 0, [])
            batches = [self._encoded(nothing, [], parts=parts)]
        unlike = [batch.unlike for batch in batches if batch.unlike is not None]
        of_parts = [batch.parts for batch in batches if batch.parts is not None]
        return Encoded(
            np.concatenate([batch.rows for batch in batches]),
            np.concatenate([batch.scores for batch in batches]),
            [one for batch in batches for one in batch.attention],
            [failure for batch in batches for failure in batch.failures],
            self.model_id,
            [seen for batch in batches for seen in batch.pixels or []] if pixels else None,
            np.concatenate(unlike) if unlike else None,
            PartCodes.joined(of_parts, [len(batch.rows) for batch in batches]) if of_parts else None,
        )

    def stream(self, images: ImageSet, *, pixels: bool = False, parts: bool = False) -> Iterator[Encoded]:
        """The same in batches, in order, for sets that do not fit in memory.

        Args:
            images: The images; ``rows`` of all batches count in them.
            pixels: As ``run`` takes it.
            parts: As ``run`` takes it.

        Raises:
            InputError: As ``run``.
        """
        if parts:
            check_sees_all(self._model)
        for batch in self._batches(images, parts=parts):
            yield self._encoded(batch, self._pixels_of(batch, images) if pixels else None, parts=parts)

    def _encoded(self, batch: Batch, pixels: list[npt.NDArray[np.uint8]] | None, *, parts: bool) -> Encoded:
        """A batch as what it means."""
        found = dict(zip(self._outputs(parts), batch.outputs, strict=True))
        scores, attention, gauge = self._shaped(found["scores"]), found["attention"], self.info.familiarity
        return Encoded(
            batch.rows,
            scores,
            attention,
            batch.failures,
            self.model_id,
            pixels,
            None if gauge is None else gauge.unlike(np.array(found["familiarity"], np.float32)),
            part_codes(scores, found["features"], attention, self._scores_of, self.model_id) if parts else None,
        )

    def _outputs(self, parts: bool) -> list[str]:
        return [*self._model.outputs, *(["features"] if parts else [])]

    def _shaped(self, scores: Sequence[npt.NDArray[Any]]) -> Scores:
        return np.array(scores, np.float32).reshape(-1, self.spec.n_segments, self.spec.arity)

    def _scores_of(self, maps: Sequence[npt.NDArray[Any]]) -> Scores:
        return self._shaped(run_in_groups(self._head, ["scores"], "features", maps)[0])

    def _pixels_of(self, batch: Batch, images: ImageSet) -> list[npt.NDArray[np.uint8]]:
        """What the network saw; decoded again where feature maps took its place."""
        if batch.pixels is not None:
            return batch.pixels
        return [self.info.preprocessing.read(images, row) for row in batch.rows.tolist()]

    def _batches(self, images: ImageSet, *, parts: bool) -> Iterator[Batch]:
        if self._features is not None:
            yield from self._batches_of_features(images, self._features, parts=parts)
            return
        # One batch takes all threads, so that a query waits shortly; many batches take one each.
        if parts:
            session, workers = self._with_features, self._threads
        elif len(images) > self._batch_size:
            session, workers = self._one_thread, self._threads
        else:
            session, workers = self._session, 1
        preprocessing, batch_size, outputs = self.info.preprocessing, self._batch_size, self._outputs(parts)
        with progress_bar("Encoding", len(images), show=self._progress) as advance:
            for batch in run_images(session, outputs, images, preprocessing, batch_size=batch_size, workers=workers):
                yield batch
                advance(batch.size)

    def _batches_of_features(self, images: ImageSet, store: FeatureStore, *, parts: bool) -> Iterator[Batch]:
        maps = store.maps(images, self._model.backbone(), progress=self._progress, batch_size=self._batch_size)
        if maps.failures:
            yield Batch(maps.rows[:0], [[] for _ in self._outputs(parts)], maps.failures, len(maps.failures))
        with progress_bar("Encoding features", len(maps), show=self._progress) as advance:
            for start in range(0, len(maps), _MAPS_AT_ONCE):
                picked = np.arange(start, min(start + _MAPS_AT_ONCE, len(maps)))
                stored = maps.stored(picked)
                values = run_in_groups(self._session, self._model.outputs, "features", stored)
                yield Batch(maps.rows[picked], [*values, stored] if parts else values, [], len(picked))
                advance(len(picked))

    def scores(self, images: Images) -> Scores:
        """Scores float32 (n, n_segments, arity).

        Raises:
            ImageError: An image cannot be used; ``run`` skips it.
        """
        return self._all(images).scores

    def encode(self, images: Images) -> OrdinalCodes:
        """Ordinal codes of n images.

        Raises:
            ImageError: An image cannot be used; ``run`` skips it.
        """
        return self._all(images).codes

    def attention(self, images: Images) -> list[npt.NDArray[np.float32]]:
        """Attention maps float32 (h, w) of n images, each adding up to 1.

        Raises:
            ImageError: An image cannot be used; ``run`` skips it.
        """
        return self._all(images).attention

    def tabulate(
        self, images: ImageSet, *, parts: bool = False, model_path: str | None = None
    ) -> tuple[CodeTable, list[ImageError]]:
        """Codes of every usable image with its key and metadata, as `ordhash encode` writes them; why others have none.

        Labels become one more column, ``labels``, separated by ``;``.

        Args:
            images: The images.
            parts: As ``run`` takes it.
            model_path: Where the table says that the model is; None for where it is.

        Raises:
            InputError: As ``run``, a key is not valid Unicode, or the metadata have a column that the package uses.
        """
        metadata = images.metadata_with_labels()  # before the work, since it meets what could not be written after it
        encoded = self.run(images, parts=parts)
        kept = None if metadata is None else metadata.take(encoded.rows)
        path = model_path or str(self.path.absolute())
        table = CodeTable(encoded.codes, images.keys[encoded.rows], kept, path, encoded.parts)
        return table, encoded.failures

    def _all(self, images: Images) -> Encoded:
        encoded = self.run(images)
        if encoded.failures:
            first, others = encoded.failures[0], len(encoded.failures) - 1
            if not others:
                raise first
            raise ImageError(first.source, f"{first.reason} (and {others} more images cannot be used)") from first
        return encoded
