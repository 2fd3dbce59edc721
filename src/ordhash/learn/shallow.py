"""Shallow methods: a linear projection of pooled features, cut at zero. They export the same model file as DOH.

A bit is a segment of arity 2 with the scores (-u/2, +u/2), so encoding, searching and evaluating exist once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ordhash.calibration import Calibration
from ordhash.codes import CodeSpec
from ordhash.data.imageset import ImageSet
from ordhash.errors import InputError
from ordhash.features import FeatureStore
from ordhash.learn.backbones import configured_backbone
from ordhash.learn.config import DOHConfig
from ordhash.learn.export import export_backbone, export_model
from ordhash.learn.network import HeadOutput, uniform_attention
from ordhash.learn.trainer import DEFAULT_CACHE, TrainResult
from ordhash.learn.validation import calibrations

__all__ = ["SHALLOW_CITATIONS", "SHALLOW_METHODS", "LinearHead", "fit_itq", "fit_lsh", "fit_shallow"]

Features = npt.NDArray[np.float32]
Projection = tuple[Features, Features]


class LinearHead(nn.Module):
    """u = W f + b on the first D features, pooled over locations and brought to length 1.

    Args:
        weight: float (code_bits, D).
        bias: float (code_bits,).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Features, bias: Features) -> None:
        super().__init__()
        self.register_buffer("weight", torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32)))
        self.register_buffer("bias", torch.from_numpy(np.ascontiguousarray(bias, dtype=np.float32)))

    def forward(self, features: Tensor) -> HeadOutput:
        """HeadOutput without class logits, and with attention that is the same everywhere."""
        last = features[:, : self.weight.shape[1]]
        pooled = nn.functional.normalize(last.mean(dim=(2, 3)), dim=1)
        u = pooled @ self.weight.T + self.bias
        return HeadOutput(torch.stack([-u / 2, u / 2], dim=2), (), uniform_attention(features))


def fit_lsh(features: Features, code_bits: int, seed: int) -> Projection:
    """Locality-sensitive hashing: random hyperplanes through the mean (Charikar, STOC 2002).

    Args:
        features: float32 (n, D), rows of length 1.
        code_bits: Hyperplanes.
        seed: Of the draw.

    Returns:
        Weight (code_bits, D) and bias (code_bits,).
    """
    weight = np.random.default_rng(seed).standard_normal((code_bits, features.shape[1])).astype(np.float32)
    return weight, -weight @ features.mean(axis=0)


def fit_itq(features: Features, code_bits: int, seed: int) -> Projection:
    """Iterative quantisation: PCA, then the rotation that brings values nearest to the corners of a cube.

    Gong and Lazebnik, CVPR 2011; the rotation is FAISS's, started from a random one.

    Args:
        features: float32 (n, D), rows of length 1, n > code_bits.
        code_bits: Principal components.
        seed: Of the first rotation.

    Returns:
        Weight (code_bits, D) and bias (code_bits,).

    Raises:
        InputError: There are fewer images or features than bits.
    """
    if min(features.shape) < code_bits:
        raise InputError(f"ITQ needs at least {code_bits} images and features; there are {features.shape}")
    pca = faiss.PCAMatrix(features.shape[1], code_bits)
    pca.train(np.ascontiguousarray(features))
    projected = pca.apply(features)
    rotation = faiss.ITQMatrix(code_bits)
    rotation.seed = seed + 123  # FAISS's own default, moved by the seed
    rotation.train(projected)
    axes = faiss.vector_to_array(pca.A).reshape(-1, features.shape[1])[:code_bits]
    turn = faiss.vector_to_array(rotation.A).reshape(code_bits, code_bits)
    weight = (turn @ axes).astype(np.float32)
    return weight, -weight @ features.mean(axis=0)


SHALLOW_METHODS: dict[str, Callable[[Features, int, int], Projection]] = {"itq": fit_itq, "lsh": fit_lsh}
SHALLOW_CITATIONS = {"itq": "Gong and Lazebnik, CVPR 2011", "lsh": "Charikar, STOC 2002"}


def fit_shallow(
    method: str,
    images: ImageSet,
    config: DOHConfig,
    *,
    out: str | Path,
    seed: int = 0,
    protocol: str = "",
    cache: Path = DEFAULT_CACHE,
    overwrite: bool = False,
    progress: bool = False,
) -> TrainResult:
    """Fit a shallow method on the features of some images and write ``out/model.onnx``.

    Labels are not learned from; where there are some, they calibrate the distances.

    Args:
        method: ``itq`` or ``lsh``.
        images: Images to learn from.
        config: Its backbone, image size and code_bits are used; codes have arity 2.
        out: Folder for the model.
        seed: Of what is drawn at random.
        protocol: Name of the data, for the model file.
        cache: Folder of feature maps and exported backbones.
        overwrite: Whether a model in ``out`` may be replaced.
        progress: Whether to show bars.

    Returns:
        Where the model is, and which images could not be used.

    Raises:
        InputError: There is no such method, or too few images.
    """
    if method not in SHALLOW_METHODS:
        raise InputError(f"there is no shallow method {method!r}; allowed are {', '.join(SHALLOW_METHODS)}")
    if (Path(out) / "model.onnx").exists() and not overwrite:
        raise InputError(f"{Path(out) / 'model.onnx'} exists; choose another folder, or allow overwriting it")
    started = time.perf_counter()
    backbone, form = configured_backbone(config)
    frozen = export_backbone(backbone, form, config.backbone, cache / "backbones")
    maps = FeatureStore(cache / "features").maps(images, frozen, progress=progress).at_least_one()
    # The last map alone: joined to it, earlier stages make what does not learn from labels worse (docs/experiments.md).
    pooled = maps.pooled()[:, : backbone.last_channels]
    pooled /= np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
    head = LinearHead(*SHALLOW_METHODS[method](pooled, config.code_bits, seed))
    measured: tuple[Calibration | None, Calibration | None] = (None, None)
    if images.labels is not None:
        labels = images.labels[maps.rows]
        labelled = labels.any(axis=1)
        scores = head(torch.from_numpy(pooled[labelled])[:, :, None, None]).scores.numpy()
        measured = calibrations(scores, labels[labelled])
    path = export_model(
        Path(out) / "model.onnx",
        backbone,
        frozen,
        head,
        maps.shape,
        spec=CodeSpec(config.code_bits, 2),
        class_names=images.class_names,
        multilabel=images.multilabel,
        method={"name": method},
        protocol=protocol,
        training={"seed": seed, "images": len(maps)},
        failures=maps.failures,
        calibrations=measured,
    )
    return TrainResult(path, None, 0, time.perf_counter() - started, failures=tuple(maps.failures))
