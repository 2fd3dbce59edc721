"""model.onnx: the one file between the learning half, which writes it, and the search half, which reads it.

An ONNX graph with the input ``images`` uint8 (n, h, w, 3), the outputs ``scores`` float32 (n, R, K),
``attention`` float32 (n, h, w) and, in some models, ``familiarity`` float32 (n,), and an inner value ``features``
(n, D, h, w) where the backbone ends and the head begins. Everything else that a reader needs is JSON in its metadata.
Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import onnx.utils

from ordhash.errors import DataError, InputError, ModelFileError, first_line
from ordhash.model.features import FrozenBackbone
from ordhash.model.graphs import join
from ordhash.model.info import FORMAT_VERSION, ModelInfo
from ordhash.support import SEAL, StrPath, is_damaged, placeholder, replace_file, sealed

__all__ = [
    "INFO_FIELD",
    "MODEL_FILE",
    "Model",
    "load_model",
    "recorded_model",
    "save_model",
    "write_graph",
]

MODEL_FILE = "model.onnx"  # in whatever folder it is
INFO_FIELD = "ordhash"  # of the metadata


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

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs: ``scores``, ``attention`` and, if the model knows it, ``familiarity``."""
        return ("scores", "attention") if self.info.familiarity is None else ("scores", "attention", "familiarity")

    def head(self, *, half: bool = False, outputs: Sequence[str] | None = None) -> bytes:
        """Graph of the head alone, from ``features`` of any height and width to its outputs.

        Args:
            outputs: Names of some outputs; None for all.
            half: Whether ``features`` are float16, as a FeatureStore keeps them, and are widened inside the graph: ONNX
                Runtime does that many times as fast as NumPy.
        """
        extractor = onnx.utils.Extractor(onnx.load_from_string(self.graph))
        head = extractor.extract_model(["features"], list(outputs or self.outputs))
        sides = head.graph.input[0].type.tensor_type.shape.dim[2:]
        for side, name in zip(sides, ("h", "w"), strict=True):
            side.dim_param = name
        if half:
            for node in head.graph.node:
                node.input[:] = ["features/wide" if name == "features" else name for name in node.input]
            widen = onnx.helper.make_node("Cast", ["features"], ["features/wide"], to=onnx.TensorProto.FLOAT)
            head.graph.node.insert(0, widen)
            head.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        return bytes(head.SerializeToString())

    def with_features(self) -> bytes:
        """The whole graph with one more output, ``features``."""
        graph = onnx.load_from_string(self.graph)
        kind = onnx.TensorProto.FLOAT
        graph.graph.output.append(onnx.helper.make_tensor_value_info("features", kind, ["n", None, None, None]))
        return bytes(graph.SerializeToString())

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
        DataError: It is missing or cannot be read.
    """
    if recorded is None:
        raise InputError(f"{owner} does not say where its model is; give --model")
    others, unread = False, ""
    for path in (Path(owner, f"model-{model_id}.onnx"), Path(recorded), Path(owner, Path(recorded).name)):
        if not path.is_file():
            continue
        try:
            if model_id is None or _id_of(path.read_bytes()) == model_id:
                return path
            others = True
        except OSError as error:
            unread = first_line(error)
    if unread:
        raise DataError(f"the model of {owner} cannot be read ({unread}); check its permissions, or give --model")
    if others:
        raise DataError(f"the model at {recorded} is not the one that made {owner}, {model_id}; give that with --model")
    raise DataError(f"the model of {owner} is no longer at {recorded}; give --model")


def _id_of(content: bytes) -> str:
    """Digest of a model file."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def save_model(path: Path, backbone: FrozenBackbone, head: bytes, info: ModelInfo) -> Path:
    """Join two graphs at ``features`` and write them with their metadata.

    The file appears under its name only when it is complete.

    Args:
        path: The file, ``.onnx``.
        backbone: ``images`` to ``features``.
        head: ``features`` to ``scores``, ``attention`` and, if ``info`` has it, ``familiarity``.
        info: Metadata.
    """
    if path.suffix != ".onnx":
        raise InputError(f"{path} cannot be a model file; its name must end in .onnx")
    joined = join(onnx.load_from_string(backbone.graph), onnx.load_from_string(head), "features", "head/")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_graph(path, joined, info)
    return path


def write_graph(path: Path, graph: onnx.ModelProto, info: ModelInfo) -> None:
    """Write a whole graph with its metadata, and seal the file.

    Args:
        path: The file.
        graph: ``images`` to all outputs; its metadata are replaced.
        info: Metadata.
    """
    empty = placeholder()
    onnx.helper.set_model_props(graph, {INFO_FIELD: json.dumps(info.to_json(), default=_as_json), SEAL: empty})
    onnx.checker.check_model(graph)
    content = sealed(graph.SerializeToString(), empty)
    replace_file(path, lambda file: file.write(content))


def _as_json(value: object) -> object:
    """A value that JSON does not know: numbers of NumPy as numbers, paths and others as texts."""
    return value.item() if isinstance(value, np.generic) else str(value)


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Raises:
        ModelFileError: It is missing, not a model of this package, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"{path} {what}; give a model.onnx that `ordhash train` wrote")
    graph = path.read_bytes()
    if is_damaged(graph):
        raise ModelFileError(f"{path} has changed since it was written, by a damaged disk or copy; write it again")
    try:
        model = onnx.load_from_string(graph)
    except Exception as error:  # protobuf's errors derive from Exception alone
        raise ModelFileError(f"{path} is not an ONNX file; give a model.onnx that `ordhash train` wrote") from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if INFO_FIELD not in properties:
        raise ModelFileError(f"{path} is an ONNX file of something else; give a model.onnx that `ordhash train` wrote")
    try:
        values = json.loads(properties[INFO_FIELD])
        version = values["format_version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"format_version is {version!r:.40}")
        if version > FORMAT_VERSION:
            raise ModelFileError(
                f"{path} has format {version}, and this version of ordhash reads formats up to {FORMAT_VERSION}; "
                "upgrade ordhash"
            )
        info = ModelInfo.from_json(values)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} has damaged metadata ({error!r:.200}); train or export it again") from error
    _check_graph(model, info, path)
    return Model(graph, info, _id_of(graph), path)


def _check_graph(model: onnx.ModelProto, info: ModelInfo, path: Path) -> None:
    """Refuse graphs that could keep a reader busy for ever, read other files, or contradict the metadata."""
    size, spec = info.preprocessing.size if info.preprocessing.fit != "whole" else None, info.spec
    wanted: dict[str, tuple[int | None, ...]] = {
        "images": (size, size, 3),
        "scores": (spec.n_segments, spec.arity),
        "attention": (None, None),
    }
    if info.familiarity is not None:
        wanted["familiarity"] = ()
    try:
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
            raise ValueError("weights are in another file")
        onnx.checker.check_model(model)  # its nodes are in order, so there is no cycle
        found = {value.name: value.type.tensor_type.shape.dim for value in (*model.graph.input, *model.graph.output)}
        for name, sides in wanted.items():
            shape = [side.dim_value or None for side in found[name]]
            if len(shape) != 1 + len(sides) or any(a and b and a != b for a, b in zip(shape[1:], sides, strict=True)):
                raise ValueError(f"{name} has the shape {shape}")
    except Exception as error:  # the checker's own errors derive from Exception alone
        raise ModelFileError(f"{path} has a damaged graph ({first_line(error):.200}); write it again") from error
