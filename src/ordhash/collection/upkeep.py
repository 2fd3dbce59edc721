"""What a collection no longer needs: small pictures of what is gone, old models, halves of killed saves."""

from __future__ import annotations

import re
from collections.abc import Collection as Some
from contextlib import suppress
from pathlib import Path

from ordhash.support import remove_leftovers

__all__ = ["MODEL", "THUMBNAILS", "models_in", "remove_thumbnails", "tidy"]

THUMBNAILS = "thumbnails"  # folder of small pictures, each in a folder of the first two digits of its content
MODEL = "model-{}.onnx"
_THUMBNAIL = re.compile(r"([0-9a-f]{32})-.*\.jpg")


def tidy(collection: Path, contents: Some[bytes], model: str) -> None:
    """Remove what is no longer needed; under the lock of the collection.

    Args:
        collection: Its folder.
        contents: Digests of its images.
        model: File name of its model.
    """
    remove_leftovers(collection)
    for place in (collection / THUMBNAILS).glob("[0-9a-f][0-9a-f]"):
        remove_leftovers(place)
        for path in place.iterdir():
            found = _THUMBNAIL.fullmatch(path.name)
            if found and bytes.fromhex(found[1]) not in contents:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            place.rmdir()
    for path in models_in(collection):
        if path.name != model:
            path.unlink(missing_ok=True)


def models_in(collection: Path) -> list[Path]:
    """The copies of models that syncs have put into a collection; models that a user has put there are others.

    Args:
        collection: Its folder.
    """
    return list(collection.glob(MODEL.format("[0-9a-f]" * 16)))


def remove_thumbnails(collection: Path, content: bytes) -> None:
    """Remove the small pictures of a photograph.

    Args:
        collection: Folder of the collection.
        content: Digest of the photograph.
    """
    for path in (collection / THUMBNAILS / content.hex()[:2]).glob(f"{content.hex()}-*.jpg"):
        path.unlink(missing_ok=True)
