"""Few photographs: the general model against models of their own, and how it is made: ``make bench-few``.

``--fit`` makes the general model anew, of the groceries and of as many images of CIFAR-10 as it takes to have 10,000.
Measured are folders of some hundred photographs and fewer, every one of which is searched among the others, by labels
that no method sees. They are drawn from Corel-5K, none of which the general model knows. (Of the Grocery Store data it
knows some: the photographs of ``grocery-photos`` are part of it.)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, machine

from ordhash import Encoder
from ordhash.data import DATASETS, ImageSet
from ordhash.learn.shallow import fit_shallow
from ordhash.learn.validation import labels_of, leave_one_out_map
from ordhash.ownmodel import GENERAL_NETWORK, fit_general, general_model
from ordhash.support import write_json

ROOT, CACHE = Path("data"), Path(".cache")
SIZES, DRAWS, PHOTOGRAPHS = (25, 50, 100, 200, 350, 500), 3, 10_000
NAME = "corel5k"


def package_borne() -> ImageSet:
    """All groceries, and images of CIFAR-10."""
    groceries = [
        image for part in DATASETS["grocery-photos"].read(ROOT / "grocery-photos").values() for image in part.images
    ]
    cifar = DATASETS["cifar10"].read(ROOT / "cifar10")["train"].images
    rows = np.sort(np.random.default_rng(0).permutation(len(cifar))[: PHOTOGRAPHS - len(groceries)])
    return ImageSet([*groceries, *(cifar[row] for row in rows)])


def measure(model: Path, images: ImageSet) -> float | None:
    """Tie-aware mAP of every photograph among the others, by ordinal distance."""
    return leave_one_out_map(Encoder(model).run(images).codes, labels_of(images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help="make the general model anew")
    if parser.parse_args().fit:
        fit_general(package_borne(), cache=CACHE, progress=True)
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        general = general_model(Path(folder) / "general", cache=CACHE).model
        everything = DATASETS[NAME].read(ROOT / NAME)["train"]
        for size in SIZES:
            for draw in range(DRAWS):
                rows = np.sort(np.random.default_rng(draw).permutation(len(everything))[:size])
                images, places = everything.subset(rows), dict[str, Any](cache=CACHE, overwrite=True)
                unlabelled, models = images.without_labels(), {"general": general}
                if size >= 50:
                    models["itq"] = fit_shallow(
                        "itq", unlabelled, GENERAL_NETWORK, out=Path(folder) / "itq", **places
                    ).model
                for method, model in models.items():
                    value = measure(model, images)
                    runs.append({"photographs": NAME, "size": size, "draw": draw, "method": method, "map": value})
                    print(f"{size} photographs, draw {draw}, {method}: {value:.3f}", flush=True)
    write_json(RESULTS / "general.json", {"command": "make bench-few", "machine": machine(), "runs": runs})


if __name__ == "__main__":
    main()
