"""Protocols that search objects in photographs which show much else: plain photographs of objects, and scenes of them.

A twin ``@cut`` has the pasted rectangles instead of the scenes: what the same model would do that knew where to look.
A twin ``@plain`` has the photographs that were pasted: what a model that finds things in scenes makes of plain ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ordhash.data.datasets import Parts
from ordhash.data.imageset import ImageSet
from ordhash.data.protocols.grocery import coarse_classes
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_class, split_by_digest, together
from ordhash.data.scenes import SHARES_OF_THREE, cut_outs, paste_into

__all__ = ["PROTOCOLS"]

_FOOD = frozenset({"crops", "food", "fruit", "harvest", "market", "vegetables"})
_PLAIN = 0.2  # share of the test photographs that stay plain


def _backgrounds(corel5k: Parts) -> dict[str, ImageSet]:
    """The photographs of Corel-5K that show no food: a half is ``searched``, the ``rest`` is for training."""
    both = together(corel5k["train"], corel5k["test"])
    food = np.array([word in _FOOD for word in both.class_names])
    kept = both if both.labels is None else both.subset(~both.labels[:, food].any(axis=1))
    return split_by_digest(kept, {"searched": len(kept) // 2}, salt="scenes")


def _grocery(name: str, find: str) -> Callable[[Parts, Parts], Protocol]:
    """A protocol; ``find`` is what is found: ``scenes``, ``scenes of three`` or ``plain`` photographs by scenes."""
    twin = name.partition("@")[2]

    def build(grocery: Parts, corel5k: Parts) -> Protocol:
        split = split_by_class(grocery["test"], {"plain": _PLAIN}, salt="grocery-in-scenes")
        plain, pasted = split["plain"], split["rest"]
        if find == "plain":
            plain, pasted = pasted, plain
        backgrounds = _backgrounds(corel5k)
        if find == "scenes of three":
            scenes = paste_into(pasted, backgrounds["searched"], salt=name, each=3, shares=SHARES_OF_THREE)
        else:
            scenes = paste_into(pasted, backgrounds["searched"], salt="grocery-in-scenes")
        if twin:
            scenes = cut_outs(scenes) if twin == "cut" else pasted
        query, database = (scenes, plain) if find == "plain" else (plain, scenes)
        return Protocol(
            name,
            grocery["train"],
            query,
            database,
            grocery["val"],
            citation=(
                "Klasson et al., WACV 2019: official training images; test images, plain and pasted into photographs "
                "of Corel-5K (Duygulu et al., ECCV 2002) without food"
            ),
            coarse=coarse_classes(grocery["train"]),
            backgrounds=backgrounds["rest"],
            groups=() if twin == "plain" else ("share", "edges"),
        )

    return build


def _info(name: str, find: str, summary: str, pinned: str, pinned_split: str | None = None) -> ProtocolInfo:
    return ProtocolInfo("grocery", summary, _grocery(name, find), pinned, pinned_split, backgrounds="corel5k")


PROTOCOLS: dict[str, ProtocolInfo] = {
    name: _info(name, *rest)
    for name, *rest in (
        (
            "grocery-in-scenes",
            "scenes",
            "497 plain photographs search 1,988 scenes that contain one on 5 to 40 % of the area",
            "5db0956dd899d746",
            "b2e1eb1c592f83e6",
        ),
        (
            "grocery-in-scenes@cut",
            "scenes",
            "as grocery-in-scenes, the objects cut out of the scenes",
            "c07349dc61ebb26e",
        ),
        (
            "grocery-in-scenes@plain",
            "scenes",
            "as grocery-in-scenes, the photographs that were pasted",
            "d0ae114d10ee9758",
        ),
        (
            "grocery-in-scenes-3",
            "scenes of three",
            "the same queries search 662 scenes of three objects of different classes",
            "b170cabd25386e92",
            "e8fc9f8a7c820090",
        ),
        (
            "grocery-by-scenes",
            "plain",
            "497 scenes that contain one object search 1,988 plain photographs",
            "718571b7ee6c28f1",
            "35c2810e663f18d9",
        ),
        (
            "grocery-by-scenes@cut",
            "plain",
            "as grocery-by-scenes, the objects cut out of the scenes",
            "582d26313b9f6202",
        ),
    )
}
