"""A variant of a model whose backbone computes in 8 bits, by ONNX Runtime's quantisation.

Weights of the backbone become int8 and activations uint8, with ranges measured on some pictures; the head stays float.
This saves time on processors that multiply 8-bit numbers faster. Symbols change where two scores are nearly equal, so
the variant is another model, and its codes are never compared with those of the original. The calibration is copied
from the original, where it was measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from ordhash.data import ImageSet
from ordhash.errors import ImageError, InputError
from ordhash.model.file import Model, load_model, write_graph
from ordhash.support import StrPath, grouped, spread_rows

__all__ = ["MOST_PICTURES", "quantize"]

MOST_PICTURES = 256  # more do not change the ranges
_AT_ONCE = 8
_KINDS = ("Conv", "Add", "Clip")  # what takes the time, and what stands between


def quantize(model: StrPath, images: ImageSet, out: StrPath) -> Model:
    """Write a variant of a model whose backbone computes in 8 bits.

    Args:
        model: A model file.
        images: Pictures of the kind that it will see; of more than 256 some are taken, evenly.
        out: The file, ``.onnx``.

    Returns:
        The variant.

    Raises:
        InputError: The model computes in 8 bits already, ``out`` is the model itself, or none of the images can be
            used.
        ModelFileError: It is not a model file.

    Example::

        quantize("runs/c10-48/model.onnx", read_images("PHOTOS"), "runs/c10-48/int8.onnx")
    """
    original, out = load_model(Path(model)), Path(out)
    if out.resolve() == original.path.resolve():
        raise InputError(f"{out} is the model itself; give the variant another name")
    if out.suffix != ".onnx":
        raise InputError(f"{out} cannot be a model file; its name must end in .onnx")
    if "int8" in original.info.training:
        raise InputError(f"{original.path} computes in 8 bits already; give the model that it was made from")
    pictures = _pictures(original, images)
    with tempfile.TemporaryDirectory() as folder:
        graph = _quantized(original, pictures, Path(folder))
    backbone = onnx.utils.Extractor(graph).extract_model(["images"], ["features"]).SerializeToString()
    info = dataclasses.replace(
        original.info,
        weights_id=hashlib.blake2b(backbone, digest_size=8).hexdigest(),  # its feature maps differ
        training={**original.info.training, "int8": {"of": original.id, "pictures": len(pictures)}},
    )
    write_graph(out, graph, info)
    return load_model(out)


def _pictures(model: Model, images: ImageSet) -> list[npt.NDArray[np.uint8]]:
    found = []
    for row in spread_rows(len(images), MOST_PICTURES).tolist():
        try:
            found.append(model.info.preprocessing.read(images, row))
        except ImageError:
            continue  # the other pictures give the ranges too
    if not found:
        raise InputError("none of the images can be used; give pictures of the kind that the model will see")
    return found


def _quantized(model: Model, pictures: list[npt.NDArray[np.uint8]], folder: Path) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    (folder / "float.onnx").write_bytes(model.graph)
    nodes = onnx.load_from_string(model.graph).graph.node
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # its warnings advise developers, not users
    try:
        quant_pre_process(
            folder / "float.onnx", folder / "ready.onnx", skip_optimization=True, skip_symbolic_shape=True
        )
        quantize_static(
            folder / "ready.onnx",
            folder / "int8.onnx",
            _batches(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(_KINDS),
            nodes_to_exclude=[node.name for node in nodes if node.name.startswith("head/")],
        )
    finally:
        logging.disable(level)
    return onnx.load(folder / "int8.onnx")


def _batches(pictures: list[npt.NDArray[np.uint8]]) -> Any:
    """The pictures as ONNX Runtime reads them."""
    from onnxruntime.quantization import CalibrationDataReader

    groups = grouped([picture.shape for picture in pictures])
    batches = [group[start : start + _AT_ONCE] for group in groups for start in range(0, len(group), _AT_ONCE)]

    class Batches(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
        rest = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            """The next batch, None at the end."""
            batch = next(self.rest, None)
            return None if batch is None else {"images": np.stack([pictures[place] for place in batch])}

    return Batches()
