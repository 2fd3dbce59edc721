"""Models in 8 bits against those they are made of: speed, and what it costs in mAP: ``make bench-int8``.

The default network, frozen, learns the protocols; ``ordhash.model.quantization`` makes a variant with pictures that it
has learned from. Both encode the same photographs, decoding included, in rounds that alternate, and both are evaluated.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from common import FROZEN, RESULTS, machine

from ordhash import Encoder, evaluate
from ordhash.data import load_protocol
from ordhash.learn import DOHConfig, train
from ordhash.model.quantization import MOST_PICTURES, quantize
from ordhash.support import write_json

PROTOCOLS, SEEDS, ROUNDS, TIMED = ("corel5k-21", "grocery"), 3, 5, 256
CACHE = Path(".cache")


def main() -> None:
    runs, rates = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in PROTOCOLS:
            protocol = load_protocol(name)
            for seed in range(SEEDS):
                config, settings = DOHConfig(), dataclasses.replace(FROZEN, seed=seed)
                out = Path(folder) / f"{name}-{seed}"
                model = train(
                    protocol.train, config, settings, out=out, validation=protocol.validation, cache=CACHE
                ).model
                variant = quantize(model, protocol.train, out / "int8.onnx")
                whole, small = Encoder(model), Encoder(variant.path)
                if seed == 0:
                    some = protocol.database.subset(np.arange(TIMED))
                    for _ in range(ROUNDS):
                        seconds = []
                        for encoder in (whole, small):
                            started = time.perf_counter()
                            encoder.run(some)
                            seconds.append(time.perf_counter() - started)
                        rates.append([TIMED / value for value in seconds])
                for method, encoder in (("float32", whole), ("int8", small)):
                    report = evaluate(encoder, protocol)
                    values = {"map": report.ordinal.map, "map_asymmetric": report.asymmetric.map}
                    runs.append({"protocol": name, "seed": seed, "method": method, **values})
                    print(f"{name}, seed {seed}, {method}: {report.ordinal.map:.3f}", flush=True)
    write_json(
        RESULTS / "int8.json",
        {
            "command": "make bench-int8",
            "machine": machine(),
            "network": f"{config.backbone} at {config.size_for(scenes=False)} px",
            "pictures": MOST_PICTURES,
            "images_per_second": {
                "float32": statistics.median(rate[0] for rate in rates),
                "int8": statistics.median(rate[1] for rate in rates),
            },
            "times_as_fast": statistics.median(rate[1] / rate[0] for rate in rates),
            "rounds": rates,
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
