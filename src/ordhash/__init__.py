"""Image retrieval with learned ordinal hash codes.

Names are loaded when they are first used, so that ``import ordhash`` is quick and the search half never loads PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ordhash.codes import CodeSpec, OrdinalCodes
    from ordhash.collection import Collection
    from ordhash.evaluation import Report, evaluate
    from ordhash.index import OrdinalIndex
    from ordhash.model import Encoder, FeatureStore

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
