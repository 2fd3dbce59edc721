"""Images that clients send, decoded in other processes."""

from __future__ import annotations

import dataclasses
import math

from ordhash.data import Decoders
from ordhash.search import Example
from ordhash.support import available_cores

__all__ = ["Uploads"]

_SECONDS = 10.0  # 100 megapixels take two
_SMALL = 1e-4  # of a picture's side: of smaller parts no pixel can be spared


class Uploads:
    """Decodes uploads; safe for threads.

    Args:
        pixels: Larger images are refused.
        side: Of the square that the network takes.
    """

    def __init__(self, pixels: int, side: int) -> None:
        # More than cores: two that are slow leave room for others.
        self._decoders = Decoders(2 * available_cores(), seconds=_SECONDS, max_pixels=pixels)
        self._side = 2 * side

    def decoded(self, example: Example) -> Example:
        """An example with its picture, if it is the content of a file.

        Raises:
            ImageError: It cannot be used.
        """
        if not isinstance(example.image, bytes):
            return example
        left, top, right, bottom = example.box or (0.0, 0.0, 1.0, 1.0)
        share = min(right - left, bottom - top)
        side = math.ceil(self._side / share) if share > _SMALL else None
        picture = self._decoders.open_rgb(example.image, name=example.name or "the image", least_side=side)
        return dataclasses.replace(example, image=picture)

    def check(self, photograph: bytes) -> None:
        """Find out whether a photograph can be decoded, in bounded time and memory.

        Raises:
            ImageError: It cannot be used.
        """
        self._decoders.open_rgb(photograph, name="the photograph", least_side=self._side)

    def start(self) -> None:
        """Start a process, so that the first upload need not wait for it."""
        self._decoders.start()

    def close(self) -> None:
        """End all processes."""
        self._decoders.close()
