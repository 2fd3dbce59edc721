"""model.onnx: the one file between the learning half, which writes it, and the search half, which reads it.

An ONNX graph with the input ``images`` uint8 (n, size, size, 3), the outputs ``scores`` float32 (n, R, K) and
``attention`` float32 (n, h, w), and an inner value ``features`` (n, D, h, w) where the backbone ends and the head
begins. Everything else that a reader needs is JSON in its metadata. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import onnx.compose
import onnx.utils

from ordhash.codes import CodeSpec
from ordhash.errors import DataError, InputError, ModelFileError
from ordhash.model.calibration import Calibration
from ordhash.model.features import FrozenBackbone
from ordhash.model.inference import Preprocessing
from ordhash.support import StrPath, replace_file

__all__ = [
    "FORMAT_VERSION",
    "INFO_FIELD",
    "MODEL_FILE",
    "Model",
    "ModelInfo",
    "load_model",
    "recorded_model",
    "save_model",
]

FORMAT_VERSION = 1
MODEL_FILE = "model.onnx"  # in whatever folder it is
INFO_FIELD = "ordhash"  # of the metadata


@dataclass(frozen=True)
class ModelInfo:
    """Metadata of a model file.

    Attributes:
        spec: Shape of the codes.
        preprocessing: How pictures are prepared.
        normalisation: ``mean`` and ``std`` in pixel values; the graph applies them itself.
        class_names: Classes of the training set.
        multilabel: Whether training images carried several labels.
        backbone: Name of the backbone.
        weights_id: Digest of the backbone's weights, under which its feature maps are cached.
        method: Objective or shallow method that made the codes, and its settings.
        protocol: Name of the protocol or data that it learned from.
        training: Summary of the training: settings, epochs, seed, validation mAP, versions.
        calibration: How likely images at an ordinal distance are of the same kind; None where no labelled images
            were left to measure it on.
        asymmetric_calibration: The same by asymmetric distance.
    """

    spec: CodeSpec
    preprocessing: Preprocessing
    normalisation: dict[str, list[float]]
    class_names: tuple[str, ...]
    multilabel: bool
    backbone: str
    weights_id: str
    method: dict[str, Any]
    protocol: str
    training: dict[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    asymmetric_calibration: Calibration | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ModelInfo:
        """Inverse of ``to_json``.

        Raises:
            KeyError: A value is missing.
        """
        calibrations = ("calibration", "asymmetric_calibration")  # files written before there were any have none
        parts = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name not in calibrations}
        for name in calibrations:
            found = values.get(name)
            parts[name] = found and Calibration(tuple(found["distances"]), tuple(found["likelihoods"]), found["pairs"])
        parts["spec"] = CodeSpec(**values["spec"])
        parts["preprocessing"] = Preprocessing(**values["preprocessing"])
        parts["class_names"] = tuple(values["class_names"])
        return cls(**parts)


@dataclass(frozen=True)
class Model:
    """A loaded model file.

    Attributes:
        graph: Content of the file.
        info: Its metadata.
        id: Digest of the content: codes of two different ids are never compared.
        path: Its path.
    """

    graph: bytes = field(repr=False)
    info: ModelInfo
    id: str
    path: Path

    def head(self, *, half: bool = False) -> bytes:
        """Graph of the head alone, from ``features`` to ``scores`` and ``attention``.

        Args:
            half: Whether ``features`` are float16, as a FeatureStore keeps them, and are widened inside the graph: ONNX
                Runtime does that many times as fast as NumPy.
        """
        extractor = onnx.utils.Extractor(onnx.load_from_string(self.graph))
        head = extractor.extract_model(["features"], ["scores", "attention"])
        if half:
            for node in head.graph.node:
                node.input[:] = ["features/wide" if name == "features" else name for name in node.input]
            widen = onnx.helper.make_node("Cast", ["features"], ["features/wide"], to=onnx.TensorProto.FLOAT)
            head.graph.node.insert(0, widen)
            head.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        return bytes(head.SerializeToString())

    def backbone(self) -> FrozenBackbone:
        """The backbone alone, from ``images`` to ``features``."""
        extractor = onnx.utils.Extractor(onnx.load_from_string(self.graph))
        graph = extractor.extract_model(["images"], ["features"]).SerializeToString()
        return FrozenBackbone(graph, self.info.preprocessing, self.info.backbone, self.info.weights_id)


def recorded_model(owner: StrPath, recorded: str | None, model_id: str | None = None) -> Path:
    """The model that an index or a collection was made with.

    Args:
        owner: The index or the collection. A collection has its model inside.
        recorded: The path of the model that it recorded.
        model_id: The id of the model that it recorded; other models at the same path are skipped.

    Raises:
        InputError: It recorded no path.
        DataError: It is missing.
    """
    if recorded is None:
        raise InputError(f"{owner} does not say where its model is; give --model")
    others = False
    for path in (Path(owner, f"model-{model_id}.onnx"), Path(recorded), Path(owner, Path(recorded).name)):
        if path.is_file():
            if model_id is None or _is_model(path, model_id):
                return path
            others = True
    if others:
        raise DataError(f"the model at {recorded} is not the one that made {owner}, {model_id}; give that with --model")
    raise DataError(f"the model of {owner} is no longer at {recorded}; give --model")


def _is_model(path: Path, model_id: str) -> bool:
    try:
        return load_model(path).id == model_id
    except ModelFileError:
        return False


def save_model(path: Path, backbone: FrozenBackbone, head: bytes, info: ModelInfo) -> Path:
    """Join two graphs at ``features`` and write them with their metadata.

    The file appears under its name only when it is complete.

    Args:
        path: The file, ``.onnx``.
        backbone: ``images`` to ``features``.
        head: ``features`` to ``scores`` and ``attention``.
        info: Metadata.
    """
    if path.suffix != ".onnx":
        raise InputError(f"{path} cannot be a model file; its name must end in .onnx")
    joined = onnx.compose.merge_models(
        onnx.load_from_string(backbone.graph),
        onnx.compose.add_prefix(
            onnx.load_from_string(head), "head/", rename_inputs=False, rename_outputs=False, rename_value_infos=False
        ),
        io_map=[("features", "features")],
        producer_name="ordhash",
    )
    onnx.helper.set_model_props(joined, {INFO_FIELD: json.dumps(info.to_json(), default=str)})
    onnx.checker.check_model(joined)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(joined.SerializeToString()))
    return path


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Raises:
        ModelFileError: It is missing, not a model of this package, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path} is not a file; give a model.onnx that `ordhash train` wrote")
    graph = path.read_bytes()
    try:
        properties = {entry.key: entry.value for entry in onnx.load_from_string(graph).metadata_props}
    except Exception as error:  # protobuf's errors derive from Exception alone
        raise ModelFileError(f"{path} is not an ONNX file; give a model.onnx that `ordhash train` wrote") from error
    if INFO_FIELD not in properties:
        raise ModelFileError(f"{path} is an ONNX file of something else; give a model.onnx that `ordhash train` wrote")
    try:
        values = json.loads(properties[INFO_FIELD])
        version = int(values["format_version"])
        if version > FORMAT_VERSION:
            raise ModelFileError(
                f"{path} has format {version}, and this version of ordhash reads formats up to {FORMAT_VERSION}; "
                "upgrade ordhash"
            )
        info = ModelInfo.from_json(values)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} has damaged metadata ({error!r}); train or export it again") from error
    return Model(graph, info, hashlib.blake2b(graph, digest_size=8).hexdigest(), path)
