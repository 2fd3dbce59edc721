"""What finds objects in scenes: sizes of pictures, attention, fitted segments, parts: ``make bench-scenes``.

Only training images of ``grocery-in-scenes`` take part. A quarter of each class is pasted into half of the photographs
that training may use, hard and soft, on 5 to 40 % of the area; the others learn, pasted into the other half; the
validation images search. Each network also searches the objects cut out of the scenes, and as they were, and scenes of
three; all but the cut ones by parts too.

Runs that are in the file of results are not repeated. ``--seeds N`` does N of them; ``--rehearse`` a few images of one
variant for an epoch, and keeps nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import RESULTS, check_machine, machine

from ordhash.bench.learning import Learned, learn_network
from ordhash.bench.prepared import prepare_protocol
from ordhash.codes import OrdinalCodes, PartCodes, Searched
from ordhash.data import ImageSet, Protocol, load_protocol
from ordhash.data.protocols import split_by_class, split_by_digest
from ordhash.data.scenes import SHARES_OF_THREE, cut_outs, paste_into
from ordhash.evaluation import rank_quality
from ordhash.learn import DOHConfig, TrainConfig
from ordhash.learn.config import Attention
from ordhash.learn.objectives import DOHCodewords
from ordhash.support import available_cores, write_json

CACHE = Path(".cache")
SEEDS, EPOCHS = 3, 30
KINDS = ("scenes", "cut", "plain", "three")


@dataclass(frozen=True)
class Variant:
    """A network and how it is trained.

    Attributes:
        size: Shorter side of the pictures.
        attention: How the network attends.
        fitted: Share of the segments that are fitted.
        scenes: Sets of scenes of the training images.
    """

    size: int
    attention: Attention = "learned"
    fitted: float = 0.0
    scenes: int = 3

    def config(self) -> DOHConfig:
        """The network."""
        objective = DOHCodewords(fitted_share=self.fitted)
        return DOHConfig(objective=objective, image_size=self.size, fit="whole", attention=self.attention)

    def settings(self, seed: int, epochs: int) -> TrainConfig:
        """How it is trained."""
        return TrainConfig(mode="frozen", epochs=epochs, scenes=self.scenes, seed=seed, accelerator="cpu")


VARIANTS = (
    Variant(160, scenes=0),
    Variant(160, attention="none"),
    Variant(160, attention="cam"),
    Variant(160),
    Variant(160, fitted=0.5),
    Variant(224, attention="none"),
    Variant(224),
    Variant(320),
)


def protocols(most: int | None = None) -> dict[str, Protocol]:
    """Searches in scenes, cut out objects, these photographs as they were, and scenes of three; one training."""
    whole = load_protocol("grocery-in-scenes")
    if most is not None:
        whole = whole.thinned(most)
    photographs = whole.backgrounds or ImageSet([])
    objects = split_by_class(whole.train, {"searched": 0.25}, salt="bench-scenes")
    behind = split_by_digest(photographs, {"searched": len(photographs) // 2}, salt="bench-scenes")
    scenes = paste_into(objects["searched"], behind["searched"], salt="bench-scenes")
    three = paste_into(
        objects["searched"], behind["searched"], salt="bench-scenes/three", each=3, shares=SHARES_OF_THREE
    )
    databases = {"scenes": scenes, "cut": cut_outs(scenes), "plain": objects["searched"], "three": three}
    return {kind: _protocol(whole, kind, objects["rest"], databases[kind], behind["rest"]) for kind in KINDS}


def _protocol(whole: Protocol, kind: str, train: ImageSet, database: ImageSet, backgrounds: ImageSet) -> Protocol:
    if whole.validation is None or whole.validation.labels is None or database.labels is None:
        raise RuntimeError("validation images and database have labels")
    findable = (whole.validation.labels & database.labels.any(axis=0)).any(axis=1)
    groups = ("share", "edges") if kind == "scenes" else ()
    query = whole.validation.subset(findable)
    return Protocol(f"bench-scenes-{kind}", train, query, database, backgrounds=backgrounds, groups=groups)


def run(position: int, seed: int, epochs: int, most: int | None) -> dict[str, Any]:
    """Train a variant and search everything."""
    torch.set_num_threads(1)  # two trainings at once beat one on two threads: these layers are small
    variant = VARIANTS[position]
    prepared = [prepare_protocol(one, variant.config(), CACHE) for one in protocols(most).values()]
    found = learn_network(prepared, variant.config(), variant.settings(seed, epochs), parts=True)
    values: dict[str, Any] = {"variant": dataclasses.asdict(variant), "seed": seed}
    for kind, one, learned in zip(KINDS, prepared, found, strict=True):
        values[kind] = _quality(one.protocol, learned, None)
        if kind != "cut" and learned.parts is not None:
            values[f"{kind}, parts"] = _quality(one.protocol, learned, learned.parts)
            values[f"{kind}, parts"]["parts"] = len(learned.parts) / len(learned.database)
    return values


def _quality(protocol: Protocol, learned: Learned, parts: PartCodes | None) -> dict[str, float]:
    """Mean average precision by ordinal distance, and that of every group."""
    queries, searched = OrdinalCodes.from_scores(learned.scores), Searched(learned.database, parts)
    quality = rank_quality(lambda rows: searched.ordinal(queries[rows]), protocol)
    return {"map": quality.map, **quality.by_group}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    path, epochs, most = RESULTS / "scenes.json", EPOCHS, None
    measured: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"machine": machine(), "runs": []}
    runs: list[dict[str, Any]] = measured["runs"]
    done = {(json.dumps(one["variant"], sort_keys=True), one["seed"]) for one in runs}
    jobs = [
        (position, seed)
        for seed in range(options.seeds)
        for position, variant in enumerate(VARIANTS)
        if (json.dumps(dataclasses.asdict(variant), sort_keys=True), seed) not in done
    ]
    if options.rehearse:
        jobs, epochs, most, runs = [(3, 0)], 1, 120, []
    elif jobs:
        check_machine(measured, machine(), path)
    for position in sorted({position for position, _ in jobs}):  # features first, on all cores
        for one in protocols(most).values():
            prepare_protocol(one, VARIANTS[position].config(), CACHE, progress=True)
    with multiprocessing.get_context("spawn").Pool(available_cores()) as pool:
        for waiting in [pool.apply_async(run, (*job, epochs, most)) for job in jobs]:
            runs.append(waiting.get())
            print(json.dumps(runs[-1]), flush=True)
            if not options.rehearse:
                values = {"command": "make bench-scenes", "machine": machine(), "epochs": epochs, "runs": runs}
                write_json(path, values)


if __name__ == "__main__":
    main()
