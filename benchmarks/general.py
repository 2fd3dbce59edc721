"""Few photographs: the general model against models of their own, and how it is made: ``make bench-few``.

``--fit`` makes the general model anew, of the groceries and of as many images of CIFAR-10 as it takes to have 10,000.
Measured are folders of some hundred photographs and fewer, every one of which is searched among the others, by labels
that no method sees. They are drawn from Corel-5K and the Grocery Store data, none of which the general model knows.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import RESULTS, machine

from ordhash import Encoder
from ordhash.codes import OrdinalCodes
from ordhash.data import DATASETS, ImageSet
from ordhash.distances import asymmetric_distances, ordinal_distances
from ordhash.files import write_json
from ordhash.learn import DOHConfig, ownmodel, train
from ordhash.learn.general import fit_general, general_model
from ordhash.learn.shallow import fit_shallow
from ordhash.learn.validation import labels_of
from ordhash.metrics import average_precision

ROOT, CACHE = Path("data"), Path(".cache")
SIZES, DRAWS, PHOTOGRAPHS = (25, 50, 100, 200, 350, 500), 3, 10_000
PARTS = {"corel5k": "Corel-5K", "grocery": "groceries"}


def package_borne() -> ImageSet:
    """All groceries, and images of CIFAR-10."""
    groceries = [
        image for part in DATASETS["grocery-photos"].read(ROOT / "grocery-photos").values() for image in part.images
    ]
    cifar = DATASETS["cifar10"].read(ROOT / "cifar10")["train"].images
    rows = np.sort(np.random.default_rng(0).permutation(len(cifar))[: PHOTOGRAPHS - len(groceries)])
    return ImageSet([*groceries, *(cifar[row] for row in rows)])


def leave_one_out(distances: npt.NDArray[Any], relevance: npt.NDArray[np.bool_]) -> float:
    """Tie-aware mAP of every photograph among the others, of those that are like one of them."""
    n = len(distances)
    others = ~np.eye(n, dtype=bool)
    rows = np.flatnonzero((relevance & others).any(axis=1))
    left = [values[others].reshape(n, n - 1)[rows] for values in (distances, relevance)]
    return float(average_precision(left[0], left[1]).mean())


def measure(model: Path, images: ImageSet) -> dict[str, float]:
    """Both distances."""
    labels = labels_of(images).astype(np.float32)
    relevance = labels @ labels.T > 0
    found = Encoder(model).run(images)
    codes = OrdinalCodes.from_scores(found.scores)
    return {
        "map": leave_one_out(ordinal_distances(codes, codes), relevance),
        "map_asymmetric": leave_one_out(asymmetric_distances(found.scores, codes), relevance),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help="make the general model anew")
    if parser.parse_args().fit:
        fit_general(package_borne(), cache=CACHE, progress=True)
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        general = general_model(Path(folder) / "general", cache=CACHE).model
        for name in PARTS:
            everything = DATASETS[name].read(ROOT / name)["train"]
            for size in SIZES:
                for draw in range(DRAWS):
                    rows = np.sort(np.random.default_rng(draw).permutation(len(everything))[:size])
                    images, places = everything.subset(rows), dict[str, Any](cache=CACHE, overwrite=True)
                    unlabelled = images.without_labels()
                    models = {"general": general}
                    if size >= 50:
                        config = DOHConfig(arity=2)
                        models["itq"] = fit_shallow("itq", unlabelled, config, out=Path(folder) / "itq", **places).model
                    if size in (200, 500):
                        settings = ownmodel.settings_for(size)
                        models["ordhash"] = train(unlabelled, None, settings, out=Path(folder) / "own", **places).model
                    for method, model in models.items():
                        values = measure(model, images)
                        runs.append({"photographs": name, "size": size, "draw": draw, "method": method, **values})
                        print(f"{name}, {size}, draw {draw}, {method}: {values['map']:.3f}", flush=True)
    write_json(RESULTS / "general.json", {"command": "make bench-few", "machine": machine(), "runs": runs})


if __name__ == "__main__":
    main()
