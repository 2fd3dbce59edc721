"""The general model, for collections with too few photographs to learn from.

A rotation of the backbone's features (ITQ), fitted to groceries and CIFAR-10, which are available as packages. Its
float16 weights are shipped as ``general.npz``; the backbone is not included. Codes of few photographs may be long: 256
bits cost little there, and are level with codes fitted to the photographs, or better (docs/unlabelled.md).
``benchmarks/general.py`` builds it.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from ordhash.codes import CodeSpec
from ordhash.data import ImageSet
from ordhash.errors import InputError
from ordhash.learn import DOHConfig, TrainResult, export_model, exported_backbone
from ordhash.learn.shallow import ITQ, LinearHead
from ordhash.model import GENERAL, MODEL_FILE, FeatureStore, ModelInfo
from ordhash.support import replace_file

__all__ = ["GENERAL_BITS", "GENERAL_NETWORK", "fit_general", "general_model", "suits"]

GENERAL_BITS = 256
GENERAL_NETWORK = DOHConfig(arity=2)
_KEPT = Path(__file__).with_name("general.npz")


def suits(config: DOHConfig) -> bool:
    """Whether the general model has the backbone and the preprocessing asked for.

    >>> suits(DOHConfig(code_bits=32)), suits(DOHConfig(image_size=160))
    (True, False)
    """
    return _sees(config) == _sees(GENERAL_NETWORK)


def general_model(out: Path, *, cache: Path) -> TrainResult:
    """Write the general model as ``out/model.onnx``.

    Args:
        out: Folder for the model.
        cache: Folder of exported backbones.

    Raises:
        MissingPartError: The backbone's weights are not available.
    """
    started = time.perf_counter()
    with np.load(_KEPT) as kept:
        head = LinearHead(kept["weight"].astype(np.float32), kept["bias"].astype(np.float32))
        facts: dict[str, Any] = json.loads(str(kept["facts"]))
    if facts["sees"] != _sees(GENERAL_NETWORK):
        raise RuntimeError("general.npz was made for another network; make it again with benchmarks/general.py --fit")
    backbone, frozen = exported_backbone(GENERAL_NETWORK, cache)
    info = ModelInfo(
        spec=CodeSpec(GENERAL_BITS, 2),
        preprocessing=frozen.preprocessing,
        normalisation=backbone.normalisation.to_json(),
        class_names=(),
        multilabel=False,
        backbone=frozen.name,
        weights_id=frozen.weights_id,
        method={"name": ITQ.name, **dataclasses.asdict(ITQ())},
        protocol="",
        training={GENERAL: facts["photographs"], "failures": []},
    )
    path = export_model(out / MODEL_FILE, frozen, head, backbone.last_channels, info)
    return TrainResult(path, None, 0, time.perf_counter() - started, general=True)


def fit_general(images: ImageSet, *, cache: Path, progress: bool = False, path: Path = _KEPT) -> None:
    """Fit the general model to photographs and write ``general.npz``.

    Args:
        images: Photographs of many kinds.
        cache: Folder of feature maps and exported backbones.
        progress: Whether to show bars.
        path: The file, ``.npz``.

    Raises:
        InputError: There are fewer usable photographs than bits.
    """
    backbone, frozen = exported_backbone(GENERAL_NETWORK, cache)
    maps = FeatureStore(cache / "features").maps(images, frozen, progress=progress)
    if len(maps) < GENERAL_BITS:
        raise InputError(f"there are {len(maps)} photographs that can be used; take at least {GENERAL_BITS}")
    method = ITQ()
    head = method.fit(method.seen(maps.pooled(), backbone.last_channels), None, GENERAL_BITS, seed=0)
    facts = {"photographs": len(maps), "sees": _sees(GENERAL_NETWORK)}
    half = {name: getattr(head, name).numpy().astype(np.float16) for name in ("weight", "bias")}
    replace_file(path, lambda file: np.savez_compressed(file, **half, facts=np.array(json.dumps(facts))))


def _sees(config: DOHConfig) -> list[Any]:
    """What tells one preprocessing and backbone from another, in JSON values."""
    own = [] if (config.normalisation, config.tensor) == ("own", None) else [config.normalisation, config.tensor]
    weights = config.weights if config.weights is None else str(config.weights)
    return [config.backbone, weights, config.size_for(scenes=False), config.fit, config.stages, config.mirror, *own]
