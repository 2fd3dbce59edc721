"""How far likelihoods and fingerprints can be trusted: ``make bench-search``.

Likelihoods are measured on the images that a training held out. Here they meet the queries of CIFAR-10, which no
training has seen, and its database: of the pairs at each ordinal distance, how many are relevant?

Fingerprints meet the photographs of Corel-5K (if they are there): how many bits differ after an edit that leaves the
picture the same, and how many pairs of different photographs pass for the same one?

``--rehearse`` takes a few photographs, trains nothing and keeps nothing.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from codes import cifar10_encoder
from common import RESULTS
from PIL import Image, ImageDraw, ImageEnhance

from ordhash import OrdinalCodes
from ordhash.codes import ordinal_distances
from ordhash.collection.fingerprints import FINGERPRINT, NEAR_DUPLICATE, fingerprint
from ordhash.data import load_protocol, open_rgb, prepare
from ordhash.data.datasets import DATASETS
from ordhash.support import write_json

SIDE = 160  # pixels, as the default network sees them
EDITED = 500  # photographs


def likelihoods(cache: Path) -> dict[str, Any]:
    """Promised and found share of relevant pairs at every ordinal distance."""
    protocol = load_protocol("cifar10")
    encoder = cifar10_encoder(protocol, cache)
    calibration = encoder.info.calibration
    if calibration is None:
        raise RuntimeError(f"{encoder.path} has no calibration; delete it, and it is trained again")
    queries, database_codes = encoder.encode(protocol.query), encoder.encode(protocol.database)
    pairs = np.zeros(encoder.spec.n_segments + 1, dtype=np.int64)
    relevant = pairs.copy()
    for start in range(0, len(queries), 100):
        rows = slice(start, start + 100)
        distances = ordinal_distances(queries[rows], database_codes)
        pairs += np.bincount(distances.ravel(), minlength=len(pairs))
        relevant += np.bincount(distances[protocol.relevance(rows)], minlength=len(pairs))
    return {
        "protocol": protocol.name,
        "code_bits": encoder.spec.code_bits,
        "validation_pairs": calibration.pairs,
        "cutoff": calibration.cutoff,
        "promised": calibration.likelihood(np.arange(len(pairs))).round(4).tolist(),
        "found": (relevant / np.maximum(pairs, 1)).round(4).tolist(),
        "pairs": pairs.tolist(),
    }


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


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 30": lambda p: compressed(p, 30),
    "half the size, JPEG, quality 50": lambda p: compressed(scaled(p, 0.5), 50),
    "a third of the size": lambda p: scaled(p, 1 / 3),
    "grey": lambda p: p.convert("L").convert("RGB"),
    "30 % brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "a line of text": signed,
    "turned by 2 degrees": lambda p: p.rotate(2),
    "2 % cut off each side": lambda p: cut(p, 0.02),
    "5 % cut off each side": lambda p: cut(p, 0.05),
}


def print_of(picture: Image.Image) -> npt.NDArray[np.uint8]:
    found = fingerprint(prepare(picture, SIDE, "squash"))
    if found is None:
        raise RuntimeError("a photograph of one colour")
    return np.frombuffer(found, dtype=np.uint8)


def fingerprints(root: Path, *, rehearse: bool) -> dict[str, Any]:
    """Share of edited photographs, and number of pairs of different ones, that pass for the same picture."""
    photographs = [image for part in DATASETS["corel5k"].read(root / "corel5k").values() for image in part.images]
    if rehearse:
        photographs = photographs[:40]
    prints = np.stack([print_of(open_rgb(image)) for image in photographs])
    edited = np.linspace(0, len(prints) - 1, min(EDITED, len(prints))).astype(int)
    edits = {}
    for name, edit in EDITS.items():
        after = np.stack([print_of(edit(open_rgb(photographs[row]))) for row in edited])
        bits = np.bitwise_count(after ^ prints[edited]).sum(axis=1)
        edits[name] = {"median": float(np.median(bits)), "same": float((bits <= NEAR_DUPLICATE).mean())}
    codes = OrdinalCodes.from_packed(prints, FINGERPRINT)
    near = 0
    for start in range(0, len(codes), 500):
        near += int((ordinal_distances(codes[start : start + 500], codes) <= NEAR_DUPLICATE).sum())
    n = len(prints)
    return {
        "data": "corel5k",
        "photographs": n,
        "edited": len(edited),
        "bits": NEAR_DUPLICATE,
        "edits": edits,
        "pairs": n * (n - 1) // 2,
        "near_pairs": (near - n) // 2,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="few pictures, no results kept")
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    path = RESULTS / "likeness.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results["command"] = "make bench-search"
    if (options.root / "corel5k").exists():
        results["fingerprints"] = fingerprints(options.root, rehearse=options.rehearse)
    if not options.rehearse:  # the model takes minutes to train
        results["likelihoods"] = likelihoods(options.cache)
    print(json.dumps(results, indent=1))
    if not options.rehearse:
        write_json(path, results)


if __name__ == "__main__":
    main()
