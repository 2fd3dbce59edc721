"""How far likelihoods and fingerprints can be trusted: ``make bench-search``.

Likelihoods are measured on the images that a training held out. Here they meet queries that no training has seen, of
CIFAR-10 and of the official test split of groceries: of the pairs at each ordinal distance, how many are relevant? And
how many of the queries, and of photographs of other things, are called unlike anything learned?

Fingerprints meet photographs of Corel-5K and groceries (if they are there): how many copies are known as the same
picture, how many pictures with other contents somewhere pass for it, and how many pairs of different photographs do?
Limits were chosen on the training photographs, and are reported on the test photographs. Forms are drawn.

``--rehearse`` takes a few photographs, trains nothing and keeps nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage.data
from common import RESULTS
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from ordhash.codes import ordinal_distances
from ordhash.collection import Entry
from ordhash.collection.duplicates import duplicate_groups
from ordhash.collection.fingerprints import NEAR_DUPLICATE, fingerprint, fingerprint_distance
from ordhash.data import ImageSet, ImageSource, Protocol, load_protocol, open_rgb, prepare
from ordhash.data.datasets import DATASETS
from ordhash.learn import DOHConfig, TrainConfig, labels_of, train
from ordhash.model import Encoder, FeatureStore
from ordhash.support import write_json

CONFIG = DOHConfig()
EDITED = 100  # photographs


FOOD = ("food", "fruit", "vegetables", "plants", "flowers")  # words of photographs that may show groceries


def likelihoods(root: Path, cache: Path) -> list[dict[str, Any]]:
    """What models promise and what is found, and which photographs they call unlike anything learned."""
    corel = DATASETS["corel5k"].read(root / "corel5k")["test"]
    labels = labels_of(corel)[:, [corel.class_names.index(word) for word in FOOD if word in corel.class_names]]
    cifar, grocery = load_protocol("cifar10", root), load_protocol("grocery", root)
    photographs = {"Corel-5K": corel.subset(~labels.any(axis=1)), "CIFAR-10": cifar.query, "groceries": grocery.query}
    # To keep it short: half of the training images, and one in 24 of the database.
    train_rows, database_rows = np.arange(0, len(cifar.train), 2), np.arange(0, len(cifar.database), 24)
    some = dataclasses.replace(
        cifar, train=cifar.train.subset(train_rows), database=cifar.database.subset(database_rows)
    )
    other = dataclasses.replace(grocery, validation=None)
    return [
        measured(protocol, how, photographs, cache)
        for protocol, how in ((some, "held out"), (other, "held out"), (grocery, "official validation"))
    ]


def measured(protocol: Protocol, how: str, photographs: Mapping[str, ImageSet], cache: Path) -> dict[str, Any]:
    """Promised and found share of relevant pairs at every ordinal distance, of one model; shares of unlike images."""
    out = Path("runs") / f"likeness-{protocol.name}-{how.replace(' ', '-')}"
    settings = TrainConfig(mode="frozen")
    result = train(
        protocol.train, CONFIG, settings, out=out, validation=protocol.validation, cache=cache,
        protocol=protocol.name, overwrite="others", progress=True,
    )  # fmt: skip
    encoder = Encoder(result.model, features=FeatureStore(cache / "features"), progress=True)
    calibration = encoder.info.calibration
    if calibration is None:
        raise RuntimeError(f"{encoder.path} has no calibration")
    queries, database = encoder.encode(protocol.query), encoder.encode(protocol.database)
    labels = labels_of(protocol.query).astype(np.float32)
    learned = labels @ labels_of(protocol.database).astype(np.float32).T > 0
    apart = ~np.eye(len(queries), dtype=bool)
    new = (labels @ labels.T > 0)[apart]
    pairs, found = counted(ordinal_distances(queries, database), learned)
    pairs_of_new, found_of_new = counted(ordinal_distances(queries, queries)[apart], new)
    return {
        "protocol": protocol.name,
        "calibrated_on": how,
        "code_bits": encoder.spec.code_bits,
        "validation_pairs": calibration.pairs,
        "cutoff": calibration.cutoff,
        "promised": calibration.likelihood(np.arange(encoder.spec.n_segments + 1)).round(4).tolist(),
        "pairs": pairs,
        "found": found,
        "pairs_of_new": pairs_of_new,
        "found_of_new": found_of_new,
        "unlike": {name: _unlike(encoder, images) for name, images in photographs.items()},
    }


def _unlike(encoder: Encoder, images: ImageSet) -> float:
    unlike = encoder.run(images).unlike
    if unlike is None:
        raise RuntimeError(f"{encoder.path} cannot tell what is unlike anything learned")
    return round(float(unlike.mean()), 4)


def counted(distances: npt.NDArray[Any], relevant: npt.NDArray[np.bool_]) -> tuple[list[int], list[float]]:
    """Pairs at every distance, and the share of them that is relevant."""
    pairs = np.bincount(distances.ravel(), minlength=CONFIG.spec.n_segments + 1)
    hits = np.bincount(distances[relevant], minlength=len(pairs))
    return pairs.tolist(), (hits / np.maximum(pairs, 1)).round(4).tolist()


def compressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def scaled(picture: Image.Image, factor: float) -> Image.Image:
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC)


def cut(picture: Image.Image, share: float) -> Image.Image:
    x, y = round(share * picture.width), round(share * picture.height)
    return picture.crop((x, y, picture.width - x, picture.height - y))


def signed(picture: Image.Image) -> Image.Image:
    out = picture.copy()
    ImageDraw.Draw(out).text((5, out.height - 15), "a line of text", fill=(255, 255, 255))
    return out


def gamma(picture: Image.Image, power: float) -> Image.Image:
    return picture.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)


def place(picture: Image.Image, share: float) -> tuple[int, int, int]:
    """Left, top and side of a square somewhere in a picture, the same for the same picture."""
    side = round(share * min(picture.size))
    rng = np.random.default_rng(int(np.asarray(picture)[::7, ::7].sum()))
    return int(rng.integers(picture.width - side)), int(rng.integers(picture.height - side)), side


def painted(picture: Image.Image, share: float) -> Image.Image:
    """A disc in the mean colour of what it hides, a little darker."""
    left, top, side = place(picture, share)
    box = (left, top, left + side, top + side)
    colour = np.asarray(picture.crop(box)).mean(axis=(0, 1)) - 25
    out = picture.copy()
    ImageDraw.Draw(out).ellipse(box, fill=tuple(colour.clip(0).astype(int).tolist()))
    return out


def with_object(picture: Image.Image, share: float) -> Image.Image:
    """A part of another photograph in a disc."""
    left, top, side = place(picture, share)
    out, mask = picture.copy(), Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
    coffee = Image.fromarray(skimage.data.coffee())  # type: ignore[no-untyped-call]
    out.paste(coffee.crop((150, 50, 450, 350)).resize((side, side)), (left, top), mask)
    return out


def other_hue(picture: Image.Image, degrees: int) -> Image.Image:
    hue = np.array(picture.convert("HSV"))
    hue[..., 0] += np.uint8(degrees * 256 // 360)
    return Image.fromarray(hue, "HSV").convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 30": lambda p: compressed(p, 30),
    "JPEG, quality 20": lambda p: compressed(p, 20),
    "half the size, JPEG, quality 50": lambda p: compressed(scaled(p, 0.5), 50),
    "a third of the size": lambda p: scaled(p, 1 / 3),
    "a quarter of the size": lambda p: scaled(p, 1 / 4),
    "an eighth of the size": lambda p: scaled(p, 1 / 8),
    "grey": lambda p: p.convert("L").convert("RGB"),
    "20 % brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.2),
    "30 % brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "20 % darker": lambda p: ImageEnhance.Brightness(p).enhance(0.8),
    "30 % less contrast": lambda p: ImageEnhance.Contrast(p).enhance(0.7),
    "gamma 1.25": lambda p: gamma(p, 1.25),
    "sharpened": lambda p: ImageEnhance.Sharpness(p).enhance(2),
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(p.width / 200)),
    "30 % more saturated": lambda p: ImageEnhance.Color(p).enhance(1.3),
    "turned by a quarter, JPEG": lambda p: compressed(p.transpose(Image.Transpose.ROTATE_90), 60),
    "mirrored, half the size": lambda p: scaled(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.5),
    "turned by 1 degree": lambda p: p.rotate(1, Image.Resampling.BICUBIC),
    "1 % cut off each side": lambda p: cut(p, 0.01),
    "5 % cut off each side": lambda p: cut(p, 0.05),
}

OTHERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "a disc of 20 % painted over": lambda p: painted(p, 0.2),
    "a disc of 12 % painted over": lambda p: painted(p, 0.12),
    "a disc of 20 % painted over, JPEG, quality 50": lambda p: compressed(painted(p, 0.2), 50),
    "an object of 12 % added": lambda p: with_object(p, 0.12),
    "a line of text": signed,
    "hue turned by 45 degrees": lambda p: other_hue(p, 45),
    "hue turned by 90 degrees": lambda p: other_hue(p, 90),
}


def form(seed: int) -> Image.Image:
    """A form of 15 fields with a number in each."""
    image, rng = Image.new("RGB", (850, 1100), "white"), np.random.default_rng(seed)
    draw = ImageDraw.Draw(image)
    for row in range(15):
        top = 120 + 60 * row
        draw.rectangle((60, top, 790, top + 44), outline="black")
        draw.text((70, top + 10), f"Field {row}", fill="black", font_size=22)
        draw.text((300, top + 10), str(rng.integers(10, 10**9)), fill="black", font_size=22)
    return image


def print_of(picture: Image.Image) -> bytes:
    return fingerprint(prepare(picture, CONFIG.size_for(scenes=False), CONFIG.fit)) or b""


def known(
    pictures: Sequence[Image.Image], edits: Mapping[str, Callable[[Image.Image], Image.Image]]
) -> dict[str, dict[str, float]]:
    """How many edited pictures count as the same, and the median of their distances."""
    prints, values = [print_of(picture) for picture in pictures], {}
    for name, edit in edits.items():
        apart = np.array(
            [fingerprint_distance(one, print_of(edit(picture))) for one, picture in zip(prints, pictures, strict=True)]
        )
        values[name] = {"median": float(np.median(apart)), "same": float((apart <= NEAR_DUPLICATE).mean())}
    return values


def near_pairs(pictures: Sequence[ImageSource]) -> list[list[str]]:
    """Groups among pictures of which none should be a copy of another."""
    entries = [
        Entry(str(row), 1, 1, row.to_bytes(16), b"", print_of(open_rgb(image)) or None)
        for row, image in enumerate(pictures)
    ]
    return duplicate_groups(entries, NEAR_DUPLICATE)


def fingerprints(root: Path, *, rehearse: bool) -> dict[str, Any]:
    """Copies found, and other pictures mistaken for copies."""
    corel = list(DATASETS["corel5k"].read(root / "corel5k")["test"].images)
    grocery = list(DATASETS["grocery"].read(root / "grocery")["test"].images) if (root / "grocery").exists() else []
    some = 4 if rehearse else EDITED // 2
    picked = [images[row] for images in (corel, grocery) if images for row in _spread(len(images), some)]
    pictures = [open_rgb(image) for image in picked]
    forms = [form(seed) for seed in range(4 if rehearse else 20)]
    prints, copies = [print_of(one) for one in forms], [print_of(compressed(scaled(one, 0.5), 60)) for one in forms]
    same = np.array([[fingerprint_distance(one, other) <= NEAR_DUPLICATE for other in copies] for one in prints])
    started = time.perf_counter()
    groups = {
        name: near_pairs(images[: 40 if rehearse else None])
        for name, images in (("corel5k", corel), ("grocery", grocery))
    }
    return {
        "edited": len(pictures),
        "bytes": round(float(np.mean([len(print_of(picture)) for picture in pictures]))),
        "copies": known(pictures, COPIES),
        "others": known(pictures, OTHERS),
        "forms": {
            "count": len(forms),
            "copies": float(same.diagonal().mean()),
            "others": float(same[~np.eye(len(forms), dtype=bool)].mean()),
        },
        "photographs": {"corel5k": len(corel), "grocery": len(grocery)},
        "near_groups": groups,
        "grouping_seconds": round(time.perf_counter() - started, 1),
    }


def _spread(n: int, some: int) -> list[int]:
    return [int(row) for row in np.linspace(0, n - 1, min(some, n))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="few pictures, no results kept")
    parser.add_argument("--fingerprints", action="store_true", help="leave the likelihoods as they are")
    parser.add_argument("--likelihoods", action="store_true", help="leave the fingerprints as they are")
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    path = RESULTS / "likeness.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results["command"] = "make bench-search"
    if (options.root / "corel5k").exists() and not options.likelihoods:
        results["fingerprints"] = fingerprints(options.root, rehearse=options.rehearse)
    if not (options.rehearse or options.fingerprints):  # the models take minutes to train
        results["likelihoods"] = likelihoods(options.root, options.cache)
    print(json.dumps(results, indent=1))
    if not options.rehearse:
        write_json(path, results)


if __name__ == "__main__":
    main()
