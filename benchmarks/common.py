"""What benchmarks share: where results go, what they were measured on, how rivals take turns, and how tables look."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from ordhash.files import replace_file
from ordhash.learn import DOHConfig, TrainConfig

__all__ = ["CIFAR_CONFIG", "FROZEN", "RESULTS", "machine", "mean_interval", "medians", "table", "write_json"]

RESULTS = Path(__file__).parent / "results"
# Experiments choose on these features what the benchmark measures on them.
CIFAR_CONFIG = DOHConfig(backbone="tf_efficientnet_lite2", image_size=224, stages=3, mirror=True)
# The validation images of each run choose its epoch; docs/experiments.md has what other numbers of epochs gave.
FROZEN = TrainConfig(mode="frozen", epochs=20, learning_rate=1e-3, validate_every=4, validation_fraction=0.05)

# Two-sided 95 % points of Student's t for n - 1 degrees of freedom: few seeds, wide intervals.
_STUDENT_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


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
        "onnxruntime": onnxruntime.__version__,
    }


def mean_interval(values: list[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval (Student's t); 0 for a single value."""
    n = len(values)
    if n < 2:
        return values[0], 0.0
    return float(np.mean(values)), float(_STUDENT_T.get(n, 2.2) * np.std(values, ddof=1) / np.sqrt(n))


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


def table(heading: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write results whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(json.dumps(values, indent=1, sort_keys=True).encode() + b"\n"))
