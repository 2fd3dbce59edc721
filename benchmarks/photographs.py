"""Encoding large photographs: decode, resize and network, each alone and together: ``make bench-encode``.

Photographs of 12 megapixels are mosaics of the demo's groceries (an enlarged one would decode faster, having less
detail). The rival is what many would write: Pillow decodes all pixels and scales them down, a batch on all cores, and
then the batch goes into the same network. The rounds alternate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import RESULTS, machine, medians, untaught_model
from PIL import Image

from ordhash import Encoder
from ordhash.data import ImageSet, load_protocol, open_rgb, prepare
from ordhash.model import Preprocessing
from ordhash.support import available_cores, write_json

FOLDER = Path("runs/bench-photographs")
N_LARGE, N_SMALL, ROUNDS, BATCH = 48, 512, 5, 32
COLUMNS, ROWS, SIDE = 12, 9, 334  # 4,008 x 3,006 pixels


def made_photographs() -> tuple[list[Path], list[Path]]:
    """Mosaics of 12 megapixels and the photographs they are made of, squares of 348 pixels, as JPEG files."""
    images = load_protocol("grocery-photos").database
    rng = np.random.default_rng(0)
    large = [FOLDER / f"large-{number:02}.jpg" for number in range(N_LARGE)]
    small = [FOLDER / f"small-{number:03}.jpg" for number in range(N_SMALL)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    tiles = [tile for image in images.images if (tile := open_rgb(image)).width == tile.height]
    for number, path in enumerate(small):
        if not path.exists():
            tiles[number % len(tiles)].save(path, "JPEG", quality=90)
    for path in large:
        chosen = rng.choice(len(tiles), COLUMNS * ROWS)
        if path.exists():
            continue
        mosaic = Image.new("RGB", (COLUMNS * SIDE, ROWS * SIDE))
        for place, tile in enumerate(chosen.tolist()):
            corner = (place % COLUMNS * SIDE, place // COLUMNS * SIDE)
            mosaic.paste(tiles[tile].resize((SIDE, SIDE), Image.Resampling.LANCZOS), corner)
        mosaic.save(path, "JPEG", quality=90)
    return large, small


def plain(path: Path, seen: Preprocessing) -> npt.NDArray[np.uint8]:
    """Decode all pixels and scale them down."""
    with Image.open(path) as picture:
        return prepare(picture.convert("RGB"), seen.size, seen.fit, seen.step)


def plain_run(encoder: Encoder, paths: list[Path], pool: ThreadPoolExecutor) -> None:
    """Codes, batch after batch; a batch is decoded on all cores, as Pillow lets go of Python's lock."""
    for start in range(0, len(paths), BATCH):
        chosen = paths[start : start + BATCH]
        encoder.run(np.stack(list(pool.map(lambda path: plain(path, encoder.info.preprocessing), chosen))))


def parts(paths: list[Path], seen: Preprocessing) -> dict[str, float]:
    """Milliseconds a photograph of what one thread does, medians over photographs."""
    whole: list[Image.Image] = []
    scaled: list[Image.Image] = []
    steps: dict[str, Callable[[Path], Any]] = {
        "decode": lambda path: scaled.append(open_rgb(path, least_side=2 * seen.size)),
        "resize": lambda path: prepare(scaled.pop(), seen.size, seen.fit, seen.step),
        "decode_all_pixels": lambda path: whole.append(Image.open(path).convert("RGB")),
        "resize_all_pixels": lambda path: prepare(whole.pop(), seen.size, seen.fit, seen.step),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for path in paths:
        for name, step in steps.items():
            started = time.perf_counter()
            step(path)
            times[name].append(1000 * (time.perf_counter() - started))
    return {name: round(statistics.median(values), 2) for name, values in times.items()}


def measured(encoder: Encoder, paths: list[Path]) -> dict[str, Any]:
    """Photographs a second of both, and of the network alone."""
    images, n, seen = ImageSet(paths, np.arange(len(paths))), len(paths), encoder.info.preprocessing
    prepared = np.stack([plain(path, seen) for path in paths])
    with ThreadPoolExecutor(available_cores()) as pool:
        seconds = medians(
            {
                "ordhash": lambda: encoder.run(images),
                "plain": lambda: plain_run(encoder, paths, pool),
                "network": lambda: encoder.run(prepared),
            },
            ROUNDS,
        )
    speeds = {name: round(n / value, 2) for name, value in seconds.items()}
    return {
        **speeds,
        "ratio": round(seconds["plain"] / seconds["ordhash"], 2),
        "parts": parts(paths, seen),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="few photographs; nothing is written")
    rehearsal = parser.parse_args().rehearse
    encoder = Encoder(untaught_model(Path("runs/bench-encode")))
    large, small = made_photographs()
    if rehearsal:
        large, small = large[:2], small[:32]
    results = {
        "command": "make bench-encode",
        "machine": machine(),
        "network": f"{encoder.info.backbone} at {encoder.info.preprocessing.size} px",
        "large": measured(encoder, large),
        "small": measured(encoder, small),
    }
    if not rehearsal:
        write_json(RESULTS / "photographs.json", results)
    print({name: results[name] for name in ("large", "small")})


if __name__ == "__main__":
    main()
