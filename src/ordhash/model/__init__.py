"""Everything done with a `model.onnx`: its file, inference, features, codes, variants."""

from ordhash.model.calibration import Calibration
from ordhash.model.encoder import Encoded, Encoder
from ordhash.model.familiarity import Familiarity
from ordhash.model.features import FeatureMaps, FeatureStore, FrozenBackbone
from ordhash.model.file import MODEL_FILE, Model, load_model, recorded_model, save_model
from ordhash.model.graphs import OPSET
from ordhash.model.inference import MAX_SIDE, Preprocessing, open_session
from ordhash.model.info import ModelInfo
from ordhash.model.parts import check_sees_all, part_codes
from ordhash.model.quantization import quantize
from ordhash.model.staleness import (
    GENERAL,
    LEAST_LEARNED_FROM,
    MOST_LEARNED_FROM,
    SYMBOL_SHARES,
    learned_from,
    staleness,
    symbol_shares,
)

__all__ = [
    "GENERAL",
    "LEAST_LEARNED_FROM",
    "MAX_SIDE",
    "MODEL_FILE",
    "MOST_LEARNED_FROM",
    "OPSET",
    "SYMBOL_SHARES",
    "Calibration",
    "Encoded",
    "Encoder",
    "Familiarity",
    "FeatureMaps",
    "FeatureStore",
    "FrozenBackbone",
    "Model",
    "ModelInfo",
    "Preprocessing",
    "check_sees_all",
    "learned_from",
    "load_model",
    "open_session",
    "part_codes",
    "quantize",
    "recorded_model",
    "save_model",
    "staleness",
    "symbol_shares",
]
