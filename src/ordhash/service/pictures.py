"""Pictures for a browser: upright, scaled down, JPEG, without the photograph's metadata."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from ordhash.data import open_rgb
from ordhash.support import replace_file

__all__ = ["Thumbnails", "scaled_jpeg"]


def scaled_jpeg(path: Path, side: int, *, name: str, quality: int = 85) -> bytes:
    """A photograph as JPEG, scaled down to a longer side.

    Args:
        path: Its file.
        side: Most pixels of the longer side.
        name: Its name in errors.
        quality: Of the JPEG, 1 to 95.

    Raises:
        ImageError: It cannot be used.
    """
    picture = open_rgb(path, name=name, least_side=side)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return content.getvalue()


class Thumbnails:
    """A cache of small pictures, by the content of the photographs; it may be deleted at any time.

    Args:
        folder: Created with the first picture.
        side: Pixels of the longer side.
    """

    def __init__(self, folder: Path, side: int = 320) -> None:
        self._folder = folder
        self._side = side

    def of(self, path: Path, content: bytes, *, name: str) -> bytes:
        """The small picture of a photograph, as JPEG.

        Args:
            path: Its file.
            content: Digest of the file.
            name: Its name in errors.

        Raises:
            ImageError: It cannot be used.
        """
        kept = self._folder / content.hex()[:2] / f"{content.hex()}-{self._side}.jpg"
        try:
            return kept.read_bytes()
        except OSError:  # not cached
            small = self.make(path, name=name)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            replace_file(kept, lambda file: file.write(small))
        except OSError:
            pass  # a full disk or a read-only collection: made again the next time
        return small

    def make(self, path: Path, *, name: str) -> bytes:
        """The small picture of a file, not cached.

        Args:
            path: The file.
            name: Its name in errors.

        Raises:
            ImageError: It cannot be used.
        """
        return scaled_jpeg(path, self._side, name=name)
