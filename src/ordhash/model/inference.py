"""Run images through an ONNX graph: several batches at once, in order, skipping unusable images."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from ordhash.data import STEP, Fit, ImageSet, open_rgb, prepare
from ordhash.errors import ImageError, ModelFileError, NoMemoryError
from ordhash.support import available_cores, grouped, integer_at_least

__all__ = ["MAX_SIDE", "Batch", "Preprocessing", "depth_of", "open_session", "run_images", "run_in_groups"]

MAX_SIDE = 4096
"""Pixels of a side of a graph's input at most."""


@dataclass(frozen=True)
class Preprocessing:
    """The input of a graph: uint8 (n, h, w, 3) under the name ``images``; normalisation is inside the graph.

    Attributes:
        size: Shorter side, in pixels.
        fit: ``squash`` shows the whole picture as a square, ``crop`` its middle square, ``whole`` the whole picture in
            its own aspect: then h and w differ from picture to picture.
        mirror: Whether pictures are mirrored left to right.
        step: With ``whole``, h and w are multiples of it.
    """

    size: int
    fit: Fit = "squash"
    mirror: bool = False
    step: int = STEP

    def read(self, images: ImageSet, row: int) -> npt.NDArray[np.uint8]:
        """Picture at ``row``, ready for the graph: uint8 (h, w, 3).

        Raises:
            ImageError: It cannot be used.
        """
        name = images.name(row)
        # Twice the pixels that the network sees: scaling the rest away looks like scaling the whole picture.
        image = open_rgb(images.images[row], name=name, least_side=2 * self.size)
        try:
            pixels = prepare(image, self.size, self.fit, self.step)
        except MemoryError as error:
            raise NoMemoryError.of(name) from error
        return pixels[:, ::-1] if self.mirror else pixels


@dataclass(frozen=True)
class Batch:
    """The output of a graph for some images.

    Attributes:
        rows: Positions in the image set, ascending; broken images are left out.
        outputs: For every output asked for, one array an image: maps of pictures of several shapes have several too.
        failures: Images of this batch that could not be used.
        size: Images of the batch, broken ones counted.
        pixels: uint8 (h, w, 3) of every image, the input of the graph; None if it took feature maps.
    """

    rows: npt.NDArray[np.intp]
    outputs: list[list[npt.NDArray[Any]]]
    failures: list[ImageError]
    size: int
    pixels: list[npt.NDArray[np.uint8]] | None = None


def open_session(model: Path | bytes, *, threads: int | None = None) -> onnxruntime.InferenceSession:
    """ONNX Runtime session on the CPU.

    Args:
        model: A file, or its content.
        threads: Threads of a run; None takes every core this process may use.

    Raises:
        InputError: ``threads`` is not an integer of at least 1.
        ModelFileError: It is not an ONNX model that this runtime can run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores() if threads is None else integer_at_least(threads, 1, "threads")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises its own classes, which derive from Exception alone
        name = "the model" if isinstance(model, bytes) else str(model)
        raise ModelFileError(f"{name} cannot be run by ONNX Runtime ({str(error)[:200]}); write it again") from error


def depth_of(graph: bytes) -> int:
    """D, channels of the output ``features`` (n, D, h, w) of a graph."""
    output = next(value for value in open_session(graph).get_outputs() if value.name == "features")
    return int(output.shape[1])


def run_in_groups(
    session: onnxruntime.InferenceSession,
    outputs: Sequence[str],
    name: str,
    inputs: Sequence[npt.NDArray[Any]],
) -> list[list[npt.NDArray[Any]]]:
    """Outputs of a graph for inputs of any shapes, one array an input; those of equal shape are run together.

    Args:
        session: From ``open_session``.
        outputs: Names of outputs.
        name: Name of the input.
        inputs: n inputs, each without the axis of the batch.
    """
    found: list[list[npt.NDArray[Any]]] = [[np.zeros(0)] * len(inputs) for _ in outputs]
    for group in grouped([one.shape for one in inputs]):
        values = session.run(list(outputs), {name: np.stack([inputs[position] for position in group])})
        for kind, value in zip(found, values, strict=True):
            for position, one in zip(group, value, strict=True):
                kind[position] = one
    return found


def run_images(
    session: onnxruntime.InferenceSession,
    outputs: Sequence[str],
    images: ImageSet,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 8,
    workers: int = 1,
) -> Iterator[Batch]:
    """Batches of outputs, in the order of the images.

    Every worker decodes a batch and runs it, so one decodes while another computes: Pillow and ONNX Runtime both
    release the interpreter's lock. As many workers as cores, on a session of one thread, give the highest rate: no core
    waits for another inside a layer. One worker on a session of all threads gives the shortest time for one batch.

    Small batches are the fast ones on a CPU: activations of 8 pictures stay in the cache, those of 32 run at a third of
    the speed (EfficientNet-Lite2 at 224 px on two cores: 100 against 36 images/s).

    Args:
        session: From ``open_session``.
        outputs: Names of outputs.
        images: n images.
        preprocessing: How pictures are prepared.
        batch_size: Images a run.
        workers: Batches under way at once.

    Raises:
        InputError: ``batch_size`` or ``workers`` is not an integer of at least 1.
    """
    batch_size, workers = integer_at_least(batch_size, 1, "batch_size"), integer_at_least(workers, 1, "workers")

    def work(start: int) -> Batch:
        stop = min(start + batch_size, len(images))
        rows, pixels, failures = [], [], []
        for row in range(start, stop):
            try:
                pixels.append(preprocessing.read(images, row))
                rows.append(row)
            except ImageError as error:
                failures.append(error)
        values = run_in_groups(session, outputs, "images", pixels)
        return Batch(np.array(rows, dtype=np.intp), values, failures, stop - start, pixels)

    starts = iter(range(0, len(images), batch_size))
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="encode") as pool:
        # As many again wait their turn, so that no worker is idle while the caller uses a batch.
        waiting = deque(pool.submit(work, start) for start in itertools.islice(starts, 2 * workers))
        try:
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(pool.submit(work, start) for start in itertools.islice(starts, 1))
                yield done
        finally:
            for future in waiting:
                future.cancel()
