"""The whole way on real photographs: fetch, train, encode, index, search, evaluate, draw.

Run it with ``make demo``. It writes demo/results.png, demo/report.json and demo/groceries.index.
"""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ordhash import Encoder, FeatureStore, OrdinalIndex, evaluate
from ordhash.bench import mean_interval, with_interval
from ordhash.data import DATASETS, load_protocol
from ordhash.errors import DataError, InputError
from ordhash.evaluation import Quality, cosine_distances, draw_results, rank_quality
from ordhash.learn import DOHConfig, TrainConfig, train
from ordhash.learn.shallow import fit_shallow

NAME = "grocery-photos"
DATA, CACHE, RUNS, OUT = Path("data"), Path(".cache"), Path("runs/demo"), Path("demo")
CODE_BITS = 48
SEEDS = (0, 1, 2)  # of trainings; one alone says little about so few queries
QUERIES_SHOWN, TOP_K = 6, 10


def main() -> None:
    started = time.perf_counter()
    console = Console()
    try:
        protocol = load_protocol(NAME, DATA)
        console.print(f"Photographs: {DATA / NAME} is there already.")
    except DataError:
        console.print(f"Photographs: fetching {DATASETS[NAME].source} ...")
        DATASETS[NAME].get(DATA / NAME)
        protocol = load_protocol(NAME, DATA)
    console.print(f"{protocol!r}, {len(protocol.query.class_names)} classes")
    fetched = time.perf_counter()

    config = DOHConfig(code_bits=CODE_BITS, arity=4, backbone="tf_efficientnet_lite0")
    features, models, encoders = FeatureStore(CACHE / "features"), [], []
    for seed in SEEDS:
        learn = functools.partial(
            train,
            protocol.train,
            config,
            TrainConfig(seed=seed),
            out=RUNS / (f"network-{seed}" if seed else "network"),
            validation=protocol.validation,
            protocol=protocol.name,
            cache=CACHE,
            progress=True,
        )
        try:
            trained = learn()
        except InputError:  # the folder holds a model of other settings or of another version
            trained = learn(overwrite=True)
        how = "is there already" if trained.reused else f"trained in {trained.seconds:.0f} s"
        console.print(f"Model: {trained.model} {how}; validation mAP {trained.validation_map:.3f}")
        models.append(trained)
        encoders.append(Encoder(trained.model, features=features, progress=True))

    encoder = encoders[0]
    index = OrdinalIndex(encoder.encode(protocol.database), keys=protocol.database.keys, model_path=str(encoder.path))
    OUT.mkdir(exist_ok=True)
    index.save(OUT / "groceries.index")
    queries = encoder.run(protocol.query)
    reports = [evaluate(one, protocol) for one in encoders]

    rows: list[tuple[str, list[Quality]]] = [
        ("ordhash, ordinal distance", [report.ordinal for report in reports]),
        ("ordhash, asymmetric distance", [report.asymmetric for report in reports]),
    ]
    for method in ("itq", "lsh"):
        fitted = fit_shallow(
            method, protocol.train, config, out=RUNS / method, protocol=protocol.name, cache=CACHE, overwrite=True
        )
        shallow = evaluate(Encoder(fitted.model, features=features), protocol)
        rows.append((f"{method.upper()}, Hamming distance", [shallow.ordinal]))
    backbone = encoder.frozen_backbone()
    pooled = [features.maps(part, backbone).at_least_one().pooled() for part in (protocol.query, protocol.database)]
    raw = rank_quality(lambda picked: cosine_distances(pooled[0][picked], pooled[1]), protocol)
    rows.append((f"raw features ({pooled[0].shape[1]} floats), cosine", [raw]))
    results = {name: summary_of(qualities) for name, qualities in rows}

    table = Table(
        title=f"{protocol.name}: {CODE_BITS} bits, {len(protocol.query)} queries, {len(protocol.database)} images",
        caption="mAP is averaged over all orders of ties; worst and best order beside it.",
    )
    for heading in ("method", "mAP", "worst..best", "P@10"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for name, values in results.items():
        bounds = f"{values['map_worst']:.3f}..{values['map_best']:.3f}"
        table.add_row(
            name, with_interval(values["map"], values["interval"]), bounds, f"{values['precision_at_10']:.3f}"
        )
    console.print(table)

    # One query of every other class, the first of each: not the best ones.
    labels = protocol.relevance()
    classes = protocol.query.labels.argmax(axis=1) if protocol.query.labels is not None else np.zeros(0)
    shown = [int(np.flatnonzero(classes == c)[0]) for c in np.unique(classes)[::2]][:QUERIES_SHOWN]
    result = index.search(queries.codes[shown], top_k=TOP_K)
    draw_results(
        OUT / "results.png",
        protocol.query.subset(shown),
        [queries.attention[row] for row in shown],
        protocol.database,
        result.rows,
        np.take_along_axis(labels[shown], result.rows, axis=1),
        title=f"Nearest {TOP_K} of {len(protocol.database)} photographs by {CODE_BITS}-bit ordinal codes",
    )
    seconds = time.perf_counter() - started
    summary = {
        "protocol": protocol.name,
        "protocol_hash": protocol.hash(),
        "code_bits": CODE_BITS,
        "n_query": len(protocol.query),
        "n_database": len(protocol.database),
        "seeds": len(SEEDS),
        "results": results,
        "seconds": round(seconds, 1),
        "seconds_without_fetching": round(seconds - (fetched - started), 1),
        "models_reused": all(trained.reused for trained in models),
    }
    (OUT / "report.json").write_text(json.dumps(summary, indent=2) + "\n")
    console.print(
        f"Wrote {OUT / 'results.png'}, {OUT / 'report.json'} and {OUT / 'groceries.index'} "
        f"in {summary['seconds_without_fetching']} s. Try: .venv/bin/ordhash search {OUT / 'groceries.index'} PHOTO.jpg"
    )


def summary_of(qualities: list[Quality]) -> dict[str, float]:
    """Means over trainings, and half the 95 % interval of mAP, 0 for one that has no seeds."""
    mean, interval = mean_interval([quality.map for quality in qualities])
    return {
        "map": mean,
        "interval": interval,
        "map_worst": float(np.mean([quality.map_worst for quality in qualities])),
        "map_best": float(np.mean([quality.map_best for quality in qualities])),
        "precision_at_10": float(np.mean([quality.precision_at[10] for quality in qualities])),
    }


if __name__ == "__main__":
    main()
