"""Join ONNX graphs."""

from __future__ import annotations

import onnx

__all__ = ["OPSET", "join"]

OPSET = 20
"""Version of the standard operators in all graphs: only graphs of one version can be joined."""


def join(first: onnx.ModelProto, second: onnx.ModelProto, tensor: str, prefix: str) -> onnx.ModelProto:
    """One graph that runs two, one after the other; its metadata are those of both.

    Args:
        first: Has the output ``tensor``.
        second: Has the input ``tensor``, and the same version of every operator set.
        tensor: Name of the tensor where the first ends and the second begins.
        prefix: Of the names of all other inner tensors of ``second``, which the first may have too.
    """
    second = onnx.compose.add_prefix(
        second, prefix, rename_inputs=False, rename_outputs=False, rename_value_infos=False
    )
    first.ir_version = second.ir_version = max(first.ir_version, second.ir_version)
    joined = onnx.compose.merge_models(first, second, io_map=[(tensor, tensor)], producer_name="ordhash")
    versions = {entry.domain: entry for entry in joined.opset_import}  # each graph has named them
    del joined.opset_import[:]
    joined.opset_import.extend(versions.values())
    return joined
