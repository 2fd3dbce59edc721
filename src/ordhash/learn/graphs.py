"""A frozen backbone that is an ONNX graph from elsewhere.

The graph takes normalised pictures float (n, 3, h, w) or (n, h, w, 3), and gives a map (n, D, h, w) or (n, h, w, D), or
tokens (n, T, D): one for each location, row by row, and up to ``MOST_PREFIX`` before them, which are left out. Nodes
before and after it make of that what a backbone is: ``images`` uint8 (n, h, w, 3) to ``features`` float (n, D, h, w).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
from onnx import TensorProto, helper, numpy_helper

from ordhash.data import Fit, check_fit, step_for
from ordhash.errors import InputError, first_line
from ordhash.learn.normalisation import Normalisation
from ordhash.model import OPSET, FrozenBackbone, Preprocessing, open_session

__all__ = ["MOST_PREFIX", "GraphBackbone", "files_of_graph", "read_graph"]

MOST_PREFIX = 16
"""Tokens of no location, such as class tokens and registers, at most."""

_INNER = "given/"
Node = onnx.NodeProto
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class GraphBackbone:
    """What a training needs to know of such a backbone.

    Attributes:
        frozen: The graph, from ``images`` to ``features``.
        normalisation: How pixels become its input.
        last_channels: D, channels of its map.
        mirror: Whether features are averaged over a picture and its mirror image.
    """

    frozen: FrozenBackbone
    normalisation: Normalisation
    last_channels: int
    mirror: bool


def files_of_graph(path: Path) -> list[Path]:
    """The files of a graph: itself, and those beside it that hold weights; itself alone if it cannot be read.

    Args:
        path: The file, ``.onnx``.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's errors derive from Exception alone; ``read_graph`` reports them
        return [path]
    entries = [entry for tensor in _tensors(model) for entry in tensor.external_data]
    return [path, *(path.parent / name for name in sorted({one.value for one in entries if one.key == "location"}))]


def _tensors(message: Any) -> Iterator[TensorProto]:
    """All tensors within, wherever they are: in graphs, in attributes of nodes, in functions."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _tensors(part)


def read_graph(
    path: Path,
    normalisation: Normalisation,
    *,
    image_size: int = 224,
    fit: Fit = "squash",
    mirror: bool = False,
    tensor: str | None = None,
) -> GraphBackbone:
    """Read a graph, and find out where its map is by running it on a picture of noise.

    Args:
        path: The file, ``.onnx``, with its weights.
        normalisation: How pixels become its input.
        image_size: Shorter side of the pictures, in pixels.
        fit: With ``whole`` it must accept pictures of every aspect.
        mirror: Whether to average features over a picture and its mirror image.
        tensor: Name of the tensor that holds the map; None takes the only output.

    Raises:
        InputError: It is not such a graph, or cannot take such pictures.
    """
    model = _loaded(path)
    given, channels_last = _picture_input(model, path)
    name = _INNER + tensor if tensor else _only_output(model, path)
    _cut(model, given, name, path)
    found = _trial(model, given, name, image_size, channels_last=channels_last, path=path)
    layout = _Layout.of(found, image_size, path)
    step = step_for(layout.reduction)
    check_fit(fit, image_size, step)
    _wrap(model, given, name, layout, normalisation, channels_last=channels_last, mirror=mirror)
    graph = bytes(model.SerializeToString())
    frozen = FrozenBackbone(
        graph, Preprocessing(image_size, fit, step=step), path.stem, hashlib.blake2b(graph, digest_size=8).hexdigest()
    )
    _check(graph, image_size, (image_size, image_size + step if fit == "whole" else image_size), path)
    return GraphBackbone(frozen, normalisation, layout.depth, mirror)


def _loaded(path: Path) -> onnx.ModelProto:
    """The graph with all its names behind a prefix, in the versions of operators that other graphs have."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's errors derive from Exception alone
        raise InputError(f"{path} is not a complete ONNX file ({first_line(error)[:120]}); export it again") from error
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("", OPSET) != OPSET:
        try:
            model = onnx.version_converter.convert_version(onnx.inliner.inline_local_functions(model), OPSET)
        except Exception as error:  # a C++ library's, of many types
            raise InputError(
                f"{path} uses version {versions['']} of ONNX's operators and cannot be converted "
                f"({first_line(error)[:120]}); export it with opset {OPSET}"
            ) from error
    del model.metadata_props[:]
    return onnx.compose.add_prefix(model, _INNER)


def _picture_input(model: onnx.ModelProto, path: Path) -> tuple[str, bool]:
    """Name of the input, and whether its channels come last."""
    weights = {value.name for value in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) == 1 and inputs[0].type.tensor_type.elem_type == TensorProto.FLOAT:
        sides = _sides(inputs[0])
        if len(sides) == 4 and 3 in (sides[1], sides[3]):
            return inputs[0].name, sides[1] != 3
    shown = ", ".join(f"{_outer(value.name)} {_shown(value)}" for value in inputs)
    raise InputError(f"{path} takes {shown}; a backbone takes float pictures (n, 3, h, w) or (n, h, w, 3) alone")


def _only_output(model: onnx.ModelProto, path: Path) -> str:
    outputs = list(model.graph.output)
    if len(outputs) == 1 and len(_sides(outputs[0])) in (3, 4):
        return str(outputs[0].name)
    shown = ", ".join(f"{_outer(value.name)} {_shown(value)}" for value in outputs)
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    maps = [_outer(value.name) for value in inferred if len(_sides(value)) == 4 and _sides(value)[2:] != [1, 1]]
    hint = f", for example {maps[-1]}" if maps else ""
    raise InputError(f"{path} gives {shown}; set tensor to the one that holds the map{hint}")


def _sides(value: onnx.ValueInfoProto) -> list[int | str]:
    return [side.dim_value or side.dim_param for side in value.type.tensor_type.shape.dim]


def _shown(value: onnx.ValueInfoProto) -> str:
    return f"({', '.join(str(side).removeprefix(_INNER) or '?' for side in _sides(value))})"


def _outer(name: str) -> str:
    return name.removeprefix(_INNER)


def _cut(model: onnx.ModelProto, given: str, name: str, path: Path) -> None:
    """Leave the nodes between the input and a tensor, for any number of pictures of any size."""
    makers = {tensor: node for node in model.graph.node for tensor in node.output}
    if name not in makers:
        near = ", ".join(_outer(tensor) for tensor in list(makers)[-3:])
        raise InputError(f"{path} has no tensor {_outer(name)}; its last ones are {near}")
    needed, wanted = set(), [name]
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None and id(node) not in needed:
            needed.add(id(node))
            wanted += [*node.input, *_from_outside(node)]
    nodes = [node for node in model.graph.node if id(node) in needed]
    used = {tensor for node in nodes for tensor in (*node.input, *_from_outside(node))}
    weights = [value for value in model.graph.initializer if value.name in used]
    graph = helper.make_graph(
        nodes,
        "backbone",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, [None] * 4)],
        [helper.make_empty_tensor_value_info(name)],
        weights,
    )
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    model.graph.CopyFrom(graph)


def _from_outside(node: Node) -> list[str]:
    """Tensors that the inner graphs of a node (of a condition or a loop) may take from outside."""
    inner = [part for value in node.attribute for part in (value.g, *value.graphs)]
    return [name for graph in inner for each in graph.node for name in (*each.input, *_from_outside(each))]


def _trial(
    model: onnx.ModelProto, given: str, name: str, size: int, *, channels_last: bool, path: Path
) -> tuple[int, ...]:
    """Shape of the tensor for two pictures."""
    shape = (2, size, size, 3) if channels_last else (2, 3, size, size)
    try:
        session = open_session(bytes(model.SerializeToString()))
        (found,) = session.run([name], {given: np.zeros(shape, dtype=np.float32)})
    except Exception as error:  # ONNX Runtime raises its own classes, which derive from Exception alone
        raise InputError(
            f"{path} cannot take two pictures of {size} pixels at once ({first_line(error)[:200]}); change image_size, "
            "or export it with free axes of the batch, the height and the width"
        ) from error
    if len(found) != 2:
        raise InputError(f"{path} mixes the pictures of a batch; export it with a free axis of the batch")
    return tuple(found.shape)


@dataclass(frozen=True)
class _Layout:
    """Where the map is in the output.

    Attributes:
        kind: ``map`` (n, D, h, w), ``channels last`` (n, h, w, D) or ``tokens`` (n, T, D).
        depth: D.
        reduction: Pixels of a picture's side for each location.
        prefix: Tokens before those of locations.
    """

    kind: str
    depth: int
    reduction: int
    prefix: int = 0

    @classmethod
    def of(cls, shape: tuple[int, ...], size: int, path: Path) -> _Layout:
        """From the shape of the output for square pictures of a size."""
        if len(shape) == 4:
            turned = shape[1] == shape[2] != shape[3]
            side, depth = (shape[1], shape[3]) if turned else (shape[2], shape[1])
            return cls("channels last" if turned else "map", depth, max(round(size / side), 1))
        if len(shape) == 3:
            for side in range(int(shape[1] ** 0.5), 0, -1):
                prefix = shape[1] - side * side
                if size % side == 0 and prefix <= min(MOST_PREFIX, side * side - 1):
                    return cls("tokens", shape[2], size // side, prefix)
        raise InputError(
            f"{path} gives {shape} for two pictures; a map has four dimensions, and tokens are a square number, after "
            f"at most {MOST_PREFIX} others: set tensor to one like that"
        )


def _wrap(
    model: onnx.ModelProto,
    given: str,
    name: str,
    layout: _Layout,
    normalisation: Normalisation,
    *,
    channels_last: bool,
    mirror: bool,
) -> None:
    """Add the nodes from ``images`` to the input, and from the output to ``features``."""
    made = _Nodes()
    mean, std = (np.array(v, dtype=np.float32) for v in (normalisation.mean, normalisation.std))
    pixels = made.add("Cast", "images", to=TensorProto.FLOAT)
    pixels = made.add("Div", made.add("Sub", pixels, mean), std)
    if normalisation.blue_first:
        pixels = made.add("Gather", pixels, np.array([2, 1, 0]), axis=3)
    if mirror:
        pixels = made.add("Concat", pixels, made.mirrored(pixels, axis=2), axis=0)
    if not channels_last:
        pixels = made.add("Transpose", pixels, perm=[0, 3, 1, 2])
    before = [*made.nodes, helper.make_node("Identity", [pixels], [given])]
    made.nodes.clear()
    maps = name
    if layout.kind == "channels last":
        maps = made.add("Transpose", maps, perm=[0, 3, 1, 2])
    elif layout.kind == "tokens":
        located = made.add("Slice", maps, np.array([layout.prefix]), np.array([2**31]), np.array([1]))
        sides = made.add("Div", made.add("Shape", "images", start=1, end=3), np.array([layout.reduction] * 2))
        shape = made.add("Concat", np.array([0, layout.depth]), sides, axis=0)
        maps = made.add("Reshape", made.add("Transpose", located, perm=[0, 2, 1]), shape)
    if mirror:
        first, second = made.halves(maps)
        maps = made.add("Div", made.add("Add", first, made.mirrored(second, axis=3)), np.array(2, dtype=np.float32))
    after = [*made.nodes, helper.make_node("Identity", [maps], ["features"])]
    graph = helper.make_graph(
        [*before, *model.graph.node, *after],
        "backbone",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", layout.depth, "h", "w"])],
        [*model.graph.initializer, *made.constants],
    )
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    model.graph.CopyFrom(graph)


class _Nodes:
    """Nodes in order, their outputs named by numbers."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: list[TensorProto] = []
        self._count = 0

    def add(self, kind: str, *inputs: str | Array, outputs: int = 1, **settings: Any) -> str:
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        made = [self._name() for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **settings))
        return made[0]

    def mirrored(self, tensor: str, axis: int) -> str:
        start, end, along, step = (np.array([number]) for number in (-1, -(2**31), axis, -1))
        return self.add("Slice", tensor, start, end, along, step)

    def halves(self, tensor: str) -> tuple[str, str]:
        first = self.add("Split", tensor, outputs=2, axis=0, num_outputs=2)
        return first, self.nodes[-1].output[1]

    def _constant(self, value: Array) -> str:
        name = self._name()
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def _name(self) -> str:
        self._count += 1
        return f"wrap/{self._count}"


def _check(graph: bytes, size: int, sides: tuple[int, int], path: Path) -> None:
    """Refuse a graph whose features of a picture depend on the others of the batch, or that takes one aspect alone."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, *sides, 3), dtype=np.uint8)
    session = open_session(graph)
    try:
        (together,) = session.run(["features"], {"images": pictures})
        (alone,) = session.run(["features"], {"images": pictures[:1]})
    except Exception as error:  # ONNX Runtime raises its own classes, which derive from Exception alone
        shown = f"pictures of {sides[1]} x {sides[0]} pixels"
        raise InputError(
            f"{path} cannot take {shown} ({first_line(error)[:200]}); set fit to 'squash' or 'crop'"
        ) from error
    if not np.isfinite(together).all():
        raise InputError(f"{path} gives NaN or infinite features; choose another normalisation, or export it again")
    if not np.allclose(together[:1], alone, rtol=1e-2, atol=1e-3 * np.abs(alone).max()):
        raise InputError(f"{path} mixes the pictures of a batch; export it with a free axis of the batch")
