"""What the spatial attention looks at, and what it is worth among other things: ``make bench-quality``.

Where the object is in a photograph of groceries, nobody has marked, and most of them show nothing else. So each query
of the protocol ``grocery-photos`` is pasted, scaled down, at a random place of another photograph: then its place is
known. The share of the attention in that rectangle is compared with

- the rectangle's share of the area, which is what attention has that is the same everywhere,
- the share in the rectangles of the other queries, which is more than the area where attention prefers the middle,
- the share when a photograph without groceries is pasted in the same place: what the edges of a rectangle draw.

The pasted queries then search the plain database, with and without attention. Backgrounds are photographs of Corel-5K
(if they are there, without those that show food), else six of scikit-image. The figure always has the latter, because
Corel's may not be passed on.

``--rehearse`` takes a few queries and one epoch and keeps no results.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attention_results import Panel, draw_attention
from common import RESULTS, machine
from PIL import Image
from skimage import data as skimage_data

from ordhash import Encoder, FeatureStore
from ordhash.codes import ordinal_distances
from ordhash.data import DATASETS, ImageSource, Protocol, load_protocol, open_rgb
from ordhash.errors import DataError
from ordhash.evaluation import attention_inside, average_precision, peak_inside
from ordhash.learn import DOHConfig, TrainConfig, train
from ordhash.model import Encoded
from ordhash.support import write_json

NAME = "grocery-photos"
SIDE = 320  # pixels of a composite; the network sees it at 224
SHARES = (0.15, 0.35)  # smallest and largest area of what is pasted
SEEDS, SHOWN = 5, 6
FOOD = {"crops", "food", "fruit", "harvest", "market", "vegetables"}
# In the package itself, without a download, and free of rights (NASA, SpaceX, CC0).
FREE = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "camera")
FIGURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "attention.jpg"

# Name, and what differs from the demo's settings.
STREAMS: dict[str, dict[str, Any]] = {"both streams": {}, "local stream alone": {"use_global": False}}
ATTENTIONS = {"the paper's attention": "cam", "learned attention": "learned", "no attention": "none"}
NETWORKS = {
    f"{streams}, {attention}": {**changes, "attention": kind}
    for streams, changes in STREAMS.items()
    for attention, kind in ATTENTIONS.items()
}
DEFAULT = next(iter(NETWORKS))

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Composites:
    """Photographs with another one pasted into each.

    Attributes:
        pictures: n pictures of SIDE x SIDE pixels.
        boxes: (n, 4), where the pasted one is: left, top, right, bottom as fractions.
    """

    pictures: list[Image.Image]
    boxes: Floats

    @property
    def areas(self) -> Floats:
        """Share of each picture that is pasted."""
        left, top, right, bottom = self.boxes.T
        return np.asarray((right - left) * (bottom - top))


def square(source: ImageSource, rng: np.random.Generator) -> Image.Image:
    """The largest square at a random place of a photograph, without a margin of 3 %: Corel's have dark edges."""
    photo = open_rgb(source)
    margin = round(0.03 * min(photo.size))
    side = min(photo.size) - 2 * margin
    left, top = (margin + int(rng.integers(0, length - 2 * margin - side + 1)) for length in photo.size)
    box = (left, top, left + side, top + side)
    return photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)


def draw_boxes(n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Squares inside a composite, int (n, 4) in pixels, anywhere in it."""
    sides = np.round(SIDE * np.sqrt(rng.uniform(*SHARES, size=n))).astype(np.int64)
    corners = rng.integers(0, SIDE - sides[:, None] + 1, size=(n, 2))
    return np.concatenate([corners, corners + sides[:, None]], axis=1)


def paste(
    photos: Sequence[Image.Image], backgrounds: Sequence[Image.Image], boxes: npt.NDArray[np.int64]
) -> Composites:
    """Each photograph into its background, in its box."""
    pictures = []
    for photo, background, (left, top, right, bottom) in zip(photos, backgrounds, boxes.tolist(), strict=True):
        picture = background.copy()
        picture.paste(photo.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top))
        pictures.append(picture)
    return Composites(pictures, boxes / SIDE)


def free_photographs() -> list[ImageSource]:
    """Photographs of scikit-image that may be shown."""
    return [getattr(skimage_data, name)() for name in FREE]


def backgrounds(root: Path, n: int, rng: np.random.Generator) -> tuple[str, list[Image.Image], list[Image.Image]]:
    """Where from, n backgrounds, and n other photographs without groceries."""
    photographs: list[ImageSource] = free_photographs()
    name = "scikit-image"
    if (root / "corel5k").exists():
        photographs, name = [], "corel5k"
        for part in DATASETS["corel5k"].read(root / "corel5k").values():
            food = [word in FOOD for word in part.class_names]
            if part.labels is not None:
                photographs += part.subset(~part.labels[:, food].any(axis=1)).images
    # Each once, if there are enough; never one into itself.
    order = np.concatenate([rng.permutation(len(photographs)) for _ in range(2 * n // len(photographs) + 2)])
    drawn = [square(photographs[row], rng) for row in order[: 2 * n]]
    return name, drawn[::2], drawn[1::2]


def interval(values: Floats) -> dict[str, float]:
    """Mean over images and half the width of its 95 % interval."""
    return {"mean": float(values.mean()), "half": float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))}


def ratio(inside: Floats, areas: Floats) -> dict[str, float]:
    """Ratio of two means over the same images and half the width of its 95 % interval (delta method)."""
    mean = inside.mean() / areas.mean()
    return {"mean": float(mean), "half": interval(inside - mean * areas)["half"] / float(areas.mean())}


def looks(attention: Sequence[npt.NDArray[np.float32]], pasted: Composites) -> dict[str, Any]:
    """How much attention is in the rectangles; maps of several trainings are averaged image by image."""
    inside = np.mean([attention_inside(maps, pasted.boxes) for maps in attention], axis=0)
    peaks = np.mean([peak_inside(maps, pasted.boxes) for maps in attention], axis=0)
    return {
        "inside": interval(inside),
        "ratio": ratio(inside, pasted.areas),
        "peak": interval(peaks),
        "trainings": len(attention),
    }


def looks_elsewhere(attention: Sequence[npt.NDArray[np.float32]], pasted: Composites) -> dict[str, Any]:
    """The same maps, each in the rectangles of all other images."""
    n = len(pasted.boxes)
    inside, peaks, areas = np.zeros(n), np.zeros(n), np.zeros(n)
    for shift in range(1, n):
        boxes = np.roll(pasted.boxes, shift, axis=0)
        areas += np.roll(pasted.areas, shift)
        for maps in attention:
            inside += attention_inside(maps, boxes) / len(attention)
            peaks += peak_inside(maps, boxes) / len(attention)
    return {
        "inside": interval(inside / (n - 1)),
        "ratio": ratio(inside / (n - 1), areas / (n - 1)),
        "peak": interval(peaks / (n - 1)),
        "trainings": len(attention),
    }


def encoded(encoder: Encoder, images: Any) -> Encoded:
    """All images, none left out: otherwise rows and rectangles would no longer belong together."""
    result = encoder.run(images)
    if result.failures:
        raise DataError(f"{result.failures[0]}; fetch the photographs again")
    return result


def precisions(queries: Encoded, database: Encoded, protocol: Protocol) -> Floats:
    """Tie-aware average precision of every query by ordinal distance."""
    return average_precision(ordinal_distances(queries.codes, database.codes), protocol.relevance())


def figure(encoder: Encoder, protocol: Protocol, path: Path) -> None:
    """Draw six composites and the six plain photographs: the first query of every other class, not the best ones."""
    labels = protocol.query.labels
    classes = np.zeros(len(protocol.query), int) if labels is None else labels.argmax(axis=1)
    rows = [int(np.flatnonzero(classes == c)[0]) for c in np.unique(classes)[::2]][:SHOWN]
    rng = np.random.default_rng(1)
    photos = [open_rgb(protocol.query.images[row]).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for row in rows]
    behind = [square(photo, rng) for photo in free_photographs()[: len(rows)]]
    composites = paste(photos, behind, draw_boxes(len(rows), rng))
    maps, plain = (np.stack(encoder.attention(images)) for images in (composites.pictures, photos))
    shares = attention_inside(maps, composites.boxes)
    draw_attention(
        path,
        [
            Panel(picture, attention, tuple(box), float(share), float(area), protocol.query.class_names[classes[row]])
            for picture, attention, box, share, area, row in zip(
                composites.pictures, maps, composites.boxes.tolist(), shares, composites.areas, rows, strict=True
            )
        ],
        list(zip(photos, plain, strict=True)),
    )


@contextlib.contextmanager
def trained(protocol: Protocol, config: DOHConfig, settings: TrainConfig, cache: Path) -> Iterator[Path]:
    """A model file, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        yield train(
            protocol.train, config, settings, out=folder, validation=protocol.validation, protocol=NAME, cache=cache
        ).model


def measure(
    protocol: Protocol, root: Path, cache: Path, settings: TrainConfig, seeds: int, drawn: Path
) -> dict[str, Any]:
    """Train, look and search."""
    rng = np.random.default_rng(0)
    n = len(protocol.query)
    name, behind, others = backgrounds(root, n, rng)
    boxes = draw_boxes(n, rng)
    pasted = paste([open_rgb(image) for image in protocol.query.images], behind, boxes)
    control = paste(others, behind, boxes)
    features = FeatureStore(cache / "features")

    maps: dict[str, list[npt.NDArray[np.float32]]] = {}
    on_control: list[npt.NDArray[np.float32]] = []
    found: dict[str, dict[str, list[Floats]]] = {}
    base = DOHConfig().decided(scenes=False)
    for network, changes in NETWORKS.items():
        found[network] = {"plain": [], "pasted": []}
        for seed in range(seeds):
            config, training = dataclasses.replace(base, **changes), dataclasses.replace(settings, seed=seed)
            with trained(protocol, config, training, cache) as path:
                encoder = Encoder(path, features=features)
                database, composites = encoded(encoder, protocol.database), encoded(encoder, pasted.pictures)
                found[network]["plain"].append(precisions(encoded(encoder, protocol.query), database, protocol))
                found[network]["pasted"].append(precisions(composites, database, protocol))
                maps.setdefault(network, []).append(np.stack(composites.attention))
                if network == DEFAULT:
                    on_control.append(np.stack(encoder.attention(control.pictures)))
                    if seed == 0:
                        figure(Encoder(path), protocol, drawn)
            means = {kind: round(float(values[-1].mean()), 4) for kind, values in found[network].items()}
            print(f"{network}, seed {seed}: mAP {means}", flush=True)
    # So small a rate leaves the head where it began; the backbone is the same.
    nothing = dataclasses.replace(settings, epochs=1, learning_rate=1e-12, augment=False)
    blank = []
    for seed in range(seeds):
        with trained(protocol, base, dataclasses.replace(nothing, seed=seed), cache) as path:
            blank.append(np.stack(Encoder(path, features=features).attention(pasted.pictures)))
    averaged = {
        network: {kind: np.mean(values, axis=0) for kind, values in kinds.items()} for network, kinds in found.items()
    }
    return {
        "command": "make bench-quality",
        "protocol": protocol.name,
        "protocol_hash": protocol.hash(),
        "queries": n,
        "database": len(protocol.database),
        "backgrounds": name,
        "shares": SHARES,
        "seeds": seeds,
        "code_bits": base.code_bits,
        "network": f"{base.backbone} at {base.image_size} px, frozen",
        "map": list(maps[DEFAULT][0].shape[1:]),
        "area": interval(pasted.areas),
        "attention": {
            "attention": looks(maps[DEFAULT], pasted),
            "other boxes": looks_elsewhere(maps[DEFAULT], pasted),
            "other photograph": looks(on_control, control),
            "untrained head": looks(blank, pasted),
            "learned": looks(maps["both streams, learned attention"], pasted),
            "no attention": looks(maps["both streams, no attention"], pasted),
            "local stream alone": looks(maps["local stream alone, the paper's attention"], pasted),
        },
        "retrieval": {
            network: {kind: [float(ap.mean()) for ap in values] for kind, values in kinds.items()}
            for network, kinds in found.items()
        },
        "gain": {
            f"{streams}, {attention}": {
                kind: interval(averaged[f"{streams}, {attention}"][kind] - averaged[f"{streams}, no attention"][kind])
                for kind in ("plain", "pasted")
            }
            for streams in STREAMS
            for attention in list(ATTENTIONS)[:-1]
        },
        "config": base.to_json(),
        "settings": settings.to_json(),
        "machine": machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="few queries, one epoch, no results kept")
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    protocol = load_protocol(NAME, options.root)
    if not options.rehearse:
        settings = TrainConfig(mode="frozen")
        results = measure(protocol, options.root, options.cache, settings, SEEDS, FIGURE)
        write_json(RESULTS / "attention.json", results)
    else:
        few = dataclasses.replace(protocol, query=protocol.query.subset(np.arange(0, len(protocol.query), 16)))
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainConfig(mode="frozen", epochs=1)
            results = measure(few, options.root, options.cache, settings, 1, Path(folder) / "attention.jpg")
    print(json.dumps(results["attention"], indent=1), json.dumps(results["gain"], indent=1))


if __name__ == "__main__":
    main()
