"""Pictures as a browser shows them: upright, scaled down, as JPEG, without the metadata of the photograph."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from ordhash.data import open_rgb
from ordhash.support import replace_file

__all__ = ["Thumbnails", "scaled_jpeg"]


def scaled_jpeg(path: Path, side: int, *, name: str, quality: int = 85) -> bytes:
    """A photograph, scaled down so that its longer side has at most some pixels.

    Args:
        path: Its file.
        side: Pixels.
        name: How an error names it.
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
    """A folder of small pictures, by the content of the photographs; deleting it costs time and nothing else.

    Args:
        folder: Made when the first picture is.
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
            name: How an error names it.

        Raises:
            ImageError: It cannot be used.
        """
        kept = self._folder / content.hex()[:2] / f"{content.hex()}-{self._side}.jpg"
        try:
            return kept.read_bytes()
        except OSError:  # none yet, or no folder to keep any
            small = self.make(path, name=name)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            replace_file(kept, lambda file: file.write(small))
        except OSError:
            pass  # a full disk, or a collection that may only be read: made again the next time
        return small

    def make(self, path: Path, *, name: str) -> bytes:
        """The small picture of a file, which is not kept.

        Args:
            path: The file.
            name: How an error names it.

        Raises:
            ImageError: It cannot be used.
        """
        return scaled_jpeg(path, self._side, name=name)
