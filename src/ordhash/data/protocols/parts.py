"""A protocol that searches with parts of photographs: is the photograph found that a crop was taken from?"""

from __future__ import annotations

import dataclasses

import numpy as np

from ordhash.data.datasets import Parts
from ordhash.data.imageset import ImageSet
from ordhash.data.parts import drawn_parts
from ordhash.data.protocols.info import ProtocolInfo
from ordhash.data.protocols.protocol import Protocol
from ordhash.data.protocols.splits import split_by_class

__all__ = ["PROTOCOLS"]

_SEARCHED_WITH = 0.2  # share of the photographs of which a part is a query


def _itself(images: ImageSet) -> ImageSet:
    """The images, each of a class of its own."""
    names = tuple(str(key) for key in images.keys)
    return dataclasses.replace(images, labels=np.eye(len(images), dtype=bool), class_names=names)


def _grocery_parts(grocery: Parts) -> Protocol:
    database = _itself(grocery["test"])
    cropped = split_by_class(grocery["test"], {"cropped": _SEARCHED_WITH}, salt="grocery-parts")["cropped"]
    query = drawn_parts(database.subset(np.isin(database.keys, cropped.keys)), salt="grocery-parts")
    return Protocol(
        "grocery-parts",
        grocery["train"],
        query,
        database,
        grocery["val"],
        citation=(
            "Klasson et al., WACV 2019: official training images; parts of a fifth of the test images search all of "
            "them, and the one that a part was taken from is relevant"
        ),
        groups=("share",),
    )


PROTOCOLS: dict[str, ProtocolInfo] = {
    "grocery-parts": ProtocolInfo(
        "grocery",
        "497 parts of photographs, 10 to 50 % of the area, search the 2,485 photographs that they were taken from",
        _grocery_parts,
        "888a2ad3a21b02f4",
        "2bc21eee179984d6",
    ),
}
