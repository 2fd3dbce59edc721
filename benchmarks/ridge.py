"""Choose the ridge of ITQ-CCA on training images: ``make bench-ridge``.

Of the training images of each protocol a part is held out (its validation images, where it has some), and these are
searched among each other. No query and no database image of a protocol is touched.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from common import CIFAR_CONFIG, RESULTS, machine

from ordhash.codes import OrdinalCodes
from ordhash.data import ImageSet, load_protocol
from ordhash.learn import exported_backbone
from ordhash.learn.shallow.itq_cca import ITQCCA
from ordhash.learn.validation import held_out_mask, labels_of, leave_one_out_map
from ordhash.model import FeatureStore
from ordhash.support import write_json

PROTOCOLS = ("cifar10", "grocery", "corel5k-21")
RIDGES, LENGTHS, SEEDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), (12, 48), 3
HELD_OUT = 0.3

Images = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]  # features and labels


def split(name: str, root: Path, cache: Path) -> tuple[Images, Images]:
    """Features and labels to learn from, and those held out."""
    protocol = load_protocol(name, root)
    store, frozen = FeatureStore(cache / "features"), exported_backbone(CIFAR_CONFIG, cache)[1]

    def features(images: ImageSet) -> Images:
        pooled = store.maps(images, frozen, progress=True).pooled()
        return ITQCCA().seen(pooled, pooled.shape[1]), labels_of(images)

    if protocol.validation is not None:
        return features(protocol.train), features(protocol.validation)
    held = held_out_mask(protocol.train, HELD_OUT, 0)
    pooled, labels = features(protocol.train)
    return (pooled[~held], labels[~held]), (pooled[held], labels[held])


def measure(learning: Images, held: Images, ridge: float, code_bits: int, seed: int) -> float | None:
    """Tie-aware mAP of the held-out images among each other, by Hamming distance."""
    head = ITQCCA(ridge=ridge).fit(*learning, code_bits, seed)
    with torch.inference_mode():
        scores = head(torch.from_numpy(held[0])[:, :, None, None]).scores.numpy()
    return leave_one_out_map(OrdinalCodes.from_scores(scores), held[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    runs: list[dict[str, Any]] = []
    for protocol in PROTOCOLS:
        learning, held = split(protocol, options.root, options.cache)
        for ridge in RIDGES:
            for code_bits in LENGTHS:
                for seed in range(SEEDS):
                    value = measure(learning, held, ridge, code_bits, seed)
                    runs.append(
                        {"protocol": protocol, "ridge": ridge, "code_bits": code_bits, "seed": seed, "map": value}
                    )
                print(f"{protocol}, ridge {ridge:g}, {code_bits} bits: {runs[-1]['map']:.3f}", flush=True)
    write_json(RESULTS / "ridge.json", {"command": "make bench-ridge", "machine": machine(), "runs": runs})


if __name__ == "__main__":
    main()
