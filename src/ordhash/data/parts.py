"""Parts of photographs, to search with: does a crop find the photograph that it was taken from?"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ordhash.data.draws import draws
from ordhash.data.images import DrawnImage, ImageSource, content_id, open_rgb
from ordhash.data.imageset import ImageSet

__all__ = ["PART_SHARES", "Part", "drawn_parts"]

PART_SHARES = ((0.1, 0.2), (0.2, 0.3), (0.3, 0.5))
"""Shares of a photograph's area that a part has, from and to."""


@dataclass(frozen=True, eq=False)
class Part(DrawnImage):
    """A rectangle of a photograph, with its aspect.

    Attributes:
        image: The photograph.
        share: Area of the rectangle, as a share of the photograph's.
        across: Where it is between the left (0) and the right (1).
        down: Where it is between the top (0) and the bottom (1).
    """

    image: ImageSource
    share: float
    across: float
    down: float

    def draw(self) -> Image.Image:
        """The rectangle, RGB, at the photograph's resolution."""
        photo = open_rgb(self.image)
        width, height = (max(1, round(length * self.share**0.5)) for length in photo.size)
        left, top = round(self.across * (photo.width - width)), round(self.down * (photo.height - height))
        return photo.crop((left, top, left + width, top + height))

    def content_id(self) -> bytes:
        """Digest of the photograph and the rectangle, 16 bytes."""
        own = struct.pack("<3d", self.share, self.across, self.down) + content_id(self.image)
        return hashlib.blake2b(own, digest_size=16, person=b"ordhash part 1").digest()


def drawn_parts(images: ImageSet, *, salt: str, shares: Sequence[tuple[float, float]] = PART_SHARES) -> ImageSet:
    """A part of every photograph; shares of the area take turns.

    Args:
        images: n photographs.
        salt: Another salt gives other parts.
        shares: Shares of the area, from and to.

    Returns:
        n parts with the labels of their photographs, keys ``part of PHOTOGRAPH``, and as metadata ``share`` (such as
        ``20-30 %``).
    """
    import pyarrow as pa

    found, names = [], []
    for row, key in enumerate(images.keys):
        least, most = shares[row % len(shares)]
        share, across, down = draws(f"{salt}/{key}", 3)
        found.append(Part(images.images[row], least + share * (most - least), across, down))
        names.append(f"{100 * least:g}-{100 * most:g} %")
    keys = np.array([f"part of {key}" for key in images.keys], dtype=np.str_)
    return ImageSet(found, keys, images.labels, images.class_names, pa.table({"share": names}))
