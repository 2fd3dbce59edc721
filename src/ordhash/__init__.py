"""Image retrieval with learned ordinal hash codes.

Names are loaded when they are first used, so that ``import ordhash`` is quick and the search half never loads PyTorch.

Importing it also switches off what its dependencies report to their makers, for the whole process (docs/privacy.md).
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ordhash.codes import CodeSpec, OrdinalCodes
    from ordhash.collection import Collection
    from ordhash.evaluation import Report, evaluate
    from ordhash.index import OrdinalIndex
    from ordhash.model import Encoder, FeatureStore

# Here, because this file runs before any other of the package, also in workers of Ray, and libraries read these
# variables when they are loaded. Set whatever the environment says: an empty value or 0 would switch reports on.
if "onnxruntime" in sys.modules and os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
    warnings.warn(
        "onnxruntime was imported before ordhash, so it reports to its maker; import ordhash first, or set "
        "ORT_DISABLE_TELEMETRY=1",
        stacklevel=2,
    )
os.environ.update(ORT_DISABLE_TELEMETRY="1", RAY_USAGE_STATS_ENABLED="0", HF_HUB_DISABLE_TELEMETRY="1")

__version__ = "0.1.0"

__all__ = [
    "CodeSpec",
    "Collection",
    "Encoder",
    "FeatureStore",
    "OrdinalCodes",
    "OrdinalIndex",
    "Report",
    "__version__",
    "evaluate",
]

_HOMES = {
    "CodeSpec": "codes",
    "Collection": "collection",
    "Encoder": "model",
    "FeatureStore": "model",
    "OrdinalCodes": "codes",
    "OrdinalIndex": "index",
    "Report": "evaluation",
    "evaluate": "evaluation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ordhash' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ordhash.{_HOMES[name]}"), name)
