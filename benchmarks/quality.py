"""Retrieval quality on CIFAR-10 (1,000 queries, 5,000 training images, database of 59,000): ``make bench-quality``.

Every method gets the same frozen features, images and seeds; every trained one the same network, epochs and batches.
Runs that are in the results file already are not done again, so an interrupted benchmark goes on where it was.
Nothing here looks at a query before the settings are fixed: they were chosen on validation images
(benchmarks/experiments.py).

``--rehearse`` does the runs of one length on a few small pictures, in a minute or two, and writes beside the results.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from common import CIFAR_CONFIG, FROZEN, RESULTS, machine

import ordhash
from ordhash import Encoder, FeatureStore, evaluate
from ordhash.data import Protocol, load_protocol
from ordhash.evaluation import cosine_distances, rank_quality
from ordhash.learn import DOHConfig, TrainConfig, exported_backbone, train
from ordhash.learn.objectives import find_objective
from ordhash.learn.shallow import SHALLOW_METHODS, fit_shallow
from ordhash.support import write_json

LENGTHS = (48, 12, 24, 32)
ARITIES = (2, 8, 16)
STREAMS: dict[str, dict[str, Any]] = {
    "no attention": {"use_attention": False},
    "no local stream": {"use_local": False},
    "no global stream": {"use_global": False},
}


@dataclass(frozen=True)
class Run:
    """One model: what it is called in tables, its method, and what differs from CIFAR_CONFIG."""

    group: str
    name: str
    method: str
    seed: int
    changes: dict[str, Any] = field(default_factory=dict)


def plan(seeds: int) -> Iterator[Run]:
    """All runs, the most wanted ones first."""
    best = find_objective(CIFAR_CONFIG.objective).name
    for bits in LENGTHS:
        for seed in range(seeds):
            for method in (best, "doh", "itq", "lsh"):
                yield Run("lengths", method, method, seed, {"code_bits": bits})
    for name, changes in STREAMS.items():
        yield Run("ablations", name, best, 0, changes)
    for arity in ARITIES:
        yield Run("ablations", f"K = {arity}", best, 0, {"arity": arity})


_protocol: Protocol | None = None


@dataclass(frozen=True)
class Recipe:
    """What all runs of one call share."""

    base: DOHConfig
    training: TrainConfig
    cache: Path


def do(run: Run, recipe: Recipe) -> dict[str, Any]:
    """Train, evaluate, and say everything that a reader of the table may ask."""
    protocol = _protocol
    if protocol is None:
        raise RuntimeError("the protocol is loaded before the workers start")
    started = time.perf_counter()
    torch.set_num_threads(1)  # two runs at once, a core each, beat one after the other on both
    runs = Path("runs") / f"bench-{os.getpid()}"
    shutil.rmtree(runs, ignore_errors=True)
    cache = recipe.cache
    if run.method in SHALLOW_METHODS:
        config = dataclasses.replace(recipe.base, arity=2, **run.changes)
        result = fit_shallow(
            run.method, protocol.train, config, out=runs, seed=run.seed, protocol=protocol.name, cache=cache
        )
        settings: dict[str, Any] = {"seed": run.seed}
    else:
        config = dataclasses.replace(recipe.base, objective=run.method, **run.changes)
        training = dataclasses.replace(recipe.training, seed=run.seed)
        settings = training.to_json()
        result = train(protocol.train, config, training, out=runs, protocol=protocol.name, cache=cache)
    report = evaluate(Encoder(result.model, features=FeatureStore(cache / "features"), threads=1), protocol)
    shutil.rmtree(runs)
    return {
        **dataclasses.asdict(run),
        "code_bits": report.code_bits,
        "arity": report.arity,
        "map": report.ordinal.map,
        "map_worst": report.ordinal.map_worst,
        "map_best": report.ordinal.map_best,
        "map_asymmetric": report.asymmetric.map,
        "precision_at": report.ordinal.precision_at,
        "precision_within": report.ordinal.precision_within,
        "pr_curve": [round(value, 4) for value in report.ordinal.precision],
        "distinct_codes": report.distinct_codes,
        "validation_map": result.validation_map,
        "train_seconds": round(result.seconds, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "config": config.to_json(),
        "settings": settings,
        "version": ordhash.__version__,
    }


def raw_features(protocol: Protocol, recipe: Recipe) -> dict[str, Any]:
    """The ranking by cosine of the pooled last feature map, which codes are measured against."""
    backbone, frozen = exported_backbone(recipe.base, recipe.cache)
    store = FeatureStore(recipe.cache / "features")
    pooled = [
        store.maps(part, frozen, progress=True).at_least_one().pooled()[:, : backbone.last_channels]
        for part in (protocol.query, protocol.database)
    ]
    quality = rank_quality(lambda rows: cosine_distances(pooled[0][rows], pooled[1]), protocol, progress=True)
    return {"floats": int(pooled[0].shape[1]), "map": quality.map, "precision_at": quality.precision_at}


def rehearsal(protocol: Protocol, recipe: Recipe) -> tuple[Protocol, Recipe]:
    """The same on a few small pictures, to see that everything works before the time is spent."""
    base = dataclasses.replace(recipe.base, backbone="tf_efficientnet_lite0", image_size=64)
    training = dataclasses.replace(recipe.training, epochs=1, batch_size=32)
    return protocol.thinned(200), Recipe(base, training, recipe.cache)


def main() -> None:
    global _protocol
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="a few small pictures, one epoch, no results kept")
    parser.add_argument("--protocol", default="cifar10")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=600.0, help="start no further run after so many minutes")
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results file")
    options = parser.parse_args()
    started = time.perf_counter()
    recipe = Recipe(CIFAR_CONFIG, FROZEN, options.cache)
    protocol = load_protocol(options.protocol, options.root)
    name = f"quality-{protocol.name}{'-rehearsal' if options.rehearse else ''}"
    path = options.results / f"{name}.json"
    if options.rehearse:
        path.unlink(missing_ok=True)
        protocol, recipe = rehearsal(protocol, recipe)
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"runs": []}
    base = recipe.base
    results |= {
        "command": "make bench-quality",
        "protocol": protocol.name,
        "protocol_hash": protocol.hash(),
        "citation": protocol.citation,
        "backbone": f"{base.backbone} at {base.image_size} px, frozen",
        "stages": base.stages,
        "mirror": base.mirror,
        "machine": machine(),
    }
    done = {
        json.dumps([entry[part.name] for part in dataclasses.fields(Run)], sort_keys=True) for entry in results["runs"]
    }
    todo = [
        run
        for run in plan(options.seeds)
        if json.dumps(list(dataclasses.asdict(run).values()), sort_keys=True) not in done
    ]
    if options.rehearse:
        todo = todo[:4]  # every method once
    _protocol = protocol
    work = functools.partial(do, recipe=recipe)
    torch.set_num_threads(1)  # threads do not survive the fork below
    if "raw_features" not in results:
        results["raw_features"] = raw_features(protocol, recipe)
        write_json(path, results)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for entry in pool.imap_unordered(work, todo, chunksize=1):
            print(
                f"{entry['name']} {entry['code_bits']} bits K={entry['arity']} seed {entry['seed']}: "
                f"mAP {entry['map']:.4f}, asymmetric {entry['map_asymmetric']:.4f}, {entry['seconds']} s",
                flush=True,
            )
            results["runs"].append(entry)
            write_json(path, results)
            if time.perf_counter() - started > 60 * options.minutes:
                print("time is up; run again to go on")
                return


if __name__ == "__main__":
    main()
