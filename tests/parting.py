"""A collection whose last photograph has a part that looks like its first photograph, by its code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ordhash.codes import OrdinalCodes, PartCodes
from ordhash.collection.catalogue import Catalogue

BOX = (0.0, 0.2, 0.4, 1.0)


def part_like_the_first(collection: Path) -> list[str]:
    """Give the last photograph that part; returns all keys."""
    with Catalogue(collection / "catalogue.sqlite") as catalogue:
        entries, spec = catalogue.entries(), catalogue.facts.spec
        code = OrdinalCodes.from_packed(np.frombuffer(entries[0].code, np.uint8)[None], spec)
        sides = (255 * np.array([BOX])).round().astype(np.uint8)
        (part,) = PartCodes(code, np.zeros(1, np.int64), sides).packed(1)
        catalogue.update([dataclasses.replace(entries[-1], parts=part)])
    return [entry.key for entry in entries]
