"""Encoding speed: images/s of ``Encoder`` against the same network in PyTorch eager, in one run: ``make bench-encode``.

Both start from the same 32 x 32 pictures, scale them to what the default network sees, and run EfficientNet-Lite0 with
both streams. The rounds alternate, so that a noisy machine disturbs both alike; of the batch sizes and memory layouts,
PyTorch gets its best.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RESULTS, machine, untaught_model
from torch import Tensor

from ordhash import Encoder
from ordhash.data import ImageSet, load_protocol
from ordhash.learn import DOHConfig
from ordhash.learn.backbones import build_backbone
from ordhash.learn.network import HashingHead, HashingNetwork
from ordhash.model import Preprocessing
from ordhash.support import write_json

N_IMAGES, ROUNDS, EAGER_IMAGES = 10_000, 7, 256
CONFIG = DOHConfig()
SIZE = CONFIG.size_for(scenes=False)


def eager_network() -> HashingNetwork:
    """The network in PyTorch; speed does not depend on the values of its head's weights."""
    backbone = build_backbone(CONFIG.backbone, image_size=SIZE)
    head = HashingHead(1280, 10, CONFIG.spec, hidden=CONFIG.hidden, local_hidden=CONFIG.local_hidden)
    return HashingNetwork(backbone, head).eval()


def eager_speed(network: HashingNetwork, images: ImageSet, batch_size: int, channels_last: bool) -> float:
    """Images/s of decode, scale and run, batch after batch."""
    preprocessing = Preprocessing(SIZE, CONFIG.fit)
    network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    started = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            rows = range(start, min(start + batch_size, len(images)))
            pictures: Tensor = torch.from_numpy(np.stack([preprocessing.read(images, row) for row in rows]))
            network(pictures)
    return len(images) / (time.perf_counter() - started)


def speed(work: Callable[[ImageSet], Any], images: ImageSet) -> float:
    started = time.perf_counter()
    work(images)
    return len(images) / (time.perf_counter() - started)


def main() -> None:
    protocol = load_protocol("cifar10")
    images = protocol.database.subset(np.arange(N_IMAGES))
    encoder, network = Encoder(untaught_model(Path("runs/bench-encode"))), eager_network()

    few = images.subset(np.arange(EAGER_IMAGES))
    choices = list(itertools.product((1, 8, 32), (False, True)))
    eager_speed(network, few.subset(np.arange(32)), 8, False)  # warm up
    tried = {choice: eager_speed(network, few, *choice) for choice in choices}
    best = max(tried, key=lambda choice: tried[choice])

    ours, eager = [], []
    each = -(-N_IMAGES // ROUNDS)
    for round_ in range(ROUNDS):
        chunk = images.subset(np.arange(round_ * each, min((round_ + 1) * each, N_IMAGES)))
        ours.append(speed(encoder.run, chunk))
        eager.append(eager_speed(network, chunk.subset(np.arange(EAGER_IMAGES)), *best))
        print(f"round {round_ + 1}: {ours[-1]:.0f} against {eager[-1]:.0f} images/s", flush=True)
    results = {
        "command": "make bench-encode",
        "machine": machine(),
        "network": f"{CONFIG.backbone} at {SIZE} px, both streams, {CONFIG.code_bits} bits",
        "images": N_IMAGES,
        "ordhash_images_per_second": statistics.median(ours),
        "eager_images_per_second": statistics.median(eager),
        "eager_batch_size": best[0],
        "eager_channels_last": best[1],
        "ratio": statistics.median(mine / theirs for mine, theirs in zip(ours, eager, strict=True)),
        "rounds": [{"ordhash": mine, "eager": theirs} for mine, theirs in zip(ours, eager, strict=True)],
        "eager_tried": [{"batch_size": b, "channels_last": c, "images_per_second": tried[b, c]} for b, c in choices],
    }
    write_json(RESULTS / "encode.json", results)
    print(f"ratio {results['ratio']:.2f}")


if __name__ == "__main__":
    main()
