"""The figure of docs/method.md: photographs of groceries, and the scenes that show one: ``make scenes-figure``.

The default network of training with backgrounds learns ``grocery-in-scenes``. Test photographs are pasted, three a
scene, into four photographs free of rights that come with scikit-image: Corel's may not be passed on. Plain test
photographs search the scenes by their parts. Nothing is picked by hand: queries are the first of every eighth of the
classes that at least four scenes show.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from attention_results import show
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from skimage import data as skimage_data

from ordhash import Encoder, OrdinalIndex
from ordhash.data import ImageSet, load_protocol, open_rgb
from ordhash.data.scenes import SHARES_OF_THREE, paste_into
from ordhash.learn import TrainConfig, labels_of, train

FREE = ("astronaut", "chelsea", "coffee", "rocket")
LEAST, EVERY, SHOWN, FOUND, EPOCHS = 4, 8, 5, 4, 30
CACHE, OUT = Path(".cache"), Path("runs/scenes-figure")
FIGURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "scenes.jpg"
RIGHT, WRONG = "#1a7f5a", "#d1495b"  # as in ordhash.evaluation


def main() -> None:
    protocol = load_protocol("grocery-in-scenes@plain")
    settings = TrainConfig(mode="frozen", epochs=EPOCHS, accelerator="cpu")
    model = train(
        protocol.train, None, settings, out=OUT, validation=protocol.validation, backgrounds=protocol.backgrounds,
        cache=CACHE, progress=True,
    ).model  # fmt: skip
    photographs = [np.asarray(Image.fromarray(getattr(skimage_data, name)()).convert("RGB")) for name in FREE]
    behind = ImageSet(photographs, np.array(FREE))
    scenes = paste_into(protocol.database, behind, salt="scenes-figure", each=3, shares=SHARES_OF_THREE)
    shown, asked = labels_of(scenes), labels_of(protocol.query)
    classes = np.flatnonzero((shown.sum(axis=0) >= LEAST) & asked.any(axis=0))[::EVERY][:SHOWN]
    rows = [int(np.flatnonzero(asked[:, one])[0]) for one in classes]
    encoder = Encoder(model)
    encoded = encoder.run(scenes, parts=True)
    index = OrdinalIndex(encoded.codes, parts=encoded.parts)
    found = index.search(encoder.encode(protocol.query.subset(np.array(rows))), top_k=FOUND, parts=True)
    if found.boxes is None:
        raise RuntimeError("a search with parts says where they are")
    figure = Figure(figsize=(1.9 * (FOUND + 0.8), 1.5 * len(rows)), dpi=100, layout="constrained")
    axes: Any = figure.subplots(len(rows), FOUND + 1, squeeze=False, gridspec_kw={"width_ratios": [0.8] + [1] * FOUND})
    for line, (row, one) in enumerate(zip(rows, classes, strict=True)):
        show(
            axes[line, 0],
            open_rgb(protocol.query.images[row]),
            "\n".join(textwrap.wrap(protocol.query.class_names[one], 18)),
        )
        for place, (scene, box) in enumerate(zip(found.rows[line].tolist(), found.boxes[line], strict=True)):
            picture, axis = open_rgb(scenes.images[scene]), axes[line, place + 1]
            mark, edge = ("✓", RIGHT) if shown[scene, one] else ("✗", WRONG)
            show(axis, picture, f"{place + 1} {mark}")
            axis.title.set_color(edge)
            left, top, right, bottom = box * np.tile(picture.size, 2)
            for colour, width in (("white", 4.0), (edge, 2.0)):
                axis.add_patch(
                    Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, lw=width)
                )
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, pil_kwargs={"quality": 82})
    print(f"{FIGURE}: {len(scenes)} scenes, {len(encoded.parts or ()) / len(scenes):.1f} parts each")


if __name__ == "__main__":
    main()
