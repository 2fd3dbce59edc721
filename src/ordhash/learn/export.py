"""Export PyTorch modules to ONNX graphs, and these to model.onnx."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

import ordhash
from ordhash.errors import InputError, first_line
from ordhash.learn.backbones import Backbone, configured_backbone, configured_graph
from ordhash.learn.config import DOHConfig, is_graph
from ordhash.learn.familiarity import GaugedHead
from ordhash.learn.graphs import GraphBackbone
from ordhash.learn.layouts import plain_attention
from ordhash.learn.padding import with_fixed_padding
from ordhash.model import MAX_SIDE, OPSET, FrozenBackbone, ModelInfo, Preprocessing, save_model
from ordhash.support import replace_file

__all__ = ["export_backbone", "export_head", "export_model", "exported_backbone", "to_onnx", "weights_digest"]


def weights_digest(module: nn.Module) -> str:
    """16 hexadecimal digits: a hash of a module's weights, their names, and its settings (``extra_repr``)."""
    digest = hashlib.blake2b(module.extra_repr().encode(), digest_size=8)
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def export_backbone(
    backbone: Backbone, preprocessing: Preprocessing, name: str, cache: Path | None = None
) -> FrozenBackbone:
    """Export a backbone as a graph ``images`` -> ``features``.

    Args:
        backbone: In evaluation mode.
        preprocessing: How pictures are prepared.
        name: Name of the backbone.
        cache: Folder of exported graphs, because an export takes about 15 seconds, and a minute if height and width
            are free; None does not cache.

    Raises:
        InputError: PyTorch cannot export this network.
    """
    weights_id = weights_digest(backbone)
    free = preprocessing.fit == "whole"
    kept = cache / f"{name}-{'any' if free else preprocessing.size}-{weights_id}.onnx" if cache else None
    if kept and kept.exists():
        return FrozenBackbone(kept.read_bytes(), preprocessing, name, weights_id)
    example = torch.zeros(2, preprocessing.size, preprocessing.size, 3, dtype=torch.uint8)
    sides = {1: preprocessing.step, 2: preprocessing.step} if free else {}
    try:
        with plain_attention(backbone):
            graph = to_onnx(with_fixed_padding(backbone) if free else backbone, example, "images", ["features"], sides)
    except torch.onnx.OnnxExporterError as error:
        raise InputError(
            f"{name} cannot be written as an ONNX graph ({first_line(error)[:200]}); choose another backbone"
        ) from error
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        replace_file(kept, lambda file: file.write(graph))
    return FrozenBackbone(graph, preprocessing, name, weights_id)


def exported_backbone(
    config: DOHConfig, cache: Path, *, seed: int = 0
) -> tuple[Backbone | GraphBackbone, FrozenBackbone]:
    """The configured backbone, frozen, and its graph.

    Args:
        config: Uses backbone, weights, image_size, fit, stages, mirror, normalisation and tensor.
        cache: Folder of feature maps and exported backbones.
        seed: Seed of random weights.

    Raises:
        InputError: The backbone cannot be built.
        MissingPartError: Its weights are not available.
    """
    if is_graph(config.backbone):
        given = configured_graph(config)
        return given, given.frozen
    backbone, preprocessing = configured_backbone(config, seed=seed)
    return backbone, export_backbone(backbone, preprocessing, config.backbone, cache / "backbones")


class _HeadForExport(nn.Module):
    """A head reduced to its public outputs."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        output = self.head(features)
        more = () if output.familiarity is None else (output.familiarity,)
        return (output.scores, output.attention, *more)


def export_head(head: nn.Module, depth: int) -> bytes:
    """Export a head as a graph ``features`` -> ``scores``, ``attention`` and, of a GaugedHead, ``familiarity``.

    Args:
        head: A module that returns a HeadOutput, in evaluation mode.
        depth: D, channels of its features.
    """
    outputs = ["scores", "attention", *(["familiarity"] if isinstance(head, GaugedHead) else [])]
    return to_onnx(_HeadForExport(head).eval(), torch.zeros(2, depth, 3, 4), "features", outputs, {2: 1, 3: 1})


def export_model(
    path: Path,
    frozen: FrozenBackbone,
    head: nn.Module,
    depth: int,
    info: ModelInfo,
) -> Path:
    """Write a model file.

    Args:
        path: The file, ``.onnx``.
        frozen: Graph of the backbone.
        head: A module that returns a HeadOutput, in evaluation mode; a GaugedHead if ``info`` has a familiarity.
        depth: D, channels of its features.
        info: Metadata; the versions of ordhash and PyTorch are added to its ``training``.
    """
    versions = {"ordhash": ordhash.__version__, "torch": torch.__version__}
    info = dataclasses.replace(info, training={**info.training, "versions": versions})
    return save_model(path, frozen, export_head(head, depth), info)


def to_onnx(
    module: nn.Module,
    example: Tensor,
    input_name: str,
    output_names: list[str],
    free: Mapping[int, int] = MappingProxyType({}),
) -> bytes:
    """Export a module as an ONNX graph with a variable batch size.

    Args:
        module: In evaluation mode.
        example: An input; its first dimension is the batch.
        input_name: Name of the input.
        output_names: Names of the outputs.
        free: Other dimensions of the input that vary, and what they are multiples of.
    """
    varying = {0: torch.export.Dim("n")}
    for axis, step in free.items():
        length = torch.export.Dim(f"side{axis}", max=MAX_SIDE // step)
        varying[axis] = step * length if step > 1 else length
    # The exporter logs internals as warnings (a missing torchaudio, for instance) that do not concern the user.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[input_name],
            output_names=output_names,
            dynamic_shapes=(varying,),
            opset_version=OPSET,
            verbose=False,
        )
    finally:
        logger.setLevel(level)
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    model = program.model_proto
    # Drop the layers' source locations: they contain local paths, and a model's id must not depend on where the
    # package is installed.
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer, *model.graph.input):
        del part.metadata_props[:]
    for function in model.functions:
        for part in (function, *function.node):
            del part.metadata_props[:]
    return bytes(model.SerializeToString())
