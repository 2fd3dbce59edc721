"""Protocols that search objects in photographs which show much else: plain photographs of objects, and scenes of them.

A twin ``@cut`` has the pasted rectangles instead of the scenes: what the same model would do that knew where to look.
A twin ``@plain`` has the photographs that were pasted: what a model that finds things in scenes makes of plain ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ordhash.data.datasets import Parts
from ordhash.data.imageset import ImageSet
from ordhash.data.protocols.grocery import coarse_classes
from ordhash.data.protocols.grocery_photos import split_grocery_photos
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_class, split_by_digest, together
from ordhash.data.scenes import SHARES_OF_THREE, cut_outs, paste_into

__all__ = ["PROTOCOLS"]

_FOOD = frozenset({"crops", "food", "fruit", "harvest", "market", "vegetables"})
_PLAIN = 0.2  # share of the test photographs that stay plain
_SALT = "grocery-in-scenes"  # of all scenes with one object, which pinned hashes hold


@dataclass(frozen=True, eq=False)
class _Photographs:
    """What scenes are made of.

    Attributes:
        train: Training images.
        validation: Images that choose the epoch.
        plain: One side of the search.
        pasted: The other side, in scenes.
        searched: Backgrounds of these scenes.
        behind: Backgrounds of training.
        citation: Where all are from.
        coarse: As in [Protocol][ordhash.data.Protocol].
    """

    train: ImageSet
    validation: ImageSet
    plain: ImageSet
    pasted: ImageSet
    searched: ImageSet
    behind: ImageSet
    citation: str
    coarse: tuple[str, ...] | None = None


def _groceries(grocery: Parts, corel5k: Parts) -> _Photographs:
    """GroceryStoreDataset in photographs of Corel-5K that show no food: a half is searched, the rest for training."""
    split = split_by_class(grocery["test"], {"plain": _PLAIN}, salt=_SALT)
    both = together(corel5k["train"], corel5k["test"])
    food = np.array([word in _FOOD for word in both.class_names])
    kept = both if both.labels is None else both.subset(~both.labels[:, food].any(axis=1))
    backgrounds = split_by_digest(kept, {"searched": len(kept) // 2}, salt="scenes")
    return _Photographs(
        grocery["train"],
        grocery["val"],
        split["plain"],
        split["rest"],
        backgrounds["searched"],
        backgrounds["rest"],
        "Klasson et al., WACV 2019: official training images; test images, plain and pasted into photographs of "
        "Corel-5K (Duygulu et al., ECCV 2002) without food",
        coarse_classes(grocery["train"]),
    )


def _free_photographs(grocery_photos: Parts, scenery: Parts) -> _Photographs:
    """The same from photographs that packages carry."""
    split = split_grocery_photos(grocery_photos)
    backgrounds = split_by_digest(scenery["all"], {"searched": len(scenery["all"]) // 2}, salt="scenes")
    return _Photographs(
        split["train"],
        split["validation"],
        split["query"],
        split["rest"],
        backgrounds["searched"],
        backgrounds["rest"],
        "ordhash: the parts of grocery-photos; queries plain, the database pasted into photographs of scenery",
    )


def _built(name: str, find: str, photographs: Callable[[Parts, Parts], _Photographs]) -> Callable[..., Protocol]:
    """A protocol; ``find`` is what is found: ``scenes``, ``scenes of three`` or ``plain`` photographs by scenes."""
    twin = name.partition("@")[2]

    def build(objects: Parts, backgrounds: Parts) -> Protocol:
        of = photographs(objects, backgrounds)
        plain, pasted = (of.pasted, of.plain) if find == "plain" else (of.plain, of.pasted)
        if find == "scenes of three":
            scenes = paste_into(pasted, of.searched, salt=name, each=3, shares=SHARES_OF_THREE)
        else:
            scenes = paste_into(pasted, of.searched, salt=_SALT)
        if twin:
            scenes = cut_outs(scenes) if twin == "cut" else pasted
        query, database = (scenes, plain) if find == "plain" else (plain, scenes)
        return Protocol(
            name,
            of.train,
            query,
            database,
            of.validation,
            citation=of.citation,
            coarse=of.coarse,
            backgrounds=of.behind,
            groups=() if twin == "plain" else ("share", "edges"),
        )

    return build


def _grocery(name: str, find: str, summary: str, pinned: str, pinned_split: str | None = None) -> ProtocolInfo:
    build = _built(name, find, _groceries)
    return ProtocolInfo("grocery", summary, build, pinned, pinned_split, backgrounds="corel5k")


def _objects(name: str, find: str, summary: str, pinned: str) -> ProtocolInfo:
    build = _built(name, find, _free_photographs)
    return ProtocolInfo("grocery-photos", summary, build, pinned, backgrounds="scenery")


PROTOCOLS: dict[str, ProtocolInfo] = {
    name: _grocery(name, *rest)
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
} | {
    name: _objects(name, *rest)
    for name, *rest in (
        (
            "objects-in-scenes",
            "scenes",
            "207 plain photographs of groceries search 490 scenes that contain one on 5 to 40 % of the area",
            "e7345587f903cead",
        ),
        (
            "objects-in-scenes@cut",
            "scenes",
            "as objects-in-scenes, the objects cut out of the scenes",
            "ef9194ec66620412",
        ),
        (
            "objects-in-scenes@plain",
            "scenes",
            "as objects-in-scenes, the photographs that were pasted",
            "e738f8a4be70471f",
        ),
        (
            "objects-in-scenes-3",
            "scenes of three",
            "the same queries search 163 scenes of three objects of different classes",
            "980a204b08ec7c71",
        ),
        (
            "objects-by-scenes",
            "plain",
            "207 scenes that contain one object search 490 plain photographs",
            "5ee90bc5cc82b464",
        ),
        (
            "objects-by-scenes@cut",
            "plain",
            "as objects-by-scenes, the objects cut out of the scenes",
            "03bb143ebd0f2a3d",
        ),
    )
}
