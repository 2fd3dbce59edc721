"""What backbones and sizes are worth and what they cost: mAP on ``grocery`` and images a second.

``make bench-backbones``. Each gets the default network, 48 bits, and three seeds; its validation images choose the
epoch, and their mAP is what a choice between the rows may look at. Speeds are those of ``Encoder`` on the queries'
files, in rounds that alternate between the rows.

Trainings that ``runs/bench-backbones`` holds are not repeated. ``--seeds N`` trains N of the three and takes the others
from there; ``--rehearse`` takes one small backbone for an epoch and keeps no results.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, machine

from ordhash import Encoder, FeatureStore
from ordhash.data import Fit, Protocol, load_protocol
from ordhash.evaluation import evaluate
from ordhash.learn import DOHConfig, TrainConfig, train
from ordhash.model import load_model
from ordhash.support import write_json

CANDIDATES: tuple[tuple[str, int, Fit], ...] = (
    ("tf_efficientnet_lite0", 160, "squash"),
    ("tf_efficientnet_lite0", 160, "whole"),
    ("tf_efficientnet_lite0", 224, "squash"),
    ("tf_efficientnet_lite0", 224, "whole"),
    ("tf_efficientnet_lite0", 320, "whole"),
    ("tf_efficientnet_lite2", 224, "squash"),
    ("resnet50_v1", 224, "squash"),
)
SEEDS, ROUNDS, TIMED = 3, 5, 160
CACHE = Path(".cache")


def learned(protocol: Protocol, config: DOHConfig, seed: int, out: Path, epochs: int) -> Path:
    settings = TrainConfig(mode="frozen", seed=seed, epochs=epochs, accelerator="cpu")
    return train(protocol.train, config, settings, validation=protocol.validation, out=out, cache=CACHE).model


def quality(protocol: Protocol, model: Path) -> dict[str, float]:
    report = evaluate(Encoder(model, features=FeatureStore(CACHE / "features")), protocol)
    validation: float = load_model(model).info.training["validation_map"]
    return {"validation": validation, "ordinal": report.ordinal.map, "asymmetric": report.asymmetric.map}


def speeds(protocol: Protocol, models: list[Path], rounds: int, images: int) -> list[float]:
    """Median images/s of each model, in rounds that alternate."""
    some = protocol.query.subset(np.linspace(0, len(protocol.query) - 1, images).astype(np.intp))
    encoders = [Encoder(model) for model in models]
    found: list[list[float]] = [[] for _ in models]
    for round_ in range(rounds + 1):
        for encoder, values in zip(encoders, found, strict=True):
            started = time.perf_counter()
            encoder.run(some)
            if round_:  # the first warms up
                values.append(images / (time.perf_counter() - started))
    return [statistics.median(values) for values in found]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    rehearse = options.rehearse
    protocol = load_protocol("grocery")
    candidates, seeds, epochs, rounds, timed = CANDIDATES, options.seeds, TrainConfig().epochs, ROUNDS, TIMED
    if rehearse:
        protocol, candidates = protocol.thinned(100), (("test_vit", 64, "squash"),)
        seeds, epochs, rounds, timed = 1, 1, 1, 8
    rows: list[dict[str, Any]] = []
    models = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if rehearse else Path("runs/bench-backbones")
        for name, size, fit in candidates:
            config = DOHConfig(backbone=name, image_size=size, fit=fit, weights=None if rehearse else "pretrained")
            runs = []
            for seed in range(SEEDS):
                out = folder / f"{name}-{size}{'' if fit == 'squash' else f'-{fit}'}-{seed}"
                if seed >= seeds and not (out / "model.onnx").exists():
                    continue
                model = learned(protocol, config, seed, out, epochs)
                runs.append({"seed": seed, **quality(protocol, model)})
                print(f"{name} at {size} px, {fit}, seed {seed}: mAP {runs[-1]['ordinal']:.4f}", flush=True)
            models.append(model)
            rows.append({"backbone": name, "image_size": size, "fit": fit, "runs": runs})
        for row, value in zip(rows, speeds(protocol, models, rounds, timed), strict=True):
            row["images_per_second"] = value
            print(f"{row['backbone']} at {row['image_size']} px, {row['fit']}: {value:.0f} images/s", flush=True)
    if not rehearse:
        measured = {"machine": machine(), "protocol": protocol.name, "epochs": epochs, "rows": rows}
        write_json(RESULTS / "backbones.json", {"command": "make bench-backbones", **measured})


if __name__ == "__main__":
    main()
