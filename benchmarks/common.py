"""What benchmarks share: where results go, what they were measured on, how rivals take turns, and how tables look."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ordhash.bench import markdown_table as table
from ordhash.bench import mean_interval
from ordhash.data import ImageSet
from ordhash.learn import DOHConfig, TrainConfig, train

__all__ = [
    "CIFAR_CONFIG",
    "FROZEN",
    "RESULTS",
    "SMALL_PICTURES",
    "machine",
    "mean_interval",
    "medians",
    "table",
    "untaught_model",
]

RESULTS = Path(__file__).parent / "results"
# Experiments choose on these features what the benchmark measures on them.
CIFAR_CONFIG = DOHConfig(
    objective="doh-mixup",  # what the default is with that many images a class
    backbone="tf_efficientnet_lite2",
    image_size=224,
    fit="squash",
    stages=3,
    mirror=True,
)
# Where it is not the network that is measured.
SMALL_PICTURES = DOHConfig(image_size=160, fit="squash")
# The validation images of each run choose its epoch; docs/experiments.md has what other numbers of epochs gave.
FROZEN = TrainConfig(mode="frozen", epochs=20, learning_rate=1e-3, validate_every=4, validation_fraction=0.05)


def machine() -> dict[str, Any]:
    """Processor, cores and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return {
        "processor": ", ".join(sorted(names)) or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "onnxruntime": importlib.metadata.version("onnxruntime"),
    }


def check_machine(measured: dict[str, Any], here: dict[str, Any], path: Path) -> None:
    """Stop before numbers of this machine stand beside those of another one.

    Args:
        measured: Results to go on with, which name the machine that they are of.
        here: This machine.
        path: Their file.
    """
    there = measured["machine"]
    if differing := sorted(name for name in {*there, *here} if there.get(name) != here.get(name)):
        raise SystemExit(
            f"{path} is of a machine with another {', '.join(differing)}; go on there, or move the file away and "
            "measure everything here"
        )


def untaught_model(folder: Path, config: DOHConfig | None = None) -> Path:
    """A model that has learned nothing of use, of the default network: what it knows does not matter to its speed."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    images = ImageSet(pictures, labels=np.eye(2, dtype=bool)[np.arange(40) % 2], class_names=("a", "b"))
    settings = TrainConfig(mode="frozen", epochs=1, augment=False, accelerator="cpu")
    out, cache = folder / "model", folder / "cache"
    return train(images, config or DOHConfig(), settings, out=out, cache=cache, overwrite="others").model


def medians(contenders: dict[str, Callable[[], Any]], rounds: int, repeats: int = 1) -> dict[str, float]:
    """Median seconds of each over alternating rounds, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, work in contenders.items():
            started = time.perf_counter()
            for _ in range(repeats):
                work()
            if round_:
                times[name].append((time.perf_counter() - started) / repeats)
    return {name: statistics.median(values) for name, values in times.items()}
